package why

import (
	"net/netip"

	"packetwalk/trace/host"
)

// mostHops is how far a packet is followed from gateway to gateway.
const mostHops = 16

// leads says whether a route takes packets to the owner of their address, from
// gateway to gateway by what was read of the routes, and over how many of them. A
// way that comes back to a node does not lead there: rules may decide otherwise
// the second time, but a packet that goes in a circle has been misled. Links,
// neighbours and rules of iptables have no part in it.
func (c *Case) leads(node string, r *host.Route, q host.Query) (hops int, ok bool) {
	passed := map[string]bool{node: true}
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
		if passed[node] {
			return hops, false
		}
		passed[node] = true
		q.In, q.Mark = to.Interface, 0
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
func (c *Case) toward(node string, dst netip.Addr) (best host.NextHop, ok bool) {
	fewest := mostHops + 1
	for _, l := range c.Hosts[node].Links {
		p := port(node, l.Name)
		if _, ok := c.holderBehind(p, dst); ok && hasAddress(l, dst.Is4()) {
			return host.NextHop{Interface: l.Name}, true
		}
		for _, via := range c.gateways(p, dst.Is4()) {
			hop := host.NextHop{Via: via, Interface: l.Name}
			hops, ok := c.leads(node, &host.Route{Type: host.Unicast, Via: via, Interface: l.Name}, host.Query{Dst: dst})
			if !ok && c.leadsOutside(p, hop, dst) {
				hops, ok = mostHops, true
			}
			if ok && hops < fewest {
				best, fewest = hop, hops
			}
		}
	}
	return best, fewest <= mostHops
}

// leadsOutside says whether the owner of a gateway would send packets for an
// address on, by another link, that nobody has who was looked at.
func (c *Case) leadsOutside(p host.Port, hop host.NextHop, dst netip.Addr) bool {
	to, ok := c.holderBehind(p, hop.Via)
	if !ok || len(c.holders(dst)) > 0 {
		return false
	}
	r := c.Hosts[to.Node].Way(host.Query{Dst: dst, In: to.Interface}).Route
	return r != nil && r.Type == host.Unicast && !c.hears(p, port(to.Node, r.Hops()[0].Interface))
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
