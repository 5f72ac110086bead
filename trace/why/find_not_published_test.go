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
