package why

import (
	"net/netip"
	"strings"
	"testing"

	"packetwalk/trace"
)

// stoppedAt explains a request that came to its end at a step.
func stoppedAt(t *testing.T, end trace.Step) Answer {
	t.Helper()
	e := dockerHost(t, table("filter", ":INPUT ACCEPT", ":FORWARD ACCEPT", ":DOCKER-USER -", "-A FORWARD -j DOCKER-USER"))
	e.Attempt.Walks = []trace.Walk{syn(trace.Dropped, leaving(), end)}
	return Explain(e)
}

// TestWider deletes a rule by what it says, since the exception in front of it
// takes its number.
func TestWider(t *testing.T) {
	policy := forwarded(trace.Filter)
	policy.Verdict = trace.Drop
	rule := policy
	rule.Policy, rule.Chain, rule.Rule = false, "DOCKER-USER", 1
	rule.Text = `-A DOCKER-USER -s 192.168.23.0/24 -m comment --comment "closed for repairs" -j DROP`
	early := on(trace.Prerouting, trace.Raw, hostAddr)
	early.Verdict, early.Policy, early.Rule, early.Text, early.Variant = trace.Drop, false, 3, "-A PREROUTING -i ens33 -j DROP", trace.Legacy
	for name, test := range map[string]struct {
		end  trace.Step
		want string
	}{
		"a rule":                     {rule, `iptables -D DOCKER-USER -s 192.168.23.0/24 -m comment --comment "closed for repairs" -j DROP`},
		"of another table, variant":  {early, "iptables-legacy -t raw -D PREROUTING -i ens33 -j DROP"},
		"a policy is another matter": {policy, "iptables -P FORWARD ACCEPT"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, lang := range []string{"en", "zh"} {
				if got := stoppedAt(t, test.end).Text(lang).Opens; !strings.Contains(got, test.want) {
					t.Errorf("%s, want %s", got, test.want)
				}
			}
		})
	}
}

// TestLets says of each kind of packet what the fix lets pass: no port where it
// names none, and no sender where that stands for others.
func TestLets(t *testing.T) {
	drop := func(s trace.Step) trace.Step {
		s.Verdict = trace.Drop
		return s
	}
	answer := drop(forwarded(trace.Filter))
	answer.Src, answer.Dst, answer.In, answer.Out, answer.CTState = at(webAddr), at(clientAddr), "docker0", "ens33", trace.Established
	arrived := forwarded(trace.Filter)
	arrived.Node, arrived.Hook, arrived.In, arrived.Out = "web", trace.Input, "eth0", ""
	sent := answer
	sent.Node, sent.Hook, sent.Verdict, sent.In, sent.Out = "web", trace.Output, trace.Accept, "", "eth0"
	for name, test := range map[string]struct {
		walks   []trace.Walk
		ping    bool
		en, zh  string
		anybody string // en, where the sender stands for all
	}{
		"a request":        {[]trace.Walk{syn(trace.Dropped, leaving(), drop(forwarded(trace.Filter)))}, false, "Only TCP from 192.168.23.1 to 172.17.0.2:80 and its answers may pass.", "只放行从 192.168.23.1 到 172.17.0.2:80 的 TCP 流量及其应答。", "Only TCP to 172.17.0.2:80, from anywhere, and its answers may pass."},
		"its answer":       {[]trace.Walk{syn(trace.Delivered, leaving(), arrived), syn(trace.Dropped, sent, answer)}, false, "Only answers from 172.17.0.2:80 to 192.168.23.1 may pass.", "只放行从 172.17.0.2:80 到 192.168.23.1 的应答。", "Only answers from 172.17.0.2:80, to anywhere, may pass."},
		"a ping":           {[]trace.Walk{syn(trace.Dropped, leaving(), drop(forwarded(trace.Filter)))}, true, "Only pings from 192.168.23.1 to 172.17.0.2 and their answers may pass.", "只放行从 192.168.23.1 到 172.17.0.2 的 ping 及其应答。", "Only pings to 172.17.0.2, from anywhere, and their answers may pass."},
		"the ping's reply": {[]trace.Walk{syn(trace.Delivered, leaving(), arrived), syn(trace.Dropped, sent, answer)}, true, "Only answers to pings, from 172.17.0.2 to 192.168.23.1, may pass.", "只放行从 172.17.0.2 到 192.168.23.1 的 ping 应答。", "Only answers to pings, from 172.17.0.2 to anywhere, may pass."},
	} {
		t.Run(name, func(t *testing.T) {
			e := dockerHost(t, table("filter", ":INPUT ACCEPT", ":FORWARD DROP"))
			e.Attempt.Walks = test.walks
			if len(test.walks) == 2 {
				p := &e.Attempt.Walks[1].Packet
				p.Src, p.Dst, p.Flags = at(webAddr), at(clientAddr), trace.SYN|trace.ACK
			}
			if test.ping {
				pinged(&e)
			}
			a := Explain(e)
			if got := a.Text("en").Opens; !strings.HasPrefix(got, test.en) {
				t.Errorf("%s: %s; want %s", a.Cause, got, test.en)
			}
			if got := a.Text("zh").Opens; !strings.HasPrefix(got, test.zh) {
				t.Errorf("%s: %s; want %s", a.Cause, got, test.zh)
			}
			if fix := strings.Join(a.Fix.Commands, "\n"); !strings.Contains(fix, " 192.168.23.1/32 ") {
				t.Errorf("%s: for somebody else: %s", a.Cause, fix)
			}
			e.Question.StandIn = true
			a = Explain(e)
			if got := a.Text("en").Opens; !strings.HasPrefix(got, test.anybody) {
				t.Errorf("%s: %s; want %s", a.Cause, got, test.anybody)
			}
			if fix := strings.Join(a.Fix.Commands, "\n"); len(a.Fix.Commands) == 0 || strings.Contains(fix, "192.168.23.1/") {
				t.Errorf("%s: for one alone: %s", a.Cause, fix)
			}
		})
	}
}

// pinged makes the evidence that of a ping: there are no ports in it.
func pinged(e *Evidence) {
	bare := func(a *netip.AddrPort) { *a = netip.AddrPortFrom(a.Addr(), 0) }
	e.Question.Target.Proto = trace.ICMP
	bare(&e.Question.Target.Addr)
	for i := range e.Attempt.Walks {
		w := &e.Attempt.Walks[i]
		w.Packet.Proto, w.Packet.Flags, w.Packet.ICMPType = trace.ICMP, 0, uint8(8*(1-i))
		bare(&w.Packet.Src)
		bare(&w.Packet.Dst)
		for k := range w.Steps {
			bare(&w.Steps[k].Src)
			bare(&w.Steps[k].Dst)
		}
	}
}

// TestNotrackIsForTheAsker names who asked, also where it is the answer that a
// rule takes out of connection tracking.
func TestNotrackIsForTheAsker(t *testing.T) {
	const rule = "-A PREROUTING -p tcp -m tcp --sport 80 -j CT --notrack"
	e := dockerHost(t, table("raw", ":PREROUTING ACCEPT", rule), natRulesOfDocker("-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80"))
	arrived := forwarded(trace.Filter)
	arrived.Node, arrived.Hook, arrived.In, arrived.Out = "web", trace.Input, "eth0", ""
	sent, untracked := arrived, on(trace.Prerouting, trace.Raw, clientAddr)
	sent.Hook, sent.In, sent.Out, sent.Src, sent.Dst = trace.Output, "", "eth0", at(webAddr), at(clientAddr)
	untracked.Rule, untracked.Text, untracked.Policy, untracked.In, untracked.Src = 1, rule, false, "docker0", at(webAddr)
	reply := syn(trace.Delivered, sent, untracked)
	reply.Packet.Src, reply.Packet.Dst, reply.Packet.Flags = at(webAddr), at(clientAddr), trace.SYN|trace.ACK
	e.Attempt.Walks = []trace.Walk{syn(trace.Delivered, leaving(), on(trace.Prerouting, trace.NAT, hostAddr), on(trace.Prerouting, trace.NAT, webAddr), arrived), reply}
	a := expect(t, e, "notrack", "host: "+rule)
	if got := a.Text("en").Opens; !strings.Contains(got, "for 192.168.23.1;") {
		t.Error(got)
	}
}
