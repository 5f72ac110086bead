package passed

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

// publish80 are the rules of a Docker host with a published port 80.
func publish80(t testing.TB) ruleset.Ruleset {
	t.Helper()
	text, err := os.ReadFile("testdata/publish-80.rules")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := ruleset.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// writer writes the steps of a walk down.
type writer struct {
	t     testing.TB
	rules ruleset.Ruleset
	like  trace.Step // node, hook, table, interfaces and addresses of the next steps
	steps []trace.Step
}

func (w *writer) at(hook trace.Hook, table trace.Table) *writer {
	w.like.Hook, w.like.Table = hook, table
	return w.enter(hook.String())
}

func (w *writer) add(change func(*trace.Step)) *writer {
	s := w.like
	s.Verdict = trace.Continue
	change(&s)
	w.steps = append(w.steps, s)
	return w
}

func (w *writer) enter(chain string) *writer {
	return w.add(func(s *trace.Step) { s.Chain = chain })
}

func (w *writer) match(chain string, rule int, v trace.Verdict, target string) *writer {
	c, ok := w.rules.Chain(w.like.Table, chain)
	if !ok || rule > len(c.Rules) {
		w.t.Fatalf("%s/%s has no rule %d", w.like.Table, chain, rule)
	}
	return w.add(func(s *trace.Step) {
		s.Chain, s.Rule, s.Text, s.Verdict, s.Target = chain, rule, c.Rules[rule-1].Text, v, target
	})
}

func (w *writer) end(chain string) *writer {
	return w.add(func(s *trace.Step) { s.Chain, s.Verdict = chain, trace.Return })
}

func (w *writer) policy(v trace.Verdict) *writer {
	return w.add(func(s *trace.Step) { s.Chain, s.Verdict, s.Policy = s.Hook.String(), v, true })
}

// said writes what was passed over as "BEFORE TABLE/CHAIN RULE: MATCH (HAVE)".
func said(passed []Passed) []string {
	out := []string{}
	for _, p := range passed {
		why := "?"
		if p.Why.Known() {
			why = fmt.Sprintf("%s (%s)", strings.Join(p.Why.Match, " "), p.Why.Have)
		}
		out = append(out, fmt.Sprintf("%d %s/%s %d: %s", p.Before, p.Table, p.Chain, p.Rule, why))
	}
	return out
}

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// published is the way of a SYN to the published port, through the host.
func published(t testing.TB, rules ruleset.Ruleset) trace.Walk {
	w := &writer{t: t, rules: rules, like: trace.Step{
		Node: "host", In: "ens33", Src: addr("192.168.23.1:46478"), Dst: addr("192.168.23.149:80"), CTState: trace.New,
	}}
	w.at(trace.Prerouting, trace.NAT).
		match("PREROUTING", 1, trace.Jump, "DOCKER").enter("DOCKER")
	w.like.Dst = addr("172.17.0.2:80")
	w.match("DOCKER", 2, trace.DNAT, "")
	w.like.Out = "docker0"
	w.at(trace.Forward, trace.Filter).
		match("FORWARD", 1, trace.Jump, "DOCKER-USER").enter("DOCKER-USER").match("DOCKER-USER", 1, trace.Return, "").
		match("FORWARD", 2, trace.Jump, "DOCKER-ISOLATION-STAGE-1").enter("DOCKER-ISOLATION-STAGE-1").
		match("DOCKER-ISOLATION-STAGE-1", 2, trace.Return, "").
		match("FORWARD", 4, trace.Jump, "DOCKER").enter("DOCKER").match("DOCKER", 1, trace.Accept, "")
	w.like.In = ""
	w.at(trace.Postrouting, trace.NAT).policy(trace.Accept)
	return trace.Walk{Packet: trace.Packet{Family: trace.IPv4, Proto: trace.TCP, Flags: trace.SYN}, Steps: w.steps}
}

func TestPublishedPort(t *testing.T) {
	rules := publish80(t)
	got := Over(published(t, rules), map[string]ruleset.Ruleset{"host": rules})
	want := []string{
		"3 nat/DOCKER 1: -i docker0 (ens33)",
		"10 filter/DOCKER-ISOLATION-STAGE-1 1: -i docker0 (ens33)",
		"11 filter/FORWARD 3: --ctstate RELATED,ESTABLISHED (NEW)",
		"15 nat/POSTROUTING 1: -s 172.17.0.0/16 (192.168.23.1)",
		"15 nat/POSTROUTING 2: -s 172.17.0.2/32 (192.168.23.1)",
	}
	if diff := cmp.Diff(want, said(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	first := Passed{
		Before: 3, Node: "host", Hook: trace.Prerouting, Table: trace.NAT, Chain: "DOCKER", Rule: 1, Text: "-A DOCKER -i docker0 -j RETURN",
		Why: Reason{[]string{"-i", "docker0"}, "ens33"},
	}
	if diff := cmp.Diff(first, got[0]); diff != "" {
		t.Errorf("the first (-want +got):\n%s", diff)
	}
}

// Each case is a walk through one table with the rules below.
func TestOver(t *testing.T) {
	rules, err := ruleset.Parse(`*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:A - [0:0]
:B - [0:0]
:EMPTY - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -p tcp -j A
-A INPUT -p udp -j ACCEPT
-A INPUT -s 10.0.0.0/8 -j ACCEPT
-A FORWARD -p tcp -g A
-A FORWARD -p udp -j DROP
-A A -p udp -j DROP
-A A -i eth0 -j EMPTY
-A A -s 192.0.2.0/24 -j B
-A A -p icmp -j DROP
-A B -m addrtype --dst-type LOCAL -j ACCEPT
-A B -p tcp -j RETURN
-A B -p udp -j RETURN
COMMIT
`)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		hook trace.Hook
		walk func(*writer)
		want []string
	}{
		{"back from nested chains to the policy", trace.Input, func(w *writer) {
			w.match("INPUT", 2, trace.Jump, "A").enter("A").match("A", 2, trace.Jump, "EMPTY").end("EMPTY").
				match("A", 3, trace.Jump, "B").enter("B").match("B", 2, trace.Return, "").end("A").policy(trace.Drop)
		}, []string{
			"1 filter/INPUT 1: -i lo (eth0)", "3 filter/A 1: -p udp (tcp)", "7 filter/B 1: ?", "8 filter/A 4: -p icmp (tcp)",
			"9 filter/INPUT 3: -p udp (tcp)", "9 filter/INPUT 4: -s 10.0.0.0/8 (192.0.2.7)",
		}},
		{"a goto does not come back", trace.Forward, func(w *writer) {
			w.like.In, w.like.Src = "eth1", addr("10.0.0.1:1024")
			w.match("FORWARD", 1, trace.Goto, "A").enter("A").end("A").policy(trace.Accept)
		}, []string{
			"3 filter/A 1: -p udp (tcp)", "3 filter/A 2: -i eth0 (eth1)", "3 filter/A 3: -s 192.0.2.0/24 (10.0.0.1)", "3 filter/A 4: -p icmp (tcp)",
		}},
		{"a return from the base chain", trace.Input, func(w *writer) {
			w.match("INPUT", 2, trace.Return, "").policy(trace.Drop)
		}, []string{"1 filter/INPUT 1: -i lo (eth0)"}},
		{"an unfinished walk", trace.Input, func(w *writer) {}, []string{}},
		{"another rule than the walk's", trace.Input, func(w *writer) {
			w.match("INPUT", 2, trace.Jump, "A").enter("A").end("A")
			w.steps[1].Text = "-A INPUT -p tcp -j C"
		}, []string{}},
		{"a rule that is not there", trace.Input, func(w *writer) {
			w.match("INPUT", 2, trace.Jump, "A").policy(trace.Drop)
			w.steps[1].Rule = 9
		}, []string{}},
		{"a chain that nothing led to", trace.Input, func(w *writer) {
			w.enter("B").match("B", 2, trace.Return, "").policy(trace.Drop)
		}, []string{}},
		{"what connection tracking does is no step of the table", trace.Input, func(w *writer) {
			w.add(func(s *trace.Step) { s.Table, s.Verdict = trace.ConntrackTable, trace.DNAT }).match("INPUT", 2, trace.Accept, "")
		}, []string{"2 filter/INPUT 1: -i lo (eth0)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &writer{t: t, rules: rules, like: trace.Step{Node: "n", In: "eth0", Src: addr("192.0.2.7:1024"), Dst: addr("192.0.2.8:80")}}
			c.walk(w.at(c.hook, trace.Filter))
			got := Over(trace.Walk{Packet: trace.Packet{Proto: trace.TCP}, Steps: w.steps}, map[string]ruleset.Ruleset{"n": rules})
			if diff := cmp.Diff(c.want, said(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if got := Over(published(t, publish80(t)), nil); len(got) != 0 {
		t.Errorf("without rulesets: %v", said(got))
	}
}

// FuzzOver takes a ruleset and a walk made of bytes, four to a step.
func FuzzOver(f *testing.F) {
	text, err := os.ReadFile("testdata/publish-80.rules")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text), []byte{0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3})
	f.Add("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT ! -i lo -p tcp -m tcp ! --dport 1:2 -m multiport --ports 1,2\nCOMMIT\n", []byte{0, 9, 0, 0, 1, 9, 1, 1})
	f.Fuzz(func(t *testing.T, text string, data []byte) {
		rules, err := ruleset.Parse(text)
		if err != nil {
			return
		}
		walk := walkOf(rules, data)
		last := 0
		for _, p := range Over(walk, map[string]ruleset.Ruleset{"n": rules}) {
			if p.Before < last || p.Before >= len(walk.Steps) || p.Rule < 1 || p.Text == "" {
				t.Fatalf("%+v, after one before step %d", p, last)
			}
			last = p.Before
		}
	})
}

// walkOf makes a walk through a ruleset: each step has a chain, a rule, a
// verdict and the packet's looks from one byte.
func walkOf(rules ruleset.Ruleset, data []byte) trace.Walk {
	verdicts := []trace.Verdict{trace.Continue, trace.Jump, trace.Goto, trace.Return, trace.Accept, trace.DNAT}
	addresses := []netip.AddrPort{{}, addr("172.17.0.2:80"), addr("[2001:db8::1]:53"), addr("192.0.2.1:0")}
	protos := []trace.Proto{trace.TCP, trace.UDP, trace.ICMP, trace.ICMPv6, 47}
	var w trace.Walk
	for ; len(data) >= 4 && len(rules.Tables) > 0; data = data[4:] {
		table := rules.Tables[int(data[0]>>4)%len(rules.Tables)]
		s := trace.Step{
			Node: "n", Table: table.Name, Hook: trace.Hook(data[0] % 8), Rule: int(data[1]) - 1, Verdict: verdicts[int(data[2])%len(verdicts)],
			Policy: data[3]&1 != 0, In: "eth0", Src: addresses[data[3]>>1&3], Dst: addresses[data[3]>>3&3], CTState: trace.New,
		}
		if len(table.Chains) > 0 {
			c := table.Chains[int(data[0])%len(table.Chains)]
			s.Chain, s.Target = c.Name, table.Chains[int(data[2])%len(table.Chains)].Name
			if s.Rule > 0 && s.Rule <= len(c.Rules) {
				s.Text = c.Rules[s.Rule-1].Text
			}
		}
		w.Packet.Proto = protos[int(data[3]>>5)%len(protos)]
		w.Steps = append(w.Steps, s)
	}
	return w
}
