package tui

import (
	"net/netip"
	"os"
	"testing"

	"packetwalk/lab"
	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

// walker writes a walk down step by step.
type walker struct {
	w        trace.Walk
	node     string
	hook     trace.Hook
	in, out  string
	src, dst netip.AddrPort
	ct       trace.CTState
}

func (b *walker) step(table trace.Table, chain string, rule int, text string, v trace.Verdict, target string, policy bool) {
	b.w.Steps = append(b.w.Steps, trace.Step{Node: b.node, Hook: b.hook, Table: table, Chain: chain, Rule: rule, Text: text,
		Verdict: v, Target: target, Policy: policy, In: b.in, Out: b.out, Src: b.src, Dst: b.dst, CTState: b.ct})
}

// empty is the base chain without rules of each table.
func (b *walker) empty(tables ...trace.Table) {
	for _, t := range tables {
		b.step(t, b.hook.String(), 0, "", trace.Accept, "", true)
	}
}

func (b *walker) enter(table trace.Table, chain string) {
	b.step(table, chain, 0, "", trace.Continue, "", false)
}

func (b *walker) policy(table trace.Table, v trace.Verdict) {
	b.step(table, b.hook.String(), 0, "", v, "", true)
}

func (b *walker) rule(table trace.Table, chain string, rule int, text string, v trace.Verdict, target string) {
	b.step(table, chain, rule, "-A "+chain+" "+text, v, target, false)
}

func (b *walker) conntrack(v trace.Verdict, undone bool) {
	b.step(trace.ConntrackTable, "", 0, "", v, "", false)
	b.w.Steps[len(b.w.Steps)-1].Remembered = &trace.Remembered{Walk: 1, Node: "host", Table: trace.NAT, Chain: "DOCKER", Rule: 2, Undone: undone}
}

func (b *walker) at(node string, h trace.Hook, in, out string) {
	b.node, b.hook, b.in, b.out = node, h, in, out
}

func (b *walker) done(o trace.Outcome) trace.Walk {
	b.w.Outcome, b.w.End = o, len(b.w.Steps)-1
	return b.w
}

var (
	client  = netip.MustParseAddrPort("192.168.23.1:46478")
	public  = netip.MustParseAddrPort("192.168.23.149:80")
	private = netip.MustParseAddrPort("172.17.0.2:80")
)

const dnatRule = "! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80"

func newWalker(id int, d trace.Direction, f trace.TCPFlags, src, dst netip.AddrPort, ct trace.CTState) *walker {
	return &walker{src: src, dst: dst, ct: ct, w: trace.Walk{ID: id, Flow: 1, Direction: d, End: -1,
		Packet: trace.Packet{Family: trace.IPv4, Proto: trace.TCP, Src: src, Dst: dst, Length: 60, TTL: 64, Flags: f}}}
}

// synWalk is the client's SYN to the published port.
func synWalk() trace.Walk {
	b := newWalker(1, trace.Original, trace.SYN, client, public, trace.New)
	b.at("client", trace.Output, "", "eth0")
	b.empty(trace.Raw, trace.Mangle, trace.NAT, trace.Filter, trace.Security)
	b.at("client", trace.Postrouting, "", "eth0")
	b.empty(trace.Mangle, trace.NAT)
	b.at("host", trace.Prerouting, "ens33", "")
	b.empty(trace.Raw, trace.Mangle)
	b.enter(trace.NAT, "PREROUTING")
	b.rule(trace.NAT, "PREROUTING", 1, "-m addrtype --dst-type LOCAL -j DOCKER", trace.Jump, "DOCKER")
	b.enter(trace.NAT, "DOCKER")
	b.dst = private
	b.rule(trace.NAT, "DOCKER", 2, dnatRule, trace.DNAT, "")
	b.forward()
	b.step(trace.Filter, "DOCKER", 1, "-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT", trace.Accept, "", false)
	b.empty(trace.Security)
	b.at("host", trace.Postrouting, "", "docker0")
	b.empty(trace.Mangle)
	b.enter(trace.NAT, "POSTROUTING")
	b.policy(trace.NAT, trace.Accept)
	b.intoContainer()
	return b.done(trace.Delivered)
}

// forward is the way through the host's FORWARD up to filter/DOCKER.
func (b *walker) forward() {
	b.at("host", trace.Forward, "ens33", "docker0")
	b.empty(trace.Mangle)
	b.userAndIsolation()
	b.rule(trace.Filter, "FORWARD", 4, "-o docker0 -j DOCKER", trace.Jump, "DOCKER")
	b.enter(trace.Filter, "DOCKER")
}

func (b *walker) userAndIsolation() {
	b.enter(trace.Filter, "FORWARD")
	b.rule(trace.Filter, "FORWARD", 1, "-j DOCKER-USER", trace.Jump, "DOCKER-USER")
	b.enter(trace.Filter, "DOCKER-USER")
	b.rule(trace.Filter, "DOCKER-USER", 1, "-j RETURN", trace.Return, "")
	b.rule(trace.Filter, "FORWARD", 2, "-j DOCKER-ISOLATION-STAGE-1", trace.Jump, "DOCKER-ISOLATION-STAGE-1")
	b.enter(trace.Filter, "DOCKER-ISOLATION-STAGE-1")
	if b.in == "docker0" {
		b.rule(trace.Filter, "DOCKER-ISOLATION-STAGE-1", 1, "-i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2", trace.Jump, "DOCKER-ISOLATION-STAGE-2")
		b.enter(trace.Filter, "DOCKER-ISOLATION-STAGE-2")
		b.rule(trace.Filter, "DOCKER-ISOLATION-STAGE-2", 2, "-j RETURN", trace.Return, "")
	}
	b.rule(trace.Filter, "DOCKER-ISOLATION-STAGE-1", 2, "-j RETURN", trace.Return, "")
}

func (b *walker) intoContainer() {
	b.at("c1", trace.Prerouting, "eth0", "")
	b.empty(trace.Raw, trace.Mangle)
	if b.ct == trace.New {
		b.empty(trace.NAT)
	}
	b.at("c1", trace.Input, "eth0", "")
	b.empty(trace.Mangle, trace.Filter, trace.Security)
	if b.ct == trace.New {
		b.empty(trace.NAT)
	}
}

// synAckWalk is the container's answer.
func synAckWalk() trace.Walk {
	b := newWalker(2, trace.Reply, trace.SYN|trace.ACK, private, client, trace.Established)
	b.at("c1", trace.Output, "", "eth0")
	b.empty(trace.Raw, trace.Mangle, trace.Filter, trace.Security)
	b.at("c1", trace.Postrouting, "", "eth0")
	b.empty(trace.Mangle)
	b.at("host", trace.Prerouting, "docker0", "")
	b.empty(trace.Raw, trace.Mangle)
	b.at("host", trace.Forward, "docker0", "ens33")
	b.empty(trace.Mangle)
	b.userAndIsolation()
	b.rule(trace.Filter, "FORWARD", 5, "-i docker0 ! -o docker0 -j ACCEPT", trace.Accept, "")
	b.empty(trace.Security)
	b.at("host", trace.Postrouting, "", "ens33")
	b.empty(trace.Mangle)
	b.src = public
	b.conntrack(trace.DNAT, true)
	b.at("client", trace.Prerouting, "eth0", "")
	b.empty(trace.Raw, trace.Mangle)
	b.at("client", trace.Input, "eth0", "")
	b.empty(trace.Mangle, trace.Filter, trace.Security)
	return b.done(trace.Delivered)
}

// ackWalk is the client's second packet, which does not visit nat.
func ackWalk() trace.Walk {
	b := newWalker(3, trace.Original, trace.ACK, client, public, trace.Established)
	b.at("client", trace.Output, "", "eth0")
	b.empty(trace.Raw, trace.Mangle, trace.Filter, trace.Security)
	b.at("client", trace.Postrouting, "", "eth0")
	b.empty(trace.Mangle)
	b.at("host", trace.Prerouting, "ens33", "")
	b.empty(trace.Raw, trace.Mangle)
	b.dst = private
	b.conntrack(trace.DNAT, false)
	b.at("host", trace.Forward, "ens33", "docker0")
	b.empty(trace.Mangle)
	b.userAndIsolation()
	b.rule(trace.Filter, "FORWARD", 3, "-o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", trace.Accept, "")
	b.empty(trace.Security)
	b.at("host", trace.Postrouting, "", "docker0")
	b.empty(trace.Mangle)
	b.intoContainer()
	return b.done(trace.Delivered)
}

// droppedWalk is a SYN to a port that is not published for this destination:
// the policy of FORWARD drops it.
func droppedWalk() trace.Walk {
	b := newWalker(4, trace.Original, trace.SYN, client, private, trace.New)
	b.w.Flow = 2
	b.at("host", trace.Prerouting, "ens33", "")
	b.empty(trace.Raw, trace.Mangle)
	b.enter(trace.NAT, "PREROUTING")
	b.policy(trace.NAT, trace.Accept)
	b.forward()
	b.step(trace.Filter, "DOCKER", 0, "", trace.Return, "", false)
	b.policy(trace.Filter, trace.Drop)
	return b.done(trace.Dropped)
}

func fixtureWalks() []trace.Walk {
	return []trace.Walk{synWalk(), synAckWalk(), ackWalk(), droppedWalk()}
}

func fixtureTopology() lab.Topology {
	prefix := func(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }
	return lab.Topology{
		Nodes: []lab.Node{
			{Name: "host", Kind: lab.Host, Bridges: []lab.Bridge{{Name: "docker0", Addresses: prefix("172.17.0.1/16")}}},
			{Name: "c1", Kind: lab.Container},
			{Name: "client", Kind: lab.Machine},
		},
		Links: []lab.Link{
			{Ends: [2]lab.End{{Node: "client", Interface: "eth0", Addresses: prefix("192.168.23.1/24")}, {Node: "host", Interface: "ens33", Addresses: prefix("192.168.23.149/24")}}},
			{Ends: [2]lab.End{{Node: "host", Interface: "veth1a2b3c", Bridge: "docker0"}, {Node: "c1", Interface: "eth0", Addresses: prefix("172.17.0.2/16")}}},
		},
		Clients: []lab.Client{{Name: "get", Node: "client", Protocol: lab.HTTP, To: public}},
	}
}

func fixtureRulesets(t testing.TB) map[string]ruleset.Ruleset {
	t.Helper()
	text, err := os.ReadFile("testdata/publish-80.rules")
	if err != nil {
		t.Fatal(err)
	}
	host, err := ruleset.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	// Every node has all five tables; those the file does not name are empty.
	empty := ruleset.Ruleset{}
	for _, table := range trace.Tables() {
		tbl := ruleset.Table{Name: table}
		for _, h := range trace.HooksOf(table) {
			tbl.Chains = append(tbl.Chains, ruleset.Chain{Name: h.String(), Policy: trace.Accept})
		}
		empty.Tables = append(empty.Tables, tbl)
		if _, has := host.Table(table); !has {
			host.Tables = append(host.Tables, tbl)
		}
	}
	return map[string]ruleset.Ruleset{"host": host, "c1": empty, "client": empty}
}

func fixtureConfig(t testing.TB, lang string) Config {
	c := Config{Lang: lang, Title: "Publish a container's port", Topology: fixtureTopology(), Rulesets: fixtureRulesets(t),
		Request: "curl http://192.168.23.149/",
		Intro:   "A container's web server is published on port 80 of the host. The client asks the host, and the host's rules bring the packet to the container."}
	if lang == "zh" {
		c.Title, c.Intro = "发布容器端口", "容器中的网页服务发布在宿主机的 80 端口。客户端访问宿主机，宿主机的规则把数据包送到容器。"
	}
	return c
}
