package why

import (
	"slices"
	"strings"
	"testing"

	"packetwalk/trace"
	"packetwalk/trace/host"
)

// askedFor is evidence of a request that came to the host itself, which has
// these rules for its nat table.
func askedFor(t *testing.T, proto trace.Proto, rule string) Evidence {
	t.Helper()
	e := dockerHost(t, natRulesOfDocker(rule))
	e.Question.Target.Proto, e.Attempt.Result = proto, Refused
	w := syn(trace.Delivered, leaving(), on(trace.Prerouting, trace.NAT, hostAddr), on(trace.Input, trace.Filter, hostAddr))
	if w.Packet.Proto = proto; proto != trace.TCP {
		w.Packet.Flags = 0
	}
	e.Attempt.Walks = []trace.Walk{w}
	return e
}

// listening has a node of evidence listen on these, and on nothing else.
func listening(e Evidence, node string, sockets ...host.Socket) {
	state := e.Hosts[node]
	state.Sockets = sockets
	e.Hosts[node] = state
}

const publishes8081 = "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8081 -j DNAT --to-destination 172.17.0.2:80"

// TestWhatToPublish names the rule that is missing, and says what to do with
// those that listen behind the host.
func TestWhatToPublish(t *testing.T) {
	tcp80, tcp81 := host.Socket{Proto: trace.TCP, Local: at("0.0.0.0:80")}, host.Socket{Proto: trace.TCP, Local: at("0.0.0.0:81")}
	udp53 := host.Socket{Proto: trace.UDP, Local: at("0.0.0.0:53")}
	for name, test := range map[string]struct {
		proto           trace.Proto
		sockets         []host.Socket
		culprit, en, zh string
	}{
		"one":  {trace.TCP, []host.Socket{tcp80}, "no rule for tcp port 8080", "web listens on tcp 172.17.0.2:80: publish it with -p 8080:80.", "web 正在监听 tcp 172.17.0.2:80：用 -p 8080:80 发布它。"},
		"UDP":  {trace.UDP, []host.Socket{tcp80, udp53}, "no rule for udp port 8080", "web listens on udp 172.17.0.2:53: publish it with -p 8080:53/udp.", "-p 8080:53/udp"},
		"two":  {trace.TCP, []host.Socket{tcp80, tcp81}, "no rule for tcp port 8080", "these listen: web tcp 172.17.0.2:80, web tcp 172.17.0.2:81. Publish the one that is meant with -p 8080:PORT.", "-p 8080:PORT"},
		"none": {trace.TCP, []host.Socket{udp53}, "no rule for tcp port 8080", "Nothing behind host was seen to listen for tcp: start the server", "没有看到 host 后面有程序监听 tcp"},
	} {
		t.Run(name, func(t *testing.T) {
			e := askedFor(t, test.proto, publishes8081)
			listening(e, "web", test.sockets...)
			a := expect(t, e, "not-published", "host: "+test.culprit)
			if en, zh := a.Text("en").Because, a.Text("zh").Because; !strings.Contains(en, test.en) || !strings.Contains(zh, test.zh) {
				t.Errorf("%s\n%s", en, zh)
			}
		})
	}
}

// TestOtherProtocol says what to do with a port that is published for another
// protocol, also where nobody listens for the one in question.
func TestOtherProtocol(t *testing.T) {
	const rule = "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80"
	for name, test := range map[string]struct {
		sockets []host.Socket
		because string
		fix     bool
	}{
		"nobody listens": {nil, "Nothing listens on udp 172.17.0.2:80 either: ask over tcp, or start a server there for udp, and publish it as well, with -p 8080:80/udp.", false},
		"a server does":  {[]host.Socket{{Proto: trace.UDP, Local: at("0.0.0.0:80")}}, "Ask for it over tcp, or publish it for udp as well, with -p 8080:80/udp.", true},
	} {
		t.Run(name, func(t *testing.T) {
			e := askedFor(t, trace.UDP, rule)
			listening(e, "web", test.sockets...)
			a := expect(t, e, "published-other-protocol", "host: "+rule)
			if got := a.Text("en").Because; !strings.HasSuffix(got, test.because) || (len(a.Fix.Commands) > 0) != test.fix {
				t.Errorf("%s, %q", got, a.Fix.Commands)
			}
		})
	}
}

// TestHairpinLacksMasquerade names what is missing in POSTROUTING.
func TestHairpinLacksMasquerade(t *testing.T) {
	w := docker()
	e := w.evidence(Silent, packet("172.17.0.2:40000", toHost, "c1 >eth0", "host docker0>docker0 = "+toC1, "c1 eth0>"))
	e.Question.From = "c1"
	a := expect(t, e, "hairpin", "host: no MASQUERADE or SNAT from 172.17.0.2 to 172.17.0.2:80")
	if !slices.Equal(a.Fix.Commands, []string{"iptables -t nat -I POSTROUTING 1 -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE"}) {
		t.Errorf("the fix is %q", a.Fix.Commands)
	}
}

// bridges is evidence of a request by a container to its host, behind which web
// listens on another bridge: the rules keep the two apart as those of a version of
// Docker do.
func bridges(t *testing.T, rule string, filter ...string) Evidence {
	t.Helper()
	e := dockerHost(t, natRulesOfDocker(rule), table("filter", append([]string{":INPUT ACCEPT", ":FORWARD DROP", ":OUTPUT ACCEPT"}, filter...)...))
	state := e.Hosts["host"]
	state.Links = append(slices.Clone(state.Links), host.Link{Name: "br1", Kind: "bridge", Up: true, Carrier: true, Addresses: prefixes("172.18.0.1/16")})
	e.Hosts["host"] = state
	first, nat, last := leaving(), on(trace.Prerouting, trace.NAT, hostAddr), on(trace.Input, trace.Filter, hostAddr)
	first.Src, nat.Src, last.Src, nat.In, last.In = at("172.18.0.2:40000"), at("172.18.0.2:40000"), at("172.18.0.2:40000"), "br1", "br1"
	w := syn(trace.Delivered, first, nat, last)
	w.Packet.Src = first.Src
	e.Attempt.Result, e.Attempt.Walks = Refused, []trace.Walk{w}
	return e
}

// stages are the chains of Docker 20.10 between its networks.
var stages = []string{
	":DOCKER-USER -", ":DOCKER-ISOLATION-STAGE-1 -", ":DOCKER-ISOLATION-STAGE-2 -",
	"-A FORWARD -j DOCKER-USER", "-A FORWARD -j DOCKER-ISOLATION-STAGE-1",
	"-A DOCKER-ISOLATION-STAGE-1 -i br1 ! -o br1 -j DOCKER-ISOLATION-STAGE-2", "-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP",
}

// TestNetworksKeptApart offers nothing that lets a container past what keeps its
// network apart from another, and says who listens there.
func TestNetworksKeptApart(t *testing.T) {
	const inside = "web listens on tcp 172.17.0.2:80, in a network that host keeps "
	for name, test := range map[string]struct {
		rule    string
		filter  []string
		cause   Name
		because string
		fixes   int
	}{
		"another network":        {publishes8081, stages, "not-published", inside + "apart from br1", 0},
		"nothing stands between": {publishes8081, []string{"-A FORWARD -i br1 -j ACCEPT", "-A FORWARD -o br1 -j ACCEPT"}, "not-published", "publish it with -p 8080:80", 1},
		// Docker 28 lets everybody reach what is published.
		"Docker 28":       {publishes8081, []string{":DOCKER -", ":DOCKER-USER -", "-A FORWARD -j DOCKER-USER", "-A FORWARD -j DOCKER", "-A DOCKER ! -i docker0 -o docker0 -j DROP", "-A FORWARD -o br1 -j ACCEPT"}, "not-published", "publish it with -p 8080:80", 2},
		"a rule is there": {"-A DOCKER ! -i br1 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80", stages, "nat-passed-over", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			a := Explain(bridges(t, test.rule, test.filter...))
			if a.Cause != test.cause || len(a.Fix.Commands) != test.fixes || !strings.Contains(a.Text("en").Because, test.because) {
				t.Errorf("%s, %q: %s", a.Cause, a.Fix.Commands, a.Text("en").Because)
			}
			said := slices.ContainsFunc(a.Evidence, func(f Fact) bool {
				return f.Kind == KeptApart && strings.HasSuffix(f.Text("en"), "filter/DOCKER-ISOLATION-STAGE-2 rule 1, -A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP")
			})
			if said != (test.fixes == 0) {
				t.Errorf("the evidence is %v", a.Evidence)
			}
		})
	}
}

// TestInternalNetwork offers no way into a network that has none.
func TestInternalNetwork(t *testing.T) {
	e := dockerHost(t, natRulesOfDocker(publishes8081), table("filter", ":FORWARD ACCEPT", ":DOCKER-INTERNAL -", "-A FORWARD -j DOCKER-INTERNAL", "-A DOCKER-INTERNAL ! -s 172.17.0.0/16 -o docker0 -j DROP"))
	e.Attempt = askedFor(t, trace.TCP, publishes8081).Attempt
	a := expect(t, e, "not-published", "host: no rule for tcp port 8080")
	if got := a.Text("en").Because; len(a.Fix.Commands) > 0 || !strings.Contains(got, "in a network that host keeps to itself. Give web a second network") {
		t.Errorf("%s, %q", got, a.Fix.Commands)
	}
}
