package expect

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"packetwalk/lab"
	"packetwalk/scenarios"
	"packetwalk/trace"
)

var at = netip.MustParseAddrPort

// The addresses of the published port: client, host, container.
var (
	client    = at("192.168.23.1:40000")
	published = at("192.168.23.149:80")
	container = at("172.17.0.2:80")
)

var topology = lab.Topology{Clients: []lab.Client{
	{Name: "request", Node: "client", Protocol: lab.HTTP, To: published},
	{Name: "local", Node: "host", Protocol: lab.HTTP, To: published},
	{Name: "own", Node: "client", Protocol: lab.HTTP, To: published, From: 40001},
	{Name: "ask", Node: "client", Protocol: lab.UDPEcho, To: at("192.168.23.149:53")},
	{Name: "ping", Node: "client", Protocol: lab.Ping, To: at("192.168.23.149:0")},
}}

// step is a step of an entered chain, to be changed.
func step(node string, hook trace.Hook, table trace.Table, chain string, src, dst netip.AddrPort) trace.Step {
	return trace.Step{Node: node, Hook: hook, Table: table, Chain: chain, Verdict: trace.Continue, Src: src, Dst: dst, CTState: trace.New}
}

// walkOf makes a walk that ended in its last step.
func walkOf(id, flow int, direction trace.Direction, p trace.Packet, outcome trace.Outcome, steps ...trace.Step) trace.Walk {
	return trace.Walk{ID: id, Flow: flow, Direction: direction, Packet: p, Outcome: outcome, Steps: steps, End: len(steps) - 1}
}

func tcp(src, dst netip.AddrPort, flags trace.TCPFlags) trace.Packet {
	return trace.Packet{Family: trace.IPv4, Proto: trace.TCP, Src: src, Dst: dst, Flags: flags}
}

// syn is a SYN of the client that DNAT leads to the container.
func syn(id, flow int) trace.Walk {
	dnat := step("host", trace.Prerouting, trace.NAT, "DOCKER", client, container)
	dnat.Rule, dnat.Verdict, dnat.In = 2, trace.DNAT, "ens33"
	jump := step("host", trace.Forward, trace.Filter, "FORWARD", client, container)
	jump.Rule, jump.Verdict, jump.Target, jump.PhysOut = 4, trace.Jump, "DOCKER", "veth-c1"
	end := step("c1", trace.Input, trace.Security, "INPUT", client, container)
	end.Verdict, end.Policy = trace.Accept, true
	return walkOf(id, flow, trace.Original, tcp(client, published, trace.SYN), trace.Delivered,
		step("client", trace.Output, trace.Filter, "OUTPUT", client, published), dnat, jump, end)
}

// synAck is the container's answer to it.
func synAck(id, flow int) trace.Walk {
	undone := step("host", trace.Prerouting, trace.ConntrackTable, "", published, client)
	undone.CTState = trace.Established
	return walkOf(id, flow, trace.Reply, tcp(container, client, trace.SYN|trace.ACK), trace.Delivered,
		step("c1", trace.Output, trace.Filter, "OUTPUT", container, client), undone,
		step("client", trace.Input, trace.Security, "INPUT", published, client))
}

// dropped is a SYN that the host's policy drops.
func dropped(id, flow int) trace.Walk {
	end := step("host", trace.Forward, trace.Filter, "FORWARD", client, container)
	end.Verdict, end.Policy = trace.Drop, true
	return walkOf(id, flow, trace.Original, tcp(client, published, trace.SYN), trace.Dropped,
		step("client", trace.Output, trace.Filter, "OUTPUT", client, published), end)
}

// reset is what the container's kernel says where nothing listens.
func reset(id, flow, refused int) trace.Walk {
	w := synAck(id, flow)
	w.Packet.Flags, w.Answers = trace.RST|trace.ACK, refused
	return w
}

// unreachable is an ICMP error of the host about the client's packet, whose
// direction nobody has found out.
func unreachable(id, flow, refused int) trace.Walk {
	host := netip.AddrPortFrom(published.Addr(), 0)
	to := netip.AddrPortFrom(client.Addr(), 0)
	quoted := tcp(client, published, trace.SYN)
	w := walkOf(id, flow, "", trace.Packet{Family: trace.IPv4, Proto: trace.ICMP, ICMPType: 3, Src: host, Dst: to, Embedded: &quoted},
		trace.Delivered, step("host", trace.Output, trace.Filter, "OUTPUT", host, to), step("client", trace.Input, trace.Filter, "INPUT", host, to))
	w.Answers = refused
	return w
}

func yes() *bool { return new(true) }
func no() *bool  { return new(false) }

var (
	answered = map[string]Answer{"request": {Response: lab.Response{Status: 200}}}
	refused  = map[string]Answer{"request": {Err: errors.New("connection refused")}}
)

func TestCheck(t *testing.T) {
	type x = scenarios.Expectation
	type places = []scenarios.Place
	delivered := []trace.Walk{syn(1, 1), synAck(2, 1)}
	dnat := scenarios.Place{Node: "host", Table: trace.NAT, Chain: "DOCKER", Rule: 2, Verdict: trace.DNAT}
	jump := scenarios.Place{Hook: "FORWARD", Rule: 4, Target: "DOCKER", Out: "veth-c1"}
	tests := map[string]struct {
		walks   []trace.Walk
		answers map[string]Answer
		expect  x
		fault   Fault
		walk    int
	}{
		"answered":               {delivered, answered, x{Request: "request", Answered: yes()}, "", 0},
		"no answer":              {delivered, refused, x{Request: "request", Answered: yes()}, NoAnswer, 0},
		"refused is no answer":   {delivered, refused, x{Request: "request", Answered: no()}, "", 0},
		"an answer":              {delivered, answered, x{Request: "request", Answered: no()}, HasAnswer, 0},
		"never sent, wanted":     {nil, nil, x{Request: "request", Answered: yes()}, NoAnswer, 0},
		"never sent, unwanted":   {nil, nil, x{Request: "request", Answered: no()}, NoPacket, 0},
		"no packet left":         {nil, refused, x{Request: "request", Answered: no()}, "", 0},
		"no packet to end":       {nil, refused, x{Request: "request", Answered: no(), Outcome: trace.Dropped}, NoPacket, 0},
		"unknown client":         {delivered, answered, x{Request: "nobody", Outcome: trace.Delivered}, NoPacket, 0},
		"outcome":                {delivered, answered, x{Request: "request", Outcome: trace.Delivered}, "", 1},
		"other outcome":          {delivered, answered, x{Request: "request", Outcome: trace.Dropped}, WrongOutcome, 1},
		"at":                     {delivered, answered, x{Request: "request", At: "c1"}, "", 1},
		"at another node":        {delivered, answered, x{Request: "request", At: "host"}, WrongNode, 1},
		"end":                    {delivered, answered, x{Request: "request", End: &scenarios.Place{Node: "c1", Policy: true, Hook: "INPUT"}}, "", 1},
		"another end":            {delivered, answered, x{Request: "request", End: &dnat}, WrongEnd, 1},
		"through":                {delivered, answered, x{Request: "request", Through: places{dnat, jump}}, "", 1},
		"through, out of order":  {delivered, answered, x{Request: "request", Through: places{jump, dnat}}, NotThrough, 1},
		"through one step twice": {delivered, answered, x{Request: "request", Through: places{dnat, dnat}}, NotThrough, 1},
		"avoids":                 {delivered, answered, x{Request: "request", Avoids: places{{Node: "host", Hook: "INPUT"}}}, "", 1},
		"does not avoid":         {delivered, answered, x{Request: "request", Avoids: places{{Node: "z"}, jump}}, NotAvoided, 1},
		"dst":                    {delivered, answered, x{Request: "request", Dst: container}, "", 1},
		"dst, any port":          {delivered, answered, x{Request: "request", Dst: at("172.17.0.2:0")}, "", 1},
		"dst before NAT":         {delivered, answered, x{Request: "request", Dst: published}, WrongAddress, 1},
		"src":                    {delivered, answered, x{Request: "request", Src: at("172.17.0.1:0")}, WrongAddress, 1},
		"reply":                  {delivered, answered, x{Request: "request", Packet: scenarios.Reply, At: "client", Src: published}, "", 2},
		"reply, conntrack": {delivered, answered, x{Request: "request", Packet: scenarios.Reply,
			Through: places{{Table: trace.ConntrackTable, State: trace.Established}}}, "", 2},
		"no reply":           {delivered[:1], answered, x{Request: "request", Packet: scenarios.Reply}, NoPacket, 0},
		"every":              {delivered, answered, x{Request: "request", Packet: scenarios.Every, Outcome: trace.Delivered}, "", 1},
		"not every":          {delivered, answered, x{Request: "request", Packet: scenarios.Every, Through: places{dnat}}, NotThrough, 2},
		"from":               {delivered, nil, x{From: "c1", Outcome: trace.Delivered, At: "client"}, "", 2},
		"from and reply":     {delivered, nil, x{From: "c1", Packet: scenarios.Reply, At: "c1"}, "", 1},
		"to":                 {delivered, nil, x{To: at("192.168.23.149:0"), Protocol: lab.TCPEcho, At: "c1"}, "", 1},
		"to, translated":     {delivered, nil, x{To: container, Outcome: trace.Delivered}, NoPacket, 0},
		"other protocol":     {delivered, nil, x{From: "client", Protocol: lab.UDPEcho, Packet: scenarios.None}, "", 0},
		"none, and one":      {delivered, nil, x{From: "client", Packet: scenarios.None}, SeenPacket, 1},
		"none there":         {delivered, nil, x{From: "client", Packet: scenarios.None, Through: places{{Table: trace.Raw}}}, "", 0},
		"one there":          {delivered, nil, x{From: "client", Packet: scenarios.None, Through: places{dnat}}, SeenPacket, 1},
		"forwarding node":    {delivered, nil, x{From: "host", Packet: scenarios.None}, "", 0},
		"other client":       {delivered, nil, x{Request: "local", Outcome: trace.Delivered}, NoPacket, 0},
		"other own port":     {delivered, nil, x{Request: "own", Outcome: trace.Delivered}, NoPacket, 0},
		"other port":         {delivered, nil, x{Request: "ask", Outcome: trace.Delivered}, NoPacket, 0},
		"ping is no TCP":     {delivered, nil, x{Request: "ping", Outcome: trace.Delivered}, NoPacket, 0},
		"retransmitted":      {[]trace.Walk{syn(2, 1), dropped(1, 1)}, refused, x{Request: "request", Outcome: trace.Dropped}, "", 1},
		"retransmitted, all": {[]trace.Walk{dropped(1, 1), syn(2, 1)}, refused, x{Request: "request", Packet: scenarios.Every, Outcome: trace.Dropped}, WrongOutcome, 2},
		"retransmission is no reply": {[]trace.Walk{dropped(1, 1), dropped(2, 1)}, refused,
			x{Request: "request", Packet: scenarios.Reply}, NoPacket, 0},
		"reset": {[]trace.Walk{syn(1, 1), reset(2, 1, 1)}, refused, x{Request: "request", Packet: scenarios.Reply, At: "client"}, "", 2},
		"ICMP error": {[]trace.Walk{dropped(1, 1), unreachable(2, 1, 1)}, refused,
			x{Request: "request", Packet: scenarios.Reply, Src: at("192.168.23.149:0")}, "", 2},
		"ICMP error about nothing seen": {[]trace.Walk{dropped(1, 1), unreachable(2, 1, 0)}, refused,
			x{Request: "request", Packet: scenarios.Reply, At: "client"}, "", 2},
		"ICMP error that was told first": {[]trace.Walk{later(unreachable(1, 1, 2)), dropped(2, 1)}, refused,
			x{Request: "request", Outcome: trace.Dropped}, "", 2},
		"stray segment": {[]trace.Walk{stray(3, 7), syn(4, 8)}, answered, x{Request: "request", Outcome: trace.Delivered}, "", 4},
		"only a stray":  {[]trace.Walk{stray(3, 7)}, refused, x{Request: "request", Outcome: trace.Lost}, NoPacket, 0},
		"still under way": {[]trace.Walk{{ID: 1, Flow: 1, Packet: tcp(client, published, trace.SYN), End: -1}}, refused,
			x{Request: "request", Packet: scenarios.First}, NoPacket, 0},
		"neighbour discovery": {[]trace.Walk{solicitation()}, nil, x{From: "client", Packet: scenarios.None}, "", 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := Check(Evidence{topology, test.walks, test.answers}, []scenarios.Expectation{test.expect})
			if len(got) != 1 || got[0].Holds != (test.fault == "") || got[0].Fault != test.fault || got[0].Walk != test.walk {
				t.Errorf("Check = holds %t, fault %q, walk %d; want fault %q, walk %d", got[0].Holds, got[0].Fault, got[0].Walk, test.fault, test.walk)
			}
		})
	}
}

// later moves a walk to the second after all others.
func later(w trace.Walk) trace.Walk {
	for i := range w.Steps {
		w.Steps[i].Time = time.Time{}.Add(time.Second)
	}
	return w
}

// stray is the last segment of a connection that was opened before.
func stray(id, flow int) trace.Walk {
	return walkOf(id, flow, "", tcp(client, published, trace.FIN|trace.ACK), trace.Lost,
		step("client", trace.Output, trace.Filter, "OUTPUT", client, published))
}

func solicitation() trace.Walk {
	src, dst := at("[fe80::1]:0"), at("[ff02::1]:0")
	return walkOf(1, 1, "", trace.Packet{Family: trace.IPv6, Proto: trace.ICMPv6, ICMPType: 135, Src: src, Dst: dst}, trace.Lost,
		step("client", trace.Output, trace.Filter, "OUTPUT", src, dst))
}

// TestCheckPing sees an echo reply told from its request by who sends it, where
// no node tracks connections.
func TestCheckPing(t *testing.T) {
	a, b := at("192.168.23.1:0"), at("192.168.23.149:0")
	echo := func(id int, typ uint8, from string, src, dst netip.AddrPort) trace.Walk {
		return walkOf(id, 1, "", trace.Packet{Family: trace.IPv4, Proto: trace.ICMP, ICMPType: typ, Src: src, Dst: dst}, trace.Delivered,
			step(from, trace.Output, trace.Filter, "OUTPUT", src, dst))
	}
	e := Evidence{Topology: topology, Walks: []trace.Walk{echo(1, 8, "client", a, b), echo(2, 0, "host", b, a)}}
	results := Check(e, []scenarios.Expectation{
		{Request: "ping", Packet: scenarios.First}, {Request: "ping", Packet: scenarios.Reply}, {From: "host", Protocol: lab.Ping, Dst: a},
	})
	for i, want := range []int{1, 2, 2} {
		if r := results[i]; !r.Holds || r.Walk != want {
			t.Errorf("result %d: holds %t, fault %q, walk %d; want walk %d", i, r.Holds, r.Fault, r.Walk, want)
		}
	}
}

// TestCheckPingBack sees that a node's answer to another's ping does not pass for
// a ping of its own.
func TestCheckPingBack(t *testing.T) {
	a, b := at("192.168.23.1:0"), at("192.168.23.149:0")
	echo := func(id, flow int, typ uint8, from string, src, dst netip.AddrPort) trace.Walk {
		return walkOf(id, flow, "", trace.Packet{Family: trace.IPv4, Proto: trace.ICMP, ICMPType: typ, Src: src, Dst: dst}, trace.Delivered,
			step(from, trace.Output, trace.Filter, "OUTPUT", src, dst))
	}
	e := Evidence{Topology: topology, Walks: []trace.Walk{
		echo(1, 1, 8, "host", b, a), echo(2, 1, 0, "client", a, b), echo(3, 2, 8, "client", a, b),
	}}
	if r := Check(e, []scenarios.Expectation{{Request: "ping", Packet: scenarios.First}})[0]; !r.Holds || r.Walk != 3 {
		t.Errorf("holds %t, fault %q, walk %d; want walk 3", r.Holds, r.Fault, r.Walk)
	}
}

// TestCheckKeepsEvidence sees that the caller's walks are left as they are.
func TestCheckKeepsEvidence(t *testing.T) {
	walks := []trace.Walk{synAck(2, 1), syn(1, 1), {ID: 3}}
	Check(Evidence{Topology: topology, Walks: walks}, nil)
	if walks[0].ID != 2 || walks[1].ID != 1 || walks[2].ID != 3 {
		t.Errorf("the walks are now %d, %d, %d", walks[0].ID, walks[1].ID, walks[2].ID)
	}
}
