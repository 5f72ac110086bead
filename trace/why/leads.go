package why

import (
	"net/netip"

	"packetwalk/trace/host"
)

// mostHops is how far a packet is followed from gateway to gateway.
const mostHops = 16

// leads says whether a route takes packets to the owner of their address, from
// gateway to gateway by what was read of the routes, and over how many of them.
// Links, neighbours and rules of iptables have no part in it.
func (c *Case) leads(node string, r *host.Route, q host.Query) (hops int, ok bool) {
	for hops = range mostHops {
		if r == nil || r.Type != host.Unicast && r.Type != "" {
			return hops, r != nil && r.Type == host.Local
		}
		next := r.Hops()[0]
		hop := next.Via
		if !hop.IsValid() {
			hop = q.Dst
		}
		to, found := c.holderBehind(port(node, next.Interface), hop)
		if !found {
			return hops, false
		}
		node = to.Node
		if c.Hosts[node].Owns(q.Dst) {
			return hops, true
		}
		q.In = to.Interface
		r = c.Hosts[node].Way(q).Route
	}
	return hops, false
}

// holderBehind is who has an address on the segment of a port.
func (c *Case) holderBehind(p host.Port, a netip.Addr) (host.Port, bool) {
	for _, to := range c.holders(a) {
		if c.hears(p, to) {
			return to, true
		}
	}
	return host.Port{}, false
}

// another is a route of a node, other than the one that was taken, that leads to
// the packet's destination: one of the tables that the usual rules look in.
func (c *Case) another(node string, taken *host.Route, q host.Query) *host.Route {
	var best *host.Route
	s := c.Hosts[node]
	for i := range s.Routes {
		r := &s.Routes[i]
		if taken != nil && r.String() == taken.String() || !r.Matches(q) || r.Type != host.Unicast || r.Dead || r.Table != host.TableMain {
			continue
		}
		if _, ok := c.leads(node, r, q); ok && (best == nil || r.Destination.Bits() > best.Destination.Bits()) {
			best = r
		}
	}
	return best
}

// toward is a way from a node to an address that no route of it takes: over one
// of its interfaces, or over a neighbour whose own routes lead there.
func (c *Case) toward(node string, dst netip.Addr) (host.NextHop, bool) {
	var best host.NextHop
	fewest := mostHops + 1
	for _, l := range c.Hosts[node].Links {
		p := port(node, l.Name)
		if _, ok := c.holderBehind(p, dst); ok && hasAddress(l, dst.Is4()) {
			return host.NextHop{Interface: l.Name}, true
		}
		for _, via := range c.gateways(p, dst.Is4()) {
			to, _ := c.holderBehind(p, via)
			q := host.Query{Dst: dst, In: to.Interface}
			hops, ok := c.leads(to.Node, c.Hosts[to.Node].Way(q).Route, q)
			if c.Hosts[to.Node].Owns(dst) {
				hops, ok = 0, true
			}
			if ok && hops < fewest {
				best, fewest = host.NextHop{Via: via, Interface: l.Name}, hops
			}
		}
	}
	return best, fewest <= mostHops
}

func hasAddress(l host.Link, four bool) bool {
	for _, p := range l.Addresses {
		if p.Addr().Is4() == four {
			return true
		}
	}
	return false
}

// gateways are the addresses of others on a port's segment that lie in one of
// the port's own networks.
func (c *Case) gateways(p host.Port, four bool) []netip.Addr {
	var all []netip.Addr
	for _, node := range c.nodes() {
		if node == p.Node {
			continue
		}
		for _, l := range c.Hosts[node].Links {
			if !c.hears(p, port(node, l.Name)) {
				continue
			}
			for _, a := range l.Addresses {
				if a.Addr().Is4() == four && !a.Addr().IsLinkLocalUnicast() && onLink(c.link(p), a.Addr()) {
					all = append(all, a.Addr())
				}
			}
		}
	}
	return all
}

// onLink says whether an address lies in a network of an interface.
func onLink(l host.Link, a netip.Addr) bool {
	for _, p := range l.Addresses {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
