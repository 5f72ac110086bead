package expect

import (
	"net/netip"
	"slices"

	"packetwalk/lab"
	"packetwalk/scenarios"
	"packetwalk/trace"
)

// choose finds the walks that an expectation is about, in the order in which
// they were first seen.
func (e Evidence) choose(x scenarios.Expectation) []trace.Walk {
	var openers []trace.Walk
	if x.Request != "" {
		openers = e.opened(x.Request)
	} else {
		openers = e.matching(func(w trace.Walk) bool { return isOfOrigin(w, x) })
	}
	first := map[int]trace.Walk{} // by flow
	for _, w := range openers {
		if _, ok := first[w.Flow]; !ok {
			first[w.Flow] = w
		}
	}
	belongs := func(w trace.Walk) bool { _, ok := first[w.Flow]; return ok }
	switch x.Packet {
	case scenarios.None:
		return openers
	case scenarios.Every:
		return e.matching(belongs)
	case scenarios.Reply:
		openers = e.matching(func(w trace.Walk) bool { return belongs(w) && e.cameBack(w, first[w.Flow]) })
	}
	return openers[:min(1, len(openers))]
}

func (e Evidence) matching(fits func(trace.Walk) bool) []trace.Walk {
	var all []trace.Walk
	for _, w := range e.Walks {
		if fits(w) {
			all = append(all, w)
		}
	}
	return all
}

// opened finds the walks that opened the flows of a request: the first of each
// flow that leaves the client's node for what it asks. An ICMP error about it
// may have a lower ID, if the packet itself was lost and took time to be given up.
func (e Evidence) opened(request string) []trace.Walk {
	at := slices.IndexFunc(e.Topology.Clients, func(c lab.Client) bool { return c.Name == request })
	if at < 0 {
		return nil
	}
	c := e.Topology.Clients[at]
	seen := map[int]bool{} // flows
	return e.matching(func(w trace.Walk) bool {
		p := w.Packet
		if seen[w.Flow] || !opens(p) || !leaves(w, c.Node) || !speaks(p, c.Protocol) || !same(p.Dst, c.To) ||
			c.From != 0 && p.Src.Port() != c.From {
			return false
		}
		seen[w.Flow] = true
		return true
	})
}

// opens says whether a packet can be the first of its connection: a segment of an
// earlier TCP connection that straggles in cannot, nor can the answer of a ping.
func opens(p trace.Packet) bool {
	switch p.Proto {
	case trace.TCP:
		return p.Flags&(trace.SYN|trace.ACK) == trace.SYN
	case trace.ICMP:
		return p.ICMPType == 8
	case trace.ICMPv6:
		return p.ICMPType == 128
	}
	return true
}

// isOfOrigin says whether a packet is one that From, To and Protocol describe.
func isOfOrigin(w trace.Walk, x scenarios.Expectation) bool {
	return (x.From == "" || leaves(w, x.From)) &&
		(!x.To.IsValid() || same(w.Packet.Dst, x.To)) &&
		(x.Protocol == "" || speaks(w.Packet, x.Protocol)) &&
		!isChatter(w.Packet)
}

// leaves says whether a packet was sent by a node itself.
func leaves(w trace.Walk, node string) bool {
	return w.Steps[0].Node == node && w.Steps[0].Hook == trace.Output
}

// speaks says whether a packet is of the protocol; of ICMP only echo messages
// belong to a ping (RFC 792, RFC 4443 section 4).
func speaks(p trace.Packet, protocol lab.Protocol) bool {
	switch protocol {
	case lab.HTTP, lab.TCPEcho:
		return p.Proto == trace.TCP
	case lab.UDPEcho:
		return p.Proto == trace.UDP
	case lab.Ping:
		return p.Proto == trace.ICMP && (p.ICMPType == 0 || p.ICMPType == 8) ||
			p.Proto == trace.ICMPv6 && (p.ICMPType == 128 || p.ICMPType == 129)
	}
	return false
}

// isChatter says whether a packet is one that an IPv6 node sends unasked:
// multicast listener reports (RFC 2710, RFC 3810) and neighbour discovery (RFC 4861).
func isChatter(p trace.Packet) bool {
	t := p.ICMPType
	return p.Proto == trace.ICMPv6 && (t >= 130 && t <= 137 || t == 143)
}

// cameBack says whether a packet goes the other way than the one that was
// chosen. A refusal goes the other way than the packet that it refuses: that is
// sure, and what connection tracking says of its direction is not, where a node
// without conntrack sends it. Where nobody knows the direction, who sends it
// tells.
func (e Evidence) cameBack(w, chosen trace.Walk) bool {
	at := slices.IndexFunc(e.Walks, func(v trace.Walk) bool { return w.Answers != 0 && v.ID == w.Answers && v.Answers == 0 })
	switch {
	case w.ID == chosen.ID:
		return false
	case at >= 0:
		return !e.cameBack(e.Walks[at], chosen)
	case w.Direction != "" && chosen.Direction != "":
		return w.Direction != chosen.Direction
	}
	return w.Packet.Src != chosen.Packet.Src
}

// same compares an address with what is wanted; port 0 is any.
func same(have, want netip.AddrPort) bool {
	return have.Addr().WithZone("") == want.Addr().WithZone("") && (want.Port() == 0 || have.Port() == want.Port())
}
