package why

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"packetwalk/trace"
	"packetwalk/trace/host"
	"packetwalk/trace/ruleset"
)

// natRulesOfDocker publish port 8080; what differs stands in place of the rule.
func natRulesOfDocker(rule string) string {
	return table("nat", ":PREROUTING ACCEPT", ":INPUT ACCEPT", ":OUTPUT ACCEPT", ":POSTROUTING ACCEPT", ":DOCKER -",
		"-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER", "-A DOCKER -i docker0 -j RETURN", rule)
}

// TestWhyNotTranslated tells apart why a request came to the host itself.
func TestWhyNotTranslated(t *testing.T) {
	const rest = " -j DNAT --to-destination 172.17.0.2:80"
	for name, test := range map[string]struct {
		rule string
		want Name
	}{
		"another port":      {"-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8081" + rest, "not-published"},
		"another protocol":  {"-A DOCKER ! -i docker0 -p udp -m udp --dport 8080" + rest, "published-other-protocol"},
		"another address":   {"-A DOCKER -d 127.0.0.1/32 ! -i docker0 -p tcp -m tcp --dport 8080" + rest, "published-other-address"},
		"another interface": {"-A DOCKER -i eth7 -p tcp -m tcp --dport 8080" + rest, "nat-passed-over"},
		"another sender":    {"-A DOCKER -s 10.0.0.0/8 -p tcp -m tcp --dport 8080" + rest, "nat-passed-over"},
		"any port":          {"-A DOCKER -s 10.0.0.0/8 -p tcp" + rest, "nat-passed-over"},
	} {
		t.Run(name, func(t *testing.T) {
			e := dockerHost(t, natRulesOfDocker(test.rule))
			e.Attempt.Result = Refused
			e.Attempt.Walks = []trace.Walk{syn(trace.Delivered, leaving(), on(trace.Prerouting, trace.NAT, hostAddr), on(trace.Input, trace.Filter, hostAddr))}
			a := Explain(e)
			if a.Cause != test.want {
				t.Errorf("%s, want %s", a.Cause, test.want)
			}
			if a.Culprit.Kind == Rule && a.Culprit.Text != test.rule {
				t.Errorf("the culprit is %+v", a.Culprit)
			}
			if len(a.Fix.Commands) == 0 {
				t.Error("there is no fix")
			}
		})
	}
}

// TestNothingOnTheHost tells a port that is not published from a server of the
// host's own that is not running.
func TestNothingOnTheHost(t *testing.T) {
	e := dockerHost(t, table("filter", ":INPUT ACCEPT", ":FORWARD ACCEPT", ":OUTPUT ACCEPT"))
	delete(e.Hosts, "web")
	e.Attempt.Result = Refused
	e.Attempt.Walks = []trace.Walk{syn(trace.Delivered, leaving(), on(trace.Input, trace.Filter, hostAddr))}
	if a := Explain(e); a.Cause != "nothing-listens" {
		t.Errorf("%s, where no port is published at all", a.Cause)
	}
	state := e.Hosts["host"]
	state.Sockets = []host.Socket{{Proto: trace.TCP, Local: at("127.0.0.1:8080")}}
	e.Hosts["host"] = state
	if a := Explain(e); a.Cause != "loopback-only" || a.Culprit.Text != "tcp 127.0.0.1:8080" {
		t.Errorf("%s, %+v", a.Cause, a.Culprit)
	}
}

func TestStaleConnection(t *testing.T) {
	nat := natRulesOfDocker("-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80")
	entry := func(to string) host.Connection {
		return host.Connection{Proto: trace.TCP, Original: host.Tuple{Src: at(clientAddr), Dst: at(hostAddr)}, Reply: host.Tuple{Src: at(to), Dst: at(clientAddr)}}
	}
	for name, test := range map[string]struct {
		entry host.Connection
		stale bool
	}{
		"the container of before":      {entry("172.17.0.9:80"), true},
		"the host itself, from before": {entry(hostAddr), true},
		"as the rules have it":         {entry(webAddr), false},
		"another connection":           {host.Connection{Proto: trace.TCP, Original: host.Tuple{Src: at("192.168.23.1:1"), Dst: at(hostAddr)}, Reply: host.Tuple{Src: at(hostAddr)}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			e := dockerHost(t, nat)
			state := e.Hosts["host"]
			state.Connections = []host.Connection{test.entry}
			e.Hosts["host"] = state
			e.Attempt.Walks = []trace.Walk{syn(trace.Delivered, leaving(), on(trace.Prerouting, trace.Mangle, hostAddr), on(trace.Input, trace.Filter, hostAddr))}
			f := findStaleConnection(newCase(e))
			if (f != nil) != test.stale {
				t.Fatalf("found %+v", f)
			}
			e.Attempt.Walks = []trace.Walk{syn(trace.Delivered, leaving(), on(trace.Prerouting, trace.NAT, hostAddr), on(trace.Input, trace.Filter, hostAddr))}
			if findStaleConnection(newCase(e)) != nil {
				t.Error("the nat table was asked, and an old connection is blamed")
			}
			if f != nil && f.Fix.Commands[0] != "conntrack -D -p tcp -s 192.168.23.1 -d 192.168.23.149 --sport 40000 --dport 8080" {
				t.Errorf("the fix is %q", f.Fix.Commands)
			}
		})
	}
}

// TestConntrackFull tells a full table from what else can stop a packet there.
func TestConntrackFull(t *testing.T) {
	raw := table("raw", ":PREROUTING ACCEPT", ":OUTPUT ACCEPT")
	for name, test := range map[string]struct {
		last        trace.Step
		count, most string
		want        Name
	}{
		"full":                   {on(trace.Prerouting, trace.Raw, hostAddr), "262144", "262144", "conntrack-full"},
		"not full":               {on(trace.Prerouting, trace.Raw, hostAddr), "262143", "262144", Unknown},
		"no limit":               {on(trace.Prerouting, trace.Raw, hostAddr), "5", "0", Unknown},
		"not known":              {on(trace.Prerouting, trace.Raw, hostAddr), "", "", Unknown},
		"behind the tracking":    {on(trace.Prerouting, trace.Mangle, hostAddr), "262144", "262144", Unknown},
		"not a place for it":     {on(trace.Forward, trace.Filter, hostAddr), "262144", "262144", Unknown},
		"the sender's own":       {on(trace.Output, trace.Raw, hostAddr), "262145", "262144", "conntrack-full"},
		"more than there may be": {on(trace.Prerouting, trace.Raw, hostAddr), "262145", "262144", "conntrack-full"},
	} {
		t.Run(name, func(t *testing.T) {
			e := dockerHost(t, raw)
			state := e.Hosts["host"]
			state.Sysctls = map[string]string{"net.netfilter.nf_conntrack_count": test.count, "net.netfilter.nf_conntrack_max": test.most}
			e.Hosts["host"] = state
			e.Attempt.Walks = []trace.Walk{syn(trace.Lost, leaving(), test.last)}
			f := findConntrackFull(newCase(e))
			if (f != nil) != (test.want != Unknown) {
				t.Fatalf("found %+v", f)
			}
			if f != nil && (f.Culprit.Text != "net.netfilter.nf_conntrack_max = 262144" || f.Fix.Commands[0] != "sysctl -w net.netfilter.nf_conntrack_max=524288") {
				t.Errorf("%+v, %q", f.Culprit, f.Fix.Commands)
			}
		})
	}
}

// TestNativeNft holds what can be said of native chains to where the packet was
// seen last.
func TestNativeNft(t *testing.T) {
	filter := table("filter", ":INPUT ACCEPT", ":FORWARD ACCEPT", ":OUTPUT ACCEPT")
	mangle := table("mangle", ":PREROUTING ACCEPT", ":INPUT ACCEPT", ":FORWARD ACCEPT", ":OUTPUT ACCEPT", ":POSTROUTING ACCEPT")
	chain := func(hook string, priority int, texts ...string) host.NativeChain {
		n := host.NativeChain{Family: "inet", Table: "own", Name: "guard", Hook: hook, Priority: priority, Policy: trace.Accept, Drops: true}
		for i, text := range texts {
			n.Rules = append(n.Rules, host.NativeRule{Chain: "guard", Handle: uint64(i + 5), Text: text})
		}
		return n
	}
	closed := chain("forward", 10)
	closed.Policy = trace.Drop
	for name, test := range map[string]struct {
		chains []host.NativeChain
		drops  []Drop
		kind   Kind
		handle uint64
	}{
		"the one rule":              {[]host.NativeChain{chain("forward", 10, "tcp dport 80 drop")}, nil, NativeRule, 5},
		"the one that can be meant": {[]host.NativeChain{chain("forward", 10, "tcp dport 443 drop", "ip saddr 192.168.23.0/24 drop")}, nil, NativeRule, 6},
		"one of two":                {[]host.NativeChain{chain("forward", 10, "tcp dport 80 drop", "drop")}, nil, Chain, 0},
		"a policy":                  {[]host.NativeChain{closed}, nil, Policy, 0},
		"behind it":                 {[]host.NativeChain{chain("postrouting", -300, "drop")}, nil, NativeRule, 5},
		"too far behind it":         {[]host.NativeChain{chain("postrouting", 0, "drop")}, nil, "", 0},
		"in front of it":            {[]host.NativeChain{chain("forward", -200, "drop")}, nil, "", 0},
		"another hook":              {[]host.NativeChain{chain("input", 10, "drop")}, nil, "", 0},
		"another port":              {[]host.NativeChain{chain("forward", 10, "tcp dport 443 drop")}, nil, "", 0},
		"the kernel agrees":         {[]host.NativeChain{chain("forward", 10, "drop")}, []Drop{{Reason: "NETFILTER_DROP"}}, NativeRule, 5},
		"the kernel says otherwise": {[]host.NativeChain{chain("forward", 10, "drop")}, []Drop{{Reason: "IP_RPFILTER"}}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			e := dockerHost(t, filter, mangle)
			state := e.Hosts["host"]
			state.Native = test.chains
			e.Hosts["host"], e.Drops = state, test.drops
			e.Attempt.Walks = []trace.Walk{syn(trace.Lost, leaving(), on(trace.Prerouting, trace.Mangle, hostAddr), forwarded(trace.Filter))}
			f := findNativeNft(newCase(e))
			switch {
			case f == nil && test.kind != "":
				t.Error("it was not found")
			case f != nil && (f.Culprit.Kind != test.kind || f.Culprit.Handle != test.handle):
				t.Errorf("the culprit is %+v", f.Culprit)
			case f != nil && (len(f.Fix.Commands) > 0) == (test.kind == Chain):
				t.Errorf("the fix is %q", f.Fix.Commands)
			case f != nil && (len(f.Unseen) > 0) == (test.drops != nil):
				t.Errorf("what could not be seen: %+v", f.Unseen)
			}
		})
	}
}

// A chain that is for interfaces stops only what passes one of them.
func TestNativeDevices(t *testing.T) {
	for name, test := range map[string]struct {
		node, hook string
		devices    []string
		found      bool
	}{
		"where it goes out":                 {"host", "egress", []string{"docker0"}, true},
		"the port of the bridge":            {"host", "egress", []string{"veth-c1"}, true},
		"one of several":                    {"host", "egress", []string{"ens33", "docker0"}, true},
		"a port to somebody else":           {"host", "egress", []string{"veth-c2"}, false},
		"where it came in":                  {"host", "egress", []string{"ens33"}, false},
		"where it comes in":                 {"c1", "ingress", []string{"eth0"}, true},
		"another interface of the receiver": {"c1", "ingress", []string{"eth1"}, false},
		"every interface":                   {"c1", "ingress", nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := docker()
			w.node(test.node).Native = []host.NativeChain{{
				Family: "netdev", Table: "own", Name: "guard", Hook: test.hook, Devices: test.devices, Policy: trace.Accept, Drops: true,
				Rules: []host.NativeRule{{Chain: "guard", Handle: 5, Text: "drop"}},
			}}
			c := newCase(w.evidence(Silent, packet(fromClient, toHost, "client >eth0", "host ens33>docker0 = "+toC1)))
			if f := findNativeNft(c); (f != nil) != test.found {
				t.Errorf("found %+v", f)
			}
		})
	}
	t.Run("the port by which it comes to a bridge", func(t *testing.T) {
		w := docker()
		chain := host.NativeChain{Family: "netdev", Table: "own", Name: "guard", Hook: "ingress", Devices: []string{"veth-c1"}, Policy: trace.Drop, Drops: true}
		w["host"].Native = []host.NativeChain{chain}
		from := func(node, src string) *Case {
			e := w.evidence(Silent, packet(src, toHost, node+" >eth0"))
			e.Question.From = node
			return newCase(e)
		}
		if findNativeNft(from("c1", "172.17.0.2:40000")) == nil {
			t.Error("it was not found")
		}
		if f := findNativeNft(from("c2", "172.17.0.3:40000")); f != nil {
			t.Errorf("found %+v for what comes by another port", f)
		}
	})
}

func TestRulesOut(t *testing.T) {
	w := syn(trace.Lost, forwarded(trace.Filter))
	p := newCase(Evidence{}).coming(&w, w.Steps[0])
	for text, want := range map[string]bool{
		"drop": false, "tcp dport 80 drop": false, "tcp dport 81 drop": true, "tcp dport { 80, 443 } drop": false, "tcp dport { 22, 443 } drop": true,
		"tcp dport != 80 drop": true, "tcp dport 1-79 drop": true, "tcp dport 1-80 drop": false, "tcp dport @ports drop": false, "tcp dport http drop": false,
		"udp dport 80 drop": true, "ip saddr 192.168.23.0/24 drop": false, "ip saddr != 192.168.23.0/24 drop": true, "ip daddr 10.0.0.1 drop": true,
		`iifname "ens33" drop`: false, `iifname "docker0" drop`: true, `iifname "ens*" drop`: false, `oifname { "docker0", "br1" } drop`: false,
		"meta l4proto udp drop": true, "ip protocol tcp drop": false, "ct state invalid drop": true, "ct state new drop": false, "ct state { established, related } drop": true,
		"ct state established,related drop": true, "tcp dport": false, "": false, "tcp dport { } drop": false, "iifname": false,
		// What a string says, or what is asked of the connection or the routing tables, is not the packet's.
		`drop comment "no tcp dport 22"`: false, `log prefix "tcp dport 22 " drop`: false, `comment "a, { b" tcp dport 22 drop`: true, `tcp dport 22 drop comment "`: false,
		"ct original ip daddr 192.168.23.149 drop": false, "ct original proto-dst 8080 drop": false, "ct reply ip saddr 10.0.0.1 drop": false,
		"ct original ip daddr 192.168.23.149 tcp dport 22 drop": true, "ct original": false,
		"fib saddr . iif oif missing drop": false, "fib daddr . mark . iif type local drop": false, "fib saddr . iif oif missing tcp dport 22 drop": true, "fib": false, "fib saddr .": false,
		// Maps, named sets and concatenations.
		`iifname vmap { "lo" : accept, "ens33" : drop }`: false, "ct state vmap { invalid : drop, new : drop }": false, "iifname @lan drop": false,
		"meta l4proto . th dport { tcp . 22, tcp . 80 } drop": false, `iifname . oifname { "ens33" . "docker0" } drop`: false,
		"ct state invalid,new drop": false, "ct state { invalid, new } drop": false, "ct state ! established drop": false,
	} {
		if got := rulesOut(text, p); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func FuzzRulesOut(f *testing.F) {
	w := syn(trace.Lost, forwarded(trace.Filter))
	p := newCase(Evidence{}).coming(&w, w.Steps[0])
	f.Add("tcp dport { 80, 443 } drop")
	f.Add(`iifname != "ens*" ct state new drop`)
	f.Add(`ct original ip daddr 10.0.0.1 fib saddr . iif oif missing drop comment "a b"`)
	f.Fuzz(func(t *testing.T, text string) {
		if rulesOut(text, p) && !rulesOut(text+" ip daddr 10.9.9.9", p) {
			t.Error("one more match cannot make a rule fit")
		}
	})
}

// TestSockets tells apart why a request is refused where it arrived.
func TestSockets(t *testing.T) {
	delivered := forwarded(trace.Filter)
	delivered.Node, delivered.Hook, delivered.In, delivered.Out = "web", trace.Input, "eth0", ""
	translated := on(trace.Prerouting, trace.NAT, webAddr)
	for name, test := range map[string]struct {
		socket host.Socket
		want   Name
	}{
		"loopback":           {host.Socket{Proto: trace.TCP, Local: at("127.0.0.1:80")}, "loopback-only"},
		"IPv6 loopback":      {host.Socket{Proto: trace.TCP, Local: at("[::1]:80")}, "loopback-only"},
		"IPv6 only":          {host.Socket{Proto: trace.TCP, Local: at("[::]:80"), Only6: true}, "other-family"},
		"another address":    {host.Socket{Proto: trace.TCP, Local: at("172.17.0.7:80")}, "other-address"},
		"another interface":  {host.Socket{Proto: trace.TCP, Local: at("0.0.0.0:80"), Interface: "eth1"}, "other-address"},
		"another protocol":   {host.Socket{Proto: trace.UDP, Local: at("0.0.0.0:80")}, "nothing-listens"},
		"another port, DNAT": {host.Socket{Proto: trace.TCP, Local: at("0.0.0.0:8000")}, "wrong-container-port"},
	} {
		t.Run(name, func(t *testing.T) {
			const rule = "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80"
			e := dockerHost(t, natRulesOfDocker(rule))
			translated.Chain, translated.Rule, translated.Text, translated.Policy = "DOCKER", 2, rule, false
			state := e.Hosts["web"]
			state.Sockets = []host.Socket{test.socket}
			e.Hosts["web"] = state
			e.Attempt.Result = Refused
			e.Attempt.Walks = []trace.Walk{syn(trace.Delivered, leaving(), translated, forwarded(trace.Filter), delivered)}
			if a := Explain(e); a.Cause != test.want {
				t.Errorf("%s, want %s", a.Cause, test.want)
			}
		})
	}
}

// TestCausesAreWhole finds causes that lack a word, or that nothing can find.
func TestCausesAreWhole(t *testing.T) {
	var names []Name
	for _, c := range Causes() {
		if c.Find == nil || c.Title.En == "" || c.Title.Zh == "" || c.Because.En == "" || c.Because.Zh == "" || (c.Opens.En == "") != (c.Opens.Zh == "") {
			t.Errorf("%s is not whole", c.Name)
		}
		if slices.Contains(names, c.Name) {
			t.Errorf("%s is there twice", c.Name)
		}
		names = append(names, c.Name)
	}
}

// TestNatNotReached finds what keeps a packet from a rule that it would match.
func TestNatNotReached(t *testing.T) {
	const dnat = "-A DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80"
	for name, test := range map[string]struct {
		jump, before string
		met          trace.Step
		want         string
	}{
		"a jump that it missed": {"-A PREROUTING -i lo -j DOCKER", "", trace.Step{}, "-A PREROUTING -i lo -j DOCKER"},
		"a return before it": {
			"-A PREROUTING -j DOCKER", "-A DOCKER -i ens33 -j RETURN",
			trace.Step{Chain: "DOCKER", Rule: 1, Verdict: trace.Return, Text: "-A DOCKER -i ens33 -j RETURN"}, "-A DOCKER -i ens33 -j RETURN",
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := dockerHost(t, table("nat", ":PREROUTING ACCEPT", ":DOCKER -", test.jump, test.before, dnat))
			e.Attempt.Result = Refused
			steps := []trace.Step{leaving(), on(trace.Prerouting, trace.NAT, hostAddr)}
			if test.met.Rule > 0 {
				s := on(trace.Prerouting, trace.NAT, hostAddr)
				s.Chain, s.Rule, s.Verdict, s.Text, s.Policy = test.met.Chain, test.met.Rule, test.met.Verdict, test.met.Text, false
				steps = append(steps, s)
			}
			e.Attempt.Walks = []trace.Walk{syn(trace.Delivered, append(steps, on(trace.Input, trace.Filter, hostAddr))...)}
			if a := Explain(e); a.Cause != "nat-not-reached" || a.Culprit.Text != test.want || len(a.Fix.Commands) != 1 {
				t.Errorf("%s, %+v, %q", a.Cause, a.Culprit, a.Fix.Commands)
			}
		})
	}
}

// What could not be read is no evidence that it is not there.
func TestUnreadSockets(t *testing.T) {
	e := dockerHost(t, natRulesOfDocker("-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8081 -j DNAT --to-destination 172.17.0.2:80"))
	state := e.Hosts["host"]
	state.Unseen = map[host.Part]string{host.Sockets: "operation not permitted"}
	e.Hosts["host"] = state
	e.Attempt.Result = Refused
	e.Attempt.Walks = []trace.Walk{syn(trace.Delivered, leaving(), on(trace.Prerouting, trace.NAT, hostAddr), on(trace.Input, trace.Filter, hostAddr))}
	for _, f := range []*Finding{findNotPublished(newCase(e)), findNothingListens(newCase(e))} {
		if f != nil {
			t.Errorf("found %+v", f.Culprit)
		}
	}
}

// A ping has no port that could be published.
func TestPingIsNotPublished(t *testing.T) {
	e := dockerHost(t, natRulesOfDocker("-A DOCKER -p udp -j DNAT --to-destination 172.17.0.2:80"), table("filter", ":INPUT DROP"))
	e.Question.Target = Target{Proto: trace.ICMP, Addr: netip.AddrPortFrom(at(hostAddr).Addr(), 0)}
	end := on(trace.Input, trace.Filter, hostAddr)
	end.Verdict = trace.Drop
	w := syn(trace.Dropped, leaving(), end)
	w.Packet = trace.Packet{Family: trace.IPv4, Proto: trace.ICMP, ICMPType: 8, Src: w.Packet.Src, Dst: e.Question.Target.Addr}
	e.Attempt.Walks = []trace.Walk{w}
	if a := Explain(e); a.Cause != "input-drop" {
		t.Errorf("%s", a.Cause)
	}
}

// TestTheKernelKnowsBetter holds what is told by the kernel's reason to what
// several causes have in common.
func TestTheKernelKnowsBetter(t *testing.T) {
	const rule = "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:8000"
	e := dockerHost(t, natRulesOfDocker(rule))
	translated := on(trace.Prerouting, trace.NAT, "172.17.0.2:8000")
	translated.Chain, translated.Rule, translated.Text, translated.Policy = "DOCKER", 2, rule, false
	last := on(trace.Input, trace.Filter, "172.17.0.2:8000")
	last.Node, last.In = "web", "eth0"
	e.Attempt.Result, e.Drops = Refused, []Drop{{Node: "web", Reason: "NO_SOCKET", Location: "tcp_v4_rcv"}}
	e.Attempt.Walks = []trace.Walk{syn(trace.Delivered, leaving(), translated, last)}
	if a := Explain(e); a.Cause != "wrong-container-port" || a.Fix.Commands[0] != "iptables -t nat -R DOCKER 2 ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80" {
		t.Errorf("%s, %q", a.Cause, a.Fix.Commands)
	}
}

// TestNothingListensBeyond blames a socket of a node that is not traced only where
// the kernel says so.
func TestNothingListensBeyond(t *testing.T) {
	e := dockerHost(t)
	out := on(trace.Postrouting, trace.Mangle, "172.17.0.9:81")
	e.Attempt.Result = Refused
	e.Attempt.Walks = []trace.Walk{syn(trace.Forwarded, leaving(), out)}
	if a := Explain(e); a.Cause == "nothing-listens" {
		t.Errorf("it was guessed: %+v", a.Culprit)
	}
	e.Drops = []Drop{{Node: "host", Reason: "NO_SOCKET"}}
	if a := Explain(e); a.Cause == "nothing-listens" {
		t.Errorf("what was dropped in the host was taken for it: %+v", a.Culprit)
	}
	e.Drops = []Drop{{Reason: "NO_SOCKET", Location: "tcp_v4_rcv"}}
	a := Explain(e)
	want := Culprit{Kind: Socket, Node: "172.17.0.9", Text: "tcp 172.17.0.9:81"}
	if a.Cause != "nothing-listens" || a.Culprit == nil || *a.Culprit != want || a.Text("en").Title != "Nothing listens on 172.17.0.9:81 in 172.17.0.9" {
		t.Errorf("%s, %+v: %s", a.Cause, a.Culprit, a.Text("en").Title)
	}
}

// TestNotrackBothWays takes both directions back into connection tracking.
func TestNotrackBothWays(t *testing.T) {
	raw := table("raw", ":PREROUTING ACCEPT", ":OUTPUT ACCEPT",
		"-A PREROUTING -p tcp -m tcp --dport 8080 -j CT --notrack", "-A PREROUTING -p tcp -m tcp --sport 80 -j CT --notrack")
	e := dockerHost(t, raw, natRulesOfDocker("-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80"))
	untracked := on(trace.Prerouting, trace.Raw, hostAddr)
	untracked.Rule, untracked.Text, untracked.Verdict, untracked.Target, untracked.Policy, untracked.CTState = 1, "-A PREROUTING -p tcp -m tcp --dport 8080 -j CT --notrack", trace.Continue, "CT", false, ""
	last := on(trace.Input, trace.Filter, hostAddr)
	last.CTState = trace.Untracked
	e.Attempt.Result = Refused
	e.Attempt.Walks = []trace.Walk{syn(trace.Delivered, leaving(), untracked, last)}
	a := Explain(e)
	want := []string{
		"iptables -t raw -I PREROUTING 1 -s 192.168.23.1/32 -d 192.168.23.149/32 -p tcp -m tcp --dport 8080 -j ACCEPT",
		"iptables -t raw -I PREROUTING 3 -s 172.17.0.2/32 -d 192.168.23.1/32 -p tcp -m tcp --sport 80 -j ACCEPT",
	}
	if a.Cause != "notrack" || !slices.Equal(a.Fix.Commands, want) {
		t.Errorf("%s, %q", a.Cause, a.Fix.Commands)
	}
	// Where nothing would translate the packet, it does not need to be tracked.
	e.Rules["host"] = Variants{trace.NFTables: rules(t, raw)}
	if a := Explain(e); a.Cause == "notrack" {
		t.Error("a rule is blamed that changes nothing")
	}
}

func TestReplaced(t *testing.T) {
	for text, want := range map[string]string{
		"-A DOCKER -p tcp -j DNAT --to-destination 172.17.0.2:80":                  "-p tcp -j DNAT --to-destination 172.17.0.3:81",
		"-A DOCKER -j DNAT --to-destination 172.17.0.2:80 --random --persistent":   "-j DNAT --to-destination 172.17.0.3:81 --random --persistent",
		`-A DOCKER -m comment --comment "a b" -j DNAT --to-destination 172.17.0.2`: `-m comment --comment "a b" -j DNAT --to-destination 172.17.0.3:81`,
		"-A DOCKER -p tcp -j REDIRECT --to-ports 80 --random":                      "-p tcp -j REDIRECT --to-ports 81 --random",
		"-A DOCKER -p tcp -j REDIRECT":                                             "-p tcp -j REDIRECT --to-ports 81",
	} {
		rule, err := ruleset.ParseRule(text)
		if err != nil {
			t.Fatal(err)
		}
		r := natRule{Rule: rule, chain: "DOCKER", number: 2}
		if got := r.replaced("iptables", at("172.17.0.3:81")); got != "iptables -t nat -R DOCKER 2 "+want {
			t.Errorf("%s: %s", text, got)
		}
	}
}

// An address that two nodes have is always the same one's.
func TestOwner(t *testing.T) {
	w := docker()
	w.link("c2", "eth0").Addresses = prefixes("172.17.0.2/16")
	c := newCase(w.evidence(Silent))
	for range 50 {
		if got := c.Owner(netip.MustParseAddr("172.17.0.2")); got != "c1" {
			t.Fatalf("it is %s's", got)
		}
	}
	for _, a := range []string{"127.0.0.1", "172.17.0.9"} {
		if got := c.Owner(netip.MustParseAddr(a)); got != "" {
			t.Errorf("%s is %s's", a, got)
		}
	}
}

// The variant that the node's own command does not show is named as the command
// for the family of the packet.
func TestOtherVariant(t *testing.T) {
	for _, test := range []struct{ client, server, title, fix string }{
		{clientAddr, hostAddr, "What iptables-nft does not show stops the packet in host: iptables-legacy, filter/INPUT, -A INPUT -j DROP", "iptables-legacy "},
		{"[fd00::1]:40000", "[fd00::2]:8080", "What ip6tables-nft does not show stops the packet in host: ip6tables-legacy, filter/INPUT, -A INPUT -j DROP", "ip6tables-legacy "},
	} {
		e := dockerHost(t, table("filter", ":INPUT ACCEPT"))
		e.Question.Target.Addr = at(test.server)
		first, end := leaving(), on(trace.Input, trace.Filter, test.server)
		end.Variant, end.Rule, end.Policy, end.Verdict, end.Text = trace.Legacy, 1, false, trace.Drop, "-A INPUT -j DROP"
		first.Src, first.Dst, end.Src = at(test.client), at(test.server), at(test.client)
		walk := syn(trace.Dropped, first, end)
		walk.Packet.Src, walk.Packet.Dst = at(test.client), at(test.server)
		e.Attempt.Walks = []trace.Walk{walk}
		a := Explain(e)
		if got := a.Text("en").Title; got != test.title || len(a.Fix.Commands) == 0 || !strings.HasPrefix(a.Fix.Commands[0], test.fix) {
			t.Errorf("%q, %q; want %q, %q", got, a.Fix.Commands, test.title, test.fix)
		}
	}
}
