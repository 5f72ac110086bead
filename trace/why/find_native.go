package why

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/host"
)

// suspect is a native nft chain that stands where a packet vanished.
type suspect struct {
	host.NativeChain
	passage
	// rules are those of the chain that may have dropped it: what their texts
	// show to be others' is left out.
	rules []host.NativeRule
}

// name is the chain in the words of nft(8).
func (s suspect) name() string { return s.Family + " " + s.NativeChain.Table + " " + s.Name }

// byPolicy says whether the policy may have dropped the packet.
func (s suspect) byPolicy() bool { return s.NativeChain.Policy == trace.Drop }

// findNativeNft is a chain of nf_tables that iptables does not show, at the very
// place where the packet vanished.
func findNativeNft(c *Case) *Finding {
	suspects := c.suspects()
	if len(suspects) == 0 || len(c.Drops) > 0 && !slices.ContainsFunc(c.Drops, func(d Drop) bool { return d.Reason == "NETFILTER_DROP" }) {
		return nil
	}
	f := &Finding{Values: Values{"node": suspects[0].Node, "chains": ""}}
	var names []string
	for _, s := range suspects {
		names = append(names, s.name())
		f.Facts = append(f.Facts, Fact{Kind: NativeStands, Step: -1, Values: Values{"node": s.Node, "text": s.name()}})
	}
	f.Values["chains"] = strings.Join(names, ", ")
	s := suspects[0]
	switch {
	case len(suspects) == 1 && len(s.rules) == 1 && !s.byPolicy():
		r := s.rules[0]
		f.Culprit = Culprit{Kind: NativeRule, Node: s.Node, Table: trace.Table(s.Family + " " + s.NativeChain.Table), Chain: r.Chain, Handle: r.Handle, Text: r.Text}
		f.Fix = c.aroundRule(s, r)
	case len(suspects) == 1 && len(s.rules) == 0:
		text := fmt.Sprintf("type filter hook %s priority %d; policy drop;", s.NativeChain.Hook, s.Priority)
		f.Culprit = Culprit{Kind: Policy, Node: s.Node, Table: trace.Table(s.Family + " " + s.NativeChain.Table), Chain: s.Name, Text: text}
		f.Fix = c.beforePolicy(s)
	default:
		f.Unseen = append(f.Unseen, watchTrace(s))
		if len(suspects) == 1 {
			f.Culprit = Culprit{Kind: Chain, Node: s.Node, Table: trace.Table(s.Family + " " + s.NativeChain.Table), Chain: s.Name, Text: s.name()}
		}
	}
	if len(c.Drops) == 0 {
		f.Unseen = append(f.Unseen, watchTrace(s))
	}
	f.Unseen = slices.CompactFunc(f.Unseen, func(a, b Fact) bool { return a.Values["command"] == b.Values["command"] })
	return f
}

// watchTrace is what would show the very rule.
func watchTrace(s suspect) Fact {
	return Fact{Kind: WouldShow, Step: -1, Values: Values{"node": s.Node, "command": "nft monitor trace"}}
}

// aroundRule lets the packet, and its answer where the rule may be meant for
// that as well, pass in front of a rule.
func (c *Case) aroundRule(s suspect, r host.NativeRule) Fix {
	put := func(p passage) string {
		return fmt.Sprintf("nft insert rule %s %s %s position %d %s accept", s.Family, s.NativeChain.Table, r.Chain, r.Handle, nftSpec(p))
	}
	fix := Fix{Node: s.Node, Commands: []string{put(s.passage)}}
	if back, ok := s.passage.answer(); ok && !s.back && back.Hook == s.passage.Hook && !rulesOut(r.Text, back) {
		fix.Commands = append(fix.Commands, put(back))
	}
	return fix
}

// beforePolicy lets the packet and its answer pass at the end of a chain.
func (c *Case) beforePolicy(s suspect) Fix {
	put := func(p passage) string {
		return fmt.Sprintf("nft add rule %s %s %s %s accept", s.Family, s.NativeChain.Table, s.Name, nftSpec(p))
	}
	fix := Fix{Node: s.Node, Commands: []string{put(s.passage)}}
	if back, ok := s.passage.answer(); ok && !s.back && back.Hook == s.passage.Hook {
		fix.Commands = append(fix.Commands, put(back))
	}
	return fix
}

// nftSpec is what exception's spec is, in the words of nft(8).
func nftSpec(p passage) string {
	ip := "ip"
	if p.Dst.Addr().Is6() {
		ip = "ip6"
	}
	var words []string
	if !p.isStandIn(p.Src) {
		words = append(words, ip, "saddr", bare(p.Src.Addr()))
	}
	if !p.isStandIn(p.Dst) {
		words = append(words, ip, "daddr", bare(p.Dst.Addr()))
	}
	port, side := p.Dst.Port(), "dport"
	if p.back {
		port, side = p.Src.Port(), "sport"
	}
	switch p.header.Proto {
	case trace.TCP, trace.UDP:
		words = append(words, p.header.Proto.String(), side, fmt.Sprint(port))
	case trace.ICMP:
		words = append(words, "icmp", "type", fmt.Sprint(p.header.ICMPType))
	case trace.ICMPv6:
		words = append(words, "icmpv6", "type", fmt.Sprint(p.header.ICMPType))
	}
	return strings.Join(words, " ")
}

// suspects are the native chains at the places where the packet can have vanished.
func (c *Case) suspects() []suspect {
	var all []suspect
	for _, g := range c.gaps() {
		for _, n := range c.Hosts[g.Node].Native {
			if !n.Drops || !g.holds(n) || !c.sees(n) {
				continue
			}
			s := suspect{NativeChain: n, passage: g.passage}
			s.rules = slices.DeleteFunc(slices.Clone(n.Rules), func(r host.NativeRule) bool { return rulesOut(r.Text, g.passage) })
			if len(s.rules) > 0 || s.byPolicy() {
				all = append(all, s)
			}
		}
	}
	return all
}

// sees says whether a chain's family has packets like those in question.
func (c *Case) sees(n host.NativeChain) bool {
	switch n.Family {
	case "ip":
		return c.Family() == trace.IPv4
	case "ip6":
		return c.Family() == trace.IPv6
	}
	return true
}

// gap is a stretch of a packet's way through a node on which no probe stands:
// the places of a hook between two priorities, both included.
type gap struct {
	passage
	hook     string // nft's word
	from, to int
	// devices are the node's interfaces that the packet passes, where the hook is
	// one of interfaces.
	devices []string
}

func (g gap) holds(n host.NativeChain) bool {
	passes := len(n.Devices) == 0 || slices.ContainsFunc(n.Devices, func(d string) bool { return slices.Contains(g.devices, d) })
	return n.Hook == g.hook && g.from <= n.Priority && n.Priority <= g.to && passes
}

const (
	lowest  = math.MinInt32
	highest = math.MaxInt32
)

// gaps are those in which the packet, or its answer, can have vanished: behind
// what showed it last, and in front of what would have shown it next.
func (c *Case) gaps() []gap {
	if c.Request == nil {
		if c.Attempt.Err != "EPERM" {
			return nil
		}
		header := trace.Packet{Proto: c.Question.Target.Proto}
		p := passage{Step: trace.Step{Node: c.Question.From, Hook: trace.Output, Src: c.Attempt.Local, Dst: c.asked()}, header: header}
		return []gap{c.before(p)}
	}
	if w, last, ok := c.Lost(); ok {
		return c.gapsBehind(c.coming(w, last))
	}
	at, ok := c.Arrived()
	if !ok || c.Reply != nil || len(c.Refusals) > 0 || !c.takes(at) {
		return nil
	}
	p := c.coming(c.Request, at)
	answer, _ := p.answer()
	return []gap{c.after(p), c.before(answer)}
}

// after is what is left of a packet's hook behind the table that showed it last.
func (c *Case) after(p passage) gap {
	from, ok := p.Variant.Priority(p.Hook, p.Table)
	if !ok {
		from = lowest
	}
	g := gap{passage: p, hook: strings.ToLower(p.Hook.String()), from: from, to: highest}
	for v, rules := range c.Rules[p.Node] {
		for _, t := range v.TablesAt(p.Hook) {
			priority, _ := v.Priority(p.Hook, t)
			if _, there := rules.Table(t); there && t != trace.NAT && priority > from {
				g.to = min(g.to, priority)
			}
		}
	}
	return g
}

// before is what a packet meets at a hook in front of the first table.
func (c *Case) before(p passage) gap {
	g := gap{passage: p, hook: strings.ToLower(p.Hook.String()), from: lowest, to: highest}
	for v, rules := range c.Rules[p.Node] {
		for _, t := range v.TablesAt(p.Hook) {
			if _, there := rules.Table(t); there && t != trace.NAT {
				priority, _ := v.Priority(p.Hook, t)
				g.to = min(g.to, priority)
			}
		}
	}
	return g
}

// gapsBehind are the gaps behind the last step of a packet that was lost.
func (c *Case) gapsBehind(p passage) []gap {
	here := c.after(p)
	all := []gap{here}
	if here.to != highest {
		return all // another table of the same hook would have shown it
	}
	next := map[trace.Hook][]trace.Hook{
		trace.Prerouting: {trace.Input, trace.Forward}, trace.Forward: {trace.Postrouting}, trace.Output: {trace.Postrouting},
	}
	for _, h := range next[p.Hook] {
		on := p
		on.Hook = h
		if h == trace.Forward {
			on.Out = c.wayTo(p.Node, p.Dst.Addr())
		}
		if p.Hook != trace.Prerouting || c.Hosts[p.Node].Owns(p.Dst.Addr()) == (h == trace.Input) {
			all = append(all, c.before(on))
		}
	}
	if p.Hook == trace.Postrouting {
		out := port(p.Node, p.Out)
		egress := gap{passage: p, hook: "egress", from: lowest, to: highest, devices: []string{p.Out}}
		if x, ok := c.crossing(); ok && x.from == out && x.to != (host.Port{}) {
			egress.devices = append(egress.devices, c.onWire(p.Node, out, x.to)...)
		}
		all = append(all, egress)
		for _, to := range c.neighborsOf(p.Node, p.Out) {
			on := p
			on.Node, on.Hook, on.In, on.Out, on.CTState = to.Node, trace.Prerouting, to.Interface, "", ""
			ingress := gap{passage: on, hook: "ingress", from: lowest, to: highest, devices: c.onWire(to.Node, out, to)}
			all = append(all, ingress, c.before(on))
		}
	}
	return all
}

// onWire are the interfaces of a node, ports of a bridge too, on the way from one
// port to another.
func (c *Case) onWire(node string, from, to host.Port) []string {
	var all []string
	for _, p := range c.wire(from, to) {
		if p.Node == node {
			all = append(all, p.Interface)
		}
	}
	return all
}

// neighborsOf are the interfaces of other nodes on the segment of an interface
// that have addresses, of those the ones that the packet can go on by.
func (c *Case) neighborsOf(node, out string) []host.Port {
	var all []host.Port
	for _, other := range c.nodes() {
		for _, l := range c.Hosts[other].Links {
			if at := port(other, l.Name); other != node && len(l.Addresses) > 0 && c.hears(port(node, out), at) {
				all = append(all, at)
			}
		}
	}
	return all
}
