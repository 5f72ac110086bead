package why

import (
	"strconv"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/host"
	"packetwalk/trace/ruleset"
)

func itoa(n int) string { return strconv.Itoa(n) }

// tooBig is a packet that was lost where it did not fit into the next link.
type tooBig struct {
	walk *trace.Walk
	// link is the one it did not fit into, and mtu what does, in bytes.
	link host.Port
	mtu  int
}

// findMTU is a link that is too small for the connection's data, while the
// sender of the data does not learn that.
func findMTU(c *Case) *Finding {
	big, ok := c.tooBig()
	if !ok {
		return nil
	}
	values := Values{"dev": big.link.Interface, "mtu": itoa(big.mtu), "length": itoa(big.walk.Packet.Length), "small": big.link.Node}
	facts := []Fact{
		{Kind: PacketTooBig, Walk: big.walk.ID, Step: len(big.walk.Steps) - 1, Values: Values{"length": values["length"], "node": big.link.Node, "dev": big.link.Interface, "mtu": values["mtu"]}},
	}
	if end, ok := c.errorStopped(); ok {
		return &Finding{Culprit: culpritOf(end), Fix: c.passError(end), Values: values, Facts: facts}
	}
	return &Finding{
		Culprit: Culprit{Kind: Link, Node: big.link.Node, Text: big.link.Interface},
		Fix:     Fix{Node: big.link.Node, Commands: []string{"ip link set " + big.link.Interface + " mtu " + itoa(c.largest(big))}},
		Values:  values, Facts: facts,
	}
}

// tooBig finds the first packet of the connection that was lost for its size.
func (c *Case) tooBig() (tooBig, bool) {
	for i := range c.Attempt.Walks {
		w := &c.Attempt.Walks[i]
		if w.Outcome != trace.Lost {
			continue
		}
		legs := legsOf(w)
		for _, p := range c.ahead(legs[len(legs)-1]) {
			if l := c.link(p); l.MTU > 0 && w.Packet.Length > l.MTU {
				return tooBig{w, p, l.MTU}, true
			}
		}
	}
	return tooBig{}, false
}

// ahead are the interfaces that a packet had before it where it was seen last:
// the outgoing one of the node and, as wires drop what the other end does not
// take, those on the way to the next hop (is_skb_forwardable in net/core/dev.c).
func (c *Case) ahead(l leg) []host.Port {
	q := l.query()
	out := l.last.Out
	if out == "" {
		way := c.decide(l.last.Node, q)
		if way.Route == nil {
			return nil
		}
		out = way.Route.Hops()[0].Interface
	}
	all := []host.Port{port(l.last.Node, out)}
	l.last.Out = out
	if hop, ok := c.hopOf(l); ok {
		if to, ok := c.holderBehind(all[0], hop); ok {
			all = c.wire(all[0], to)
		}
	}
	return all
}

// errorStopped is the step that stopped an ICMP error about a packet's size.
func (c *Case) errorStopped() (trace.Step, bool) {
	for i := range c.Refusals {
		w := &c.Refusals[i]
		end, ok := w.EndStep()
		if ok && saysTooBig(w.Packet) && (w.Outcome == trace.Dropped || w.Outcome == trace.Rejected) {
			return end, true
		}
	}
	return trace.Step{}, false
}

// passError lets such errors pass in front of the rule that stopped one, or
// behind all rules where the policy did.
func (c *Case) passError(end trace.Step) Fix {
	at := " -A " + end.Chain
	if !end.Policy {
		at = " -I " + end.Chain + " " + itoa(end.Rule)
	}
	spec := " -p icmp -m icmp --icmp-type fragmentation-needed"
	if c.Family() == trace.IPv6 {
		spec = " -p ipv6-icmp -m icmp6 --icmpv6-type packet-too-big"
	}
	return Fix{Node: end.Node, Commands: []string{c.table(end) + at + spec + " -j ACCEPT"}}
}

// saysTooBig is fragmentation needed (RFC 1191) or packet too big (RFC 4443).
func saysTooBig(p trace.Packet) bool {
	return p.Proto == trace.ICMP && p.ICMPType == 3 && p.ICMPCode == 4 || p.Proto == trace.ICMPv6 && p.ICMPType == 2
}

// largest is the MTU of the interface that the packet was sent by, which fits it.
func (c *Case) largest(b tooBig) int {
	first := legsOf(b.walk)[0].last
	if mtu := c.link(port(first.Node, first.Out)).MTU; mtu >= b.walk.Packet.Length {
		return mtu
	}
	return b.walk.Packet.Length
}

// expired is a packet whose TTL was used up where it was lost.
func (c *Case) expired() (leg, []leg, bool) {
	l, ok := c.lostInside()
	if !ok || l.query().In == "" {
		return leg{}, nil, false
	}
	all := legsOf(l.walk)
	left := int(l.walk.Packet.TTL)
	for _, before := range all {
		left = afterRules(left, before)
		if before.from != l.from && before.forwarded() {
			left--
		}
	}
	return l, all, left <= 1
}

// forwarded says whether a node passed the packet on that was neither its own
// nor only on its way through a bridge.
func (l leg) forwarded() bool { return l.first.Hook == trace.Prerouting && l.left() && !l.bridged() }

// afterRules is a TTL behind the rules of a leg that change it.
func afterRules(ttl int, l leg) int {
	for _, s := range l.steps {
		ttl = ttlSet(s, ttl)
	}
	return ttl
}

// ttlSet is what a TTL or HL rule makes of a TTL (extensions/libipt_TTL.c,
// libip6t_HL.c).
func ttlSet(s trace.Step, ttl int) int {
	if s.Target != "TTL" && s.Target != "HL" {
		return ttl
	}
	words, err := ruleset.Words(s.Text)
	if err != nil || len(words) < 2 {
		return ttl
	}
	n, err := strconv.Atoi(words[len(words)-1])
	if err != nil {
		return ttl
	}
	switch option := words[len(words)-2]; {
	case strings.HasSuffix(option, "-set"):
		return n
	case strings.HasSuffix(option, "-inc"):
		return ttl + n
	case strings.HasSuffix(option, "-dec"):
		return ttl - n
	}
	return ttl
}

// findRoutingLoop is a packet that nodes sent to each other until it had made
// all the hops that it may.
func findRoutingLoop(c *Case) *Finding {
	_, all, ok := c.expired()
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for _, l := range all {
		if !l.forwarded() {
			continue
		}
		if seen[l.last.Node] {
			return c.looped(all, l.last.Node)
		}
		seen[l.last.Node] = true
	}
	return nil
}

// looped blames the node of a loop that could have sent the packet to its
// destination, or else that which it came back to.
func (c *Case) looped(all []leg, again string) *Finding {
	var blamed *Finding
	for _, l := range all {
		if !l.forwarded() {
			continue
		}
		way := c.wayOut(l.last.Node, l.query(), l.last.Out)
		if way.Route == nil {
			continue
		}
		d := decision{node: l.last.Node, query: l.query(), Way: way}
		hop, ok := c.toward(d.node, d.query.Dst)
		f := c.routing(d, Culprit{Kind: Route, Node: d.node, Text: way.Route.String()})
		if used := way.Route.Hops()[0]; ok && hop != used && c.finishes(hop, d) {
			f.Fix = c.overWay(d, hop)
			return f
		}
		if blamed == nil && d.node == again {
			blamed = f
		}
	}
	return blamed
}

// finishes says whether a next hop is the destination itself or leads there.
func (c *Case) finishes(hop host.NextHop, d decision) bool {
	r := host.Route{Type: host.Unicast, Via: hop.Via, Interface: hop.Interface}
	_, ok := c.leads(d.node, &r, d.query)
	return ok
}

// findTTLExpired is a packet that begins with too small a TTL for its way, or is
// given one by a rule.
func findTTLExpired(c *Case) *Finding {
	l, all, ok := c.expired()
	if !ok {
		return nil
	}
	for _, before := range all {
		for _, s := range before.steps {
			if ttlSet(s, 64) < 64 {
				return &Finding{Culprit: culpritOf(s), Fix: c.letThrough(l.walk, s), Values: Values{"at": l.last.Node}}
			}
		}
	}
	sender := all[0].last.Node
	name := "net.ipv4.ip_default_ttl"
	if c.Family() == trace.IPv6 {
		name = "net.ipv6.conf.all.hop_limit"
	}
	if n, ok := c.sysctl(sender, name); !ok || n != int(l.walk.Packet.TTL) {
		return nil
	}
	f := c.setting(sender, name, "64")
	f.Values["at"] = l.last.Node
	return f
}
