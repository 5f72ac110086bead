package why

import (
	"packetwalk/trace"
	"packetwalk/trace/host"
)

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
