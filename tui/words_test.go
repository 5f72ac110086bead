package tui

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"packetwalk/trace"
)

func TestVerdictWords(t *testing.T) {
	base := trace.Step{Node: "host", Hook: trace.Forward, Table: trace.Filter, Chain: "FORWARD", Src: client, Dst: private, Out: "docker0"}
	with := func(change func(*trace.Step)) trace.Step {
		s := base
		change(&s)
		return s
	}
	for _, c := range []struct {
		step trace.Step
		want string
	}{
		{with(func(s *trace.Step) {
			s.Table, s.Hook, s.Rule, s.Verdict, s.Unseen = trace.NAT, trace.Postrouting, 1, trace.Masquerade, true
		}),
			"MASQUERADE: source rewritten on leaving by docker0; to what is not seen here"},
		{with(func(s *trace.Step) { s.Table, s.Rule, s.Verdict, s.Unseen = trace.NAT, 1, trace.Redirect, true }),
			"REDIRECT: destination rewritten; to what is not seen here"},
		{with(func(s *trace.Step) { s.Verdict = trace.Continue }), "enters chain FORWARD of table filter"},
		{with(func(s *trace.Step) { s.Rule, s.Verdict, s.Target = 1, trace.Continue, "LOG" }), "LOG: goes on with the next rule"},
		{with(func(s *trace.Step) { s.Rule, s.Verdict, s.Text = 1, trace.Continue, "-A FORWARD -p tcp" }), "no target: counted, goes on with the next rule"},
		{with(func(s *trace.Step) { s.Rule, s.Verdict, s.Target = 1, trace.Jump, "DOCKER" }), "JUMP: continues in chain DOCKER"},
		{with(func(s *trace.Step) { s.Rule, s.Verdict, s.Target = 1, trace.Goto, "DOCKER" }), "GOTO: continues in chain DOCKER, without coming back to this one"},
		{with(func(s *trace.Step) { s.Rule, s.Verdict = 1, trace.Return }), "RETURN: in a base chain, so the policy decides"},
		{with(func(s *trace.Step) { s.Rule, s.Verdict, s.Chain = 1, trace.Return, "DOCKER" }), "RETURN: back to the calling chain"},
		{with(func(s *trace.Step) { s.Verdict, s.Chain = trace.Return, "DOCKER" }), "RETURN: end of the chain, back to the calling chain"},
		{with(func(s *trace.Step) { s.Rule, s.Verdict = 1, trace.Accept }), "ACCEPT: goes on to POSTROUTING"},
		{with(func(s *trace.Step) { s.Policy, s.Verdict = true, trace.Accept }), "policy ACCEPT: goes on to POSTROUTING"},
		{with(func(s *trace.Step) { s.Rule, s.Verdict = 1, trace.Drop }), "DROP: discarded, the sender is told nothing"},
		{with(func(s *trace.Step) { s.Policy, s.Verdict = true, trace.Drop }), "policy DROP: no rule let it through, so it is discarded; the sender is told nothing"},
		{with(func(s *trace.Step) {
			s.Rule, s.Verdict, s.Text = 1, trace.Reject, "-A FORWARD -j REJECT --reject-with icmp-port-unreachable"
		}), "REJECT: discarded, the sender is told with icmp-port-unreachable"},
		{with(func(s *trace.Step) { s.Rule, s.Verdict = 1, trace.Reject }), "REJECT: discarded, the sender is told with an error"},
		{with(func(s *trace.Step) { s.Rule, s.Verdict = 2, trace.DNAT }), "DNAT: destination rewritten to 172.17.0.2:80"},
		{with(func(s *trace.Step) { s.Rule, s.Verdict = 2, trace.SNAT }), "SNAT: source rewritten to 192.168.23.1:46478"},
		{with(func(s *trace.Step) { s.Rule, s.Verdict = 2, trace.Masquerade }), "MASQUERADE: source rewritten to 192.168.23.1:46478, the address of the outgoing interface"},
		{with(func(s *trace.Step) { s.Rule, s.Verdict = 2, trace.Redirect }), "REDIRECT: destination rewritten to 172.17.0.2:80, this machine itself"},
		{with(func(s *trace.Step) { s.Rule, s.Verdict, s.Hook = 2, trace.Netmap, trace.Postrouting }), "NETMAP: source rewritten to 192.168.23.1:46478"},
		{with(func(s *trace.Step) { s.Rule, s.Verdict = 2, "NFQUEUE" }), "NFQUEUE: the target decides what becomes of the packet"},
		{with(func(s *trace.Step) { s.Table, s.Chain = trace.ConntrackTable, "" }), "conntrack: addresses rewritten, not by a rule that was seen to do so: by one that an earlier packet met, or by a native nft chain"},
		{with(func(s *trace.Step) {
			s.Table, s.Chain, s.Verdict = trace.ConntrackTable, "", trace.DNAT
			s.Remembered = &trace.Remembered{Walk: 1, Node: "host", Table: trace.NAT, Chain: "DOCKER", Rule: 2}
		}), "conntrack: DNAT remembered from walk 1, rule nat/DOCKER 2"},
		{with(func(s *trace.Step) {
			s.Table, s.Chain, s.Verdict = trace.ConntrackTable, "", trace.DNAT
			s.Remembered = &trace.Remembered{Walk: 1, Node: "host", Table: trace.NAT, Chain: "DOCKER", Rule: 2, Undone: true}
		}), "conntrack: reply of walk 1 — the DNAT of nat/DOCKER rule 2 turned back"},
	} {
		w := trace.Walk{Steps: []trace.Step{c.step}, Outcome: trace.Unfinished, End: -1}
		if got := newWords("en").verdict(w, 0); got != c.want {
			t.Errorf("verdict of %+v = %q, want %q", c.step, got, c.want)
		}
	}
}

func TestOutcomeWords(t *testing.T) {
	rule := trace.Step{Node: "host", Hook: trace.Forward, Table: trace.Filter, Chain: "FORWARD", Rule: 3, Out: "eth1"}
	policy := rule
	policy.Rule, policy.Policy = 0, true
	conntrack := trace.Step{Node: "host", Hook: trace.Prerouting, Table: trace.ConntrackTable}
	for _, c := range []struct {
		o    trace.Outcome
		end  trace.Step
		want string
	}{
		{trace.Delivered, rule, "delivered in host: passed INPUT, up to the protocol or process it is for"},
		{trace.Forwarded, rule, "forwarded: left host by eth1; what lies beyond is not traced"},
		{trace.Dropped, rule, "dropped in host by filter/FORWARD rule 3"},
		{trace.Dropped, policy, "dropped in host by the policy of filter/FORWARD"},
		{trace.Rejected, rule, "rejected in host by filter/FORWARD rule 3"},
		{trace.Lost, conntrack, "lost in host after conntrack in PREROUTING, outside iptables: at the routing decision (no route, forwarding off, reverse path filter …)"},
		{trace.Unfinished, rule, "unfinished: the trace ended, or came to its rate limit, before the walk did"},
		{"", rule, "on its way"},
	} {
		w := trace.Walk{Steps: []trace.Step{c.end}, Outcome: c.o, End: 0}
		if got := newWords("en").outcome(w); got != c.want {
			t.Errorf("%s: %q, want %q", c.o, got, c.want)
		}
	}
}

func TestPacketWords(t *testing.T) {
	for want, p := range map[string]trace.Packet{
		"TCP SYN ACK":       {Proto: trace.TCP, Flags: trace.SYN | trace.ACK},
		"TCP":               {Proto: trace.TCP},
		"UDP":               {Proto: trace.UDP},
		"ICMP echo request": {Proto: trace.ICMP, ICMPType: 8},
		"protocol 47":       {Proto: 47},
	} {
		if got := newWords("en").packet(p); got != want {
			t.Errorf("%+v is called %q, want %q", p, got, want)
		}
	}
}

func TestAddr(t *testing.T) {
	for want, a := range map[string]netip.AddrPort{
		"?":                  {},
		"10.0.0.1":           netip.MustParseAddrPort("10.0.0.1:0"),
		"[fd00:172:17::2]:8": netip.MustParseAddrPort("[fd00:172:17::2]:8"),
	} {
		if got := addr(a); got != want {
			t.Errorf("addr(%v) = %q, want %q", a, got, want)
		}
	}
}

func TestCallers(t *testing.T) {
	w := synAckWalk()
	for i, want := range map[int]string{15: "DOCKER-ISOLATION-STAGE-1", 16: "DOCKER-ISOLATION-STAGE-1", 17: "FORWARD", 18: ""} {
		if got := callerOf(w.Steps, i); got != want {
			t.Errorf("step %d was called by %q, want %q", i+1, got, want)
		}
	}
}

func TestReturnAfterGoto(t *testing.T) {
	at := func(chain string, v trace.Verdict, target string) trace.Step {
		return trace.Step{Node: "host", Hook: trace.Forward, Table: trace.Filter, Chain: chain, Rule: 1, Verdict: v, Target: target}
	}
	steps := []trace.Step{at("FORWARD", trace.Jump, "A"), at("A", trace.Goto, "B"), at("B", trace.Return, ""), at("FORWARD", trace.Accept, "")}
	if got := callerOf(steps, 2); got != "FORWARD" {
		t.Errorf("RETURN from a chain reached by GOTO leads to %q", got)
	}
	if got := callers(steps, 3); len(got) != 0 {
		t.Errorf("after the RETURN %d calls are left", len(got))
	}
}

// Names come from outside: what is in them must not reach the terminal as it is.
func TestNames(t *testing.T) {
	w := synWalk()
	container := netip.MustParseAddr("172.17.0.2")
	w.Names = map[netip.Addr]string{container: "web\x1b[2J"}
	const want = "172.17.0.2:80 (web\uFFFD[2J)"
	i := slices.IndexFunc(w.Steps, func(s trace.Step) bool { return s.Verdict == trace.DNAT })
	if got := newWords("en").verdict(w, i); got != "DNAT: destination rewritten to "+want {
		t.Errorf("the verdict is %q", got)
	}
	var b strings.Builder
	if err := (&Plain{W: &b, Lang: "en"}).Walk(w); err != nil {
		t.Fatal(err)
	}
	m := newTestModel(t, "en", 200, 50, w)
	m.player.step = i
	for what, text := range map[string]string{"the plain text": b.String(), "the screen": m.frame()} {
		if !strings.Contains(text, want) {
			t.Errorf("%s does not name the container:\n%s", what, text)
		}
	}
	w.Names[container] = strings.Repeat("a-very-long-name-", 12)
	for _, size := range []struct{ w, h int }{{80, 24}, {120, 36}} {
		checkWalks(t, newTestModel(t, "en", size.w, size.h, w), false)
	}
}
