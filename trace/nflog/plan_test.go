package nflog

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

var update = flag.Bool("update", false, "write the golden files anew")

func parse(t testing.TB, text string) ruleset.Ruleset {
	t.Helper()
	r, err := ruleset.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func readRules(t testing.TB) ruleset.Ruleset {
	t.Helper()
	text, err := os.ReadFile("testdata/publish-80.rules")
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(text))
}

func TestPlanGolden(t *testing.T) {
	plan := NewPlan(Subject{
		Rules: readRules(t), Present: Presence{trace.NAT: {"PREROUTING": true}, trace.Filter: {}},
		Tables: []trace.Table{trace.Raw, trace.NAT, trace.Filter},
	}, "run", 5, 100)
	got := "# attach\n" + plan.Attach() + "# detach\n" + plan.Detach()
	const golden = "testdata/publish-80.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-golden +planned), run with -update to accept:\n%s", diff)
	}
}

// simulate does to a list of rules what iptables-restore does with the lines of one table.
func simulate(t *testing.T, chains map[string][]string, script string) {
	t.Helper()
	for _, line := range strings.Split(script, "\n") {
		words, err := ruleset.Words(line)
		if err != nil {
			t.Fatal(err)
		}
		if len(words) < 2 {
			continue
		}
		chain := words[1]
		switch words[0] {
		case "-A":
			chains[chain] = append(chains[chain], ruleset.Join(words[2:]))
		case "-I":
			n, err := strconv.Atoi(words[2])
			if err != nil || n < 1 || n > len(chains[chain])+1 {
				t.Fatalf("%q: the chain has %d rules", line, len(chains[chain]))
			}
			chains[chain] = slices.Insert(chains[chain], n-1, ruleset.Join(words[3:]))
		case "-D":
			i := slices.Index(chains[chain], ruleset.Join(words[2:]))
			if i < 0 {
				t.Fatalf("%q: no such rule", line)
			}
			chains[chain] = slices.Delete(chains[chain], i, i+1)
		}
	}
}

// Wherever the edits put the probes, each must stand where its kind belongs,
// and detaching must leave what was there.
func TestPlanPlacesProbes(t *testing.T) {
	const text = `*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:EMPTY - [0:0]
:WEB - [0:0]
-A FORWARD -j NFLOG --nflog-prefix "packetwalk:other:1:" --nflog-group 7
-A FORWARD -i eth0 -j WEB
-A FORWARD -j NFLOG --nflog-prefix "packetwalk:other:2:" --nflog-group 7
-A FORWARD -m limit --limit 5/sec -j ACCEPT
-A FORWARD -m comment --comment "a \"b\"" -j DROP
-A WEB -p tcp -m tcp --dport 80 -g EMPTY
-A WEB -m recent --name x --set
COMMIT
`
	rules := parse(t, text)
	plan := NewPlan(Subject{Rules: rules, Tables: []trace.Table{trace.Filter}}, "run", 5, 100)
	before, chains := map[string][]string{}, map[string][]string{}
	filter, _ := rules.Table(trace.Filter)
	for _, c := range filter.Chains {
		for _, r := range c.Rules {
			words, _ := ruleset.Words(r.Text)
			before[c.Name] = append(before[c.Name], ruleset.Join(words[2:]))
		}
		chains[c.Name] = slices.Clone(before[c.Name])
	}
	simulate(t, chains, plan.Attach())

	var got []string
	for _, name := range []string{"FORWARD", "EMPTY", "WEB"} {
		for _, rule := range chains[name] {
			_, after, found := strings.Cut(rule, "--nflog-prefix ")
			if !found {
				got = append(got, name+" rule")
				continue
			}
			prefix, ok := ParsePrefix(strings.Fields(after)[0])
			if !ok {
				t.Fatalf("%q is no prefix", after)
			}
			if prefix.Run != "run" {
				got = append(got, name+" probe of another")
				continue
			}
			p := plan.Probes[prefix.Probe-plan.First]
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %d %s %s", name, p.Kind, p.Rule, p.Verdict, p.Target)))
		}
	}
	want := []string{
		"FORWARD enter 0",
		"FORWARD probe of another",
		"FORWARD match 1 JUMP WEB", "FORWARD rule",
		"FORWARD probe of another",
		"FORWARD reach 2 ACCEPT", "FORWARD rule", "FORWARD passed 2 ACCEPT",
		"FORWARD match 3 DROP", "FORWARD rule",
		"FORWARD end 0",
		"EMPTY enter 0",
		"WEB enter 0",
		"WEB match 1 GOTO EMPTY", "WEB rule",
		"WEB reach 2 CONTINUE", "WEB rule", "WEB passed 2 CONTINUE",
		"WEB end 0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	simulate(t, chains, plan.Detach())
	for name, rules := range chains {
		if diff := cmp.Diff(before[name], rules, cmp.Transformer("len", func(r []string) string { return strings.Join(r, "\n") })); diff != "" {
			t.Errorf("chain %s after detaching (-before +after):\n%s", name, diff)
		}
	}
}

// What a trace sees of a ruleset is what there is without traces.
func TestVisible(t *testing.T) {
	rules := parse(t, "*raw\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j NFLOG --nflog-prefix \"packetwalk:other:1:\" --nflog-group 7\n"+
		"-A OUTPUT -j NFLOG --nflog-prefix mine --nflog-group 7\nCOMMIT\n")
	before := rules.String()
	output, _ := Visible(rules).Chain(trace.Raw, "OUTPUT")
	if len(output.Rules) != 1 || !strings.Contains(output.Rules[0].Text, "mine") {
		t.Errorf("visible rules: %v", output.Rules)
	}
	if rules.String() != before {
		t.Error("Visible changed its argument")
	}
}

func TestEmptyChainsNeedOneProbe(t *testing.T) {
	plan := NewPlan(Subject{Variant: trace.NFTables, Tables: []trace.Table{trace.Raw}}, "run", 5, 0)
	if len(plan.Probes) != 2 {
		t.Fatalf("%d probes in an empty raw table, want one each for PREROUTING and OUTPUT", len(plan.Probes))
	}
	for _, p := range plan.Probes {
		if p.Kind != trace.Enter || !p.Last || p.Policy != trace.Accept || p.Variant != trace.NFTables {
			t.Errorf("probe %+v, want one that enters and ends a chain with policy ACCEPT", p)
		}
	}
}

func TestEffect(t *testing.T) {
	for text, want := range map[string]string{
		"-A X -j ACCEPT": "ACCEPT ", "-A X -j DROP": "DROP ", "-A X -j RETURN": "RETURN ",
		"-A X -j REJECT --reject-with icmp-port-unreachable": "REJECT ",
		"-A X -j Y": "JUMP Y", "-A X -g Y": "GOTO Y", "-A X": "CONTINUE ",
		"-A X -j LOG": "CONTINUE LOG", "-A X -j MARK --set-xmark 0x1/0xffffffff": "CONTINUE MARK",
		"-A X -j DNAT --to-destination 192.0.2.1": "DNAT ", "-A X -j FUTURE": "FUTURE ",
	} {
		rules := parse(t, "*filter\n:X - [0:0]\n:Y - [0:0]\n"+text+"\nCOMMIT\n")
		c, _ := rules.Chain(trace.Filter, "X")
		verdict, target := effect(c.Rules[0], c.Rules[0].Target == "Y")
		if got := string(verdict) + " " + target; got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestPrefix(t *testing.T) {
	for _, id := range []int{0, 1, 35, 36, 1 << 30} {
		want := Prefix{strings.Repeat("z", maxRun), id, MadeTable}
		text := want.String()
		if len(text) > 63 {
			t.Errorf("prefix %q has %d characters, NFLOG takes 63", text, len(text))
		}
		if got, ok := ParsePrefix(text); !ok || got != want {
			t.Errorf("ParsePrefix(%q) = %v, %v", text, got, ok)
		}
	}
	for _, p := range []string{
		"", "web: ", "packetwalk:", "packetwalk:abc", "packetwalk:abc:1", "packetwalk::1:", "packetwalk:abc:-1:", "packetwalk:abc:!:", "packetwalk:abc:1:x",
	} {
		if _, ok := ParsePrefix(p); ok {
			t.Errorf("ParsePrefix(%q) took somebody else's prefix for ours", p)
		}
	}
}

func FuzzParsePrefix(f *testing.F) {
	f.Add("packetwalk:abc:1:t")
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := ParsePrefix(text)
		if !ok {
			return
		}
		if again, ok := ParsePrefix(p.String()); !ok || again != p {
			t.Fatalf("%q reads as %v, its own writing as %v", text, p, again)
		}
	})
}
