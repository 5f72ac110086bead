package why

import (
	"net/netip"
	"slices"

	"packetwalk/trace"
	"packetwalk/trace/host"
)

// port names an interface of a node.
func port(node, dev string) host.Port { return host.Port{Node: node, Interface: dev} }

// segment numbers what hears a port: 0 where nothing that was looked at does.
func (c *Case) segment(p host.Port) int {
	if c.segments == nil {
		c.segments = host.Segments(c.Hosts)
	}
	if n, ok := c.segments[p]; ok {
		return n + 1
	}
	return 0
}

// hears says whether two ports are on one segment.
func (c *Case) hears(a, b host.Port) bool {
	return a == b || c.segment(a) != 0 && c.segment(a) == c.segment(b)
}

// link is the interface that a port names.
func (c *Case) link(p host.Port) host.Link {
	l, _ := c.Hosts[p.Node].Link(p.Interface)
	return l
}

// nodes lists the hosts that were looked at, in the order of their names.
func (c *Case) nodes() []string {
	var all []string
	for node := range c.Hosts {
		all = append(all, node)
	}
	slices.Sort(all)
	return all
}

// holders are the interfaces that have an address, but for loopback ones.
func (c *Case) holders(a netip.Addr) []host.Port {
	var all []host.Port
	for _, node := range c.nodes() {
		for _, l := range c.Hosts[node].Links {
			if l.Name != trace.Loopback && slices.ContainsFunc(l.Addresses, func(p netip.Prefix) bool { return p.Addr() == a }) {
				all = append(all, port(node, l.Name))
			}
		}
	}
	return all
}

// crossing is a packet's way over one segment: from the interface that it was
// handed to, to that which has the address of the next hop.
type crossing struct {
	walk *trace.Walk
	step int
	from host.Port
	hop  netip.Addr
	// to is zero where nobody who was looked at has the address.
	to host.Port
}

// crossing is the last segment that a packet was seen to set out on and did not
// arrive behind. A packet that left what was looked at counts where nothing came back.
func (c *Case) crossing() (crossing, bool) {
	for _, w := range []*trace.Walk{c.Request, c.Reply} {
		if w == nil || !c.vanished(w) {
			continue
		}
		all := legsOf(w)
		if c.crossesBridge(w) {
			all = all[:len(all)-1]
		}
		p := all[len(all)-1]
		hop, ok := c.hopOf(p)
		if !p.left() || !ok {
			return crossing{}, false
		}
		x := crossing{walk: w, step: p.from + len(p.steps) - 1, from: port(p.last.Node, p.last.Out), hop: hop}
		for _, to := range c.holders(hop) {
			if x.to == (host.Port{}) || c.hears(x.from, to) {
				x.to = to
			}
		}
		return x, true
	}
	return crossing{}, false
}

// vanished says whether a packet was lost, or left what was looked at and brought
// nothing back.
func (c *Case) vanished(w *trace.Walk) bool {
	return w.Outcome == trace.Lost || w.Outcome == trace.Forwarded && (w != c.Request || c.Reply == nil)
}

// wire is a way over wires and through bridges from one port to another, both
// included; nil where there is none.
func (c *Case) wire(from, to host.Port) []host.Port {
	came := map[host.Port]host.Port{from: {}}
	for open := []host.Port{from}; len(open) > 0; open = open[1:] {
		if open[0] != to {
			for _, next := range c.beside(open[0]) {
				if _, known := came[next]; !known {
					came[next] = open[0]
					open = append(open, next)
				}
			}
			continue
		}
		way := []host.Port{to}
		for at := came[to]; at != (host.Port{}); at = came[at] {
			way = append(way, at)
		}
		slices.Reverse(way)
		return way
	}
	return nil
}

// beside are the ports that a port is directly connected to: the other end of
// its pair, its bridge, or the ports of the bridge that it is.
func (c *Case) beside(p host.Port) []host.Port {
	var all []host.Port
	l := c.link(p)
	if l.Peer != (host.Port{}) {
		all = append(all, l.Peer)
	}
	if l.Bridge != "" {
		all = append(all, port(p.Node, l.Bridge))
	}
	for _, other := range c.Hosts[p.Node].Links {
		if other.Bridge == p.Interface {
			all = append(all, port(p.Node, other.Name))
		}
	}
	return all
}

// neighbor is what a node knows of an address on one of its interfaces.
func (c *Case) neighbor(at host.Port, a netip.Addr) (host.Neighbor, bool) {
	for _, n := range c.Hosts[at.Node].Neighbors {
		if n.Interface == at.Interface && n.Addr == a {
			return n, true
		}
	}
	return host.Neighbor{}, false
}

// unheard says whether a node asked for the hardware address of another in vain:
// its table says so or, where the entry is gone again, its own error for the
// packet, or the kernel's word.
func (c *Case) unheard(x crossing) bool {
	switch n, ok := c.neighbor(x.from, x.hop); {
	case ok && n.MAC == "":
		return n.State == "failed" || n.State == "incomplete"
	case ok:
		return n.State == "failed" || n.State == "probe"
	}
	return slices.ContainsFunc(c.Refusals, func(w trace.Walk) bool { return w.Steps[0].Node == x.from.Node && saysNobodyThere(w.Packet) }) ||
		slices.ContainsFunc(c.Drops, func(d Drop) bool { return d.Node == x.from.Node && d.Reason == "NEIGH_FAILED" })
}

// saysNobodyThere is host unreachable (RFC 792) or address unreachable (RFC 4443):
// of a packet that has left POSTROUTING the kernel says so when nobody answers
// for its next hop (ipv4_link_failure in net/ipv4/route.c).
func saysNobodyThere(p trace.Packet) bool {
	return p.Proto == trace.ICMP && p.ICMPType == 3 && p.ICMPCode == 1 || p.Proto == trace.ICMPv6 && p.ICMPType == 1 && p.ICMPCode == 3
}
