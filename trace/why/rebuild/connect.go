package rebuild

import (
	"fmt"
	"net/netip"
	"slices"

	"packetwalk/lab"
	"packetwalk/trace"
)

// connect makes the nodes beside the host, and the links between.
func (b *builder) connect() {
	for _, l := range b.links {
		var at []*neighbor
		for _, n := range b.neighbors {
			if n.link == l {
				at = append(at, n)
			}
		}
		switch {
		case len(at) == 0:
		case l.Kind == "bridge":
			for _, n := range at {
				b.join(n, lab.End{Node: hostNode, Interface: b.port(l, n), Bridge: l.Name, MTU: mtu(l)})
			}
		case len(at) == 1:
			b.used[l.Name] = true
			b.join(at[0], b.end(l))
		default:
			b.joinBySwitch(l, at)
		}
	}
}

// end is the host's end of a link that is no port of a bridge.
func (b *builder) end(l *link) lab.End {
	return lab.End{Node: hostNode, Interface: l.Name, Addresses: l.Addresses, Down: !l.Up, MTU: mtu(l)}
}

// joinBySwitch puts a switch between the host's interface and several neighbors.
func (b *builder) joinBySwitch(l *link, at []*neighbor) {
	b.used[l.Name] = true
	lan := lab.Node{Name: b.name("lan"), Kind: lab.Machine, Bridges: []lab.Bridge{{Name: "br0", MTU: mtu(l)}}}
	b.topology.Nodes = append(b.topology.Nodes, lan)
	port := func(i int) lab.End {
		return lab.End{Node: lan.Name, Interface: fmt.Sprintf("port%d", i), Bridge: "br0", MTU: mtu(l)}
	}
	b.topology.Links = append(b.topology.Links, lab.Link{Ends: [2]lab.End{port(0), b.end(l)}})
	for i, n := range at {
		b.join(n, port(i+1))
	}
}

// port is the name of the host's end of a neighbor's link to a bridge: that of a
// port that was sent, where there is one.
func (b *builder) port(l *link, n *neighbor) string {
	for _, p := range b.links {
		isVeth := p.Kind == "veth"
		if p.Bridge == l.Name && p.Up && !b.used[p.Name] && len(p.Addresses) == 0 && isVeth == (n.kind == lab.Container) && p.Kind != "bridge" {
			b.used[p.Name] = true
			return p.Name
		}
	}
	for i := 0; ; i++ {
		name := "veth" + n.name
		if i > 0 {
			name = fmt.Sprintf("veth%d", i)
		}
		if b.link(name) == nil && !b.used[name] {
			b.used[name] = true
			return name
		}
	}
}

// join makes a neighbor and its link to another end.
func (b *builder) join(n *neighbor, to lab.End) {
	node := lab.Node{Name: n.name, Kind: n.kind}
	bits, own := b.networkAt(n)
	end := lab.End{Node: n.name, Interface: "eth0", Addresses: []netip.Prefix{netip.PrefixFrom(n.addr, bits)}, MTU: to.MTU}
	switch {
	case !own.IsValid():
	case bits < n.addr.BitLen() && netip.PrefixFrom(n.addr, bits).Contains(own):
		node.Routes = append(node.Routes, lab.Route{Via: own})
	default: // no common network: the host is on the link all the same
		ip := "ip"
		if own.Is6() {
			ip = "ip -6"
		}
		b.commands = append(b.commands,
			Command{Node: n.name, Line: fmt.Sprintf("%s route add %s dev eth0", ip, own)},
			Command{Node: n.name, Line: fmt.Sprintf("%s route add default via %s dev eth0 onlink", ip, own)})
	}
	if len(n.behind) > 0 {
		node.Sysctls = forwarding(trace.FamilyOf(n.addr))
	}
	b.topology.Nodes = append(b.topology.Nodes, node)
	b.topology.Links = append(b.topology.Links, lab.Link{Ends: [2]lab.End{end, to}})
	for i, f := range n.behind {
		b.joinBehind(n, f, i+1, to.MTU)
	}
}

// networkAt is the length of the network that a neighbor shares with the host,
// and the host's address for it: its gateway.
func (b *builder) networkAt(n *neighbor) (bits int, own netip.Addr) {
	bits = n.addr.BitLen()
	for _, p := range n.link.Addresses {
		if trace.FamilyOf(p.Addr()) != trace.FamilyOf(n.addr) {
			continue
		}
		if p.Contains(n.addr) && p.Bits() < p.Addr().BitLen() {
			return p.Bits(), p.Addr()
		}
		if !own.IsValid() {
			own = p.Addr()
		}
	}
	return bits, own
}

// joinBehind makes a node behind a router, in a network of its own.
func (b *builder) joinBehind(router *neighbor, f far, number, mtu int) {
	bits := 24
	if f.addr.Is6() {
		bits = 64
	}
	network := b.apart(netip.PrefixFrom(f.addr, bits).Masked(), f.addr)
	via := b.freeIn(network, f.addr)
	name := fmt.Sprintf("eth%d", number)
	near := lab.End{Node: router.name, Interface: name, MTU: mtu}
	end := lab.End{Node: f.name, Interface: "eth0", Addresses: []netip.Prefix{netip.PrefixFrom(f.addr, network.Bits())}, MTU: mtu}
	node := lab.Node{Name: f.name, Kind: lab.Machine}
	if via.IsValid() {
		near.Addresses = []netip.Prefix{netip.PrefixFrom(via, network.Bits())}
		node.Routes = []lab.Route{{Via: via}}
	}
	b.topology.Nodes = append(b.topology.Nodes, node)
	b.topology.Links = append(b.topology.Links, lab.Link{Ends: [2]lab.End{end, near}})
}

// furnish gives the host its other interfaces.
func (b *builder) furnish() {
	ports := 0
	for _, l := range b.links {
		switch {
		case l.Kind == "bridge":
			b.node.Bridges = append(b.node.Bridges, lab.Bridge{Name: l.Name, Addresses: l.Addresses, Down: !l.Up, MTU: mtu(l)})
		case b.used[l.Name]:
		case l.Kind == "loopback":
			b.loopback(l)
		case l.Kind == "veth" && len(l.Addresses) == 0:
			ports++
		default:
			b.joinElsewhere(l)
		}
	}
	if ports > 0 {
		b.notes.add(PortsLeftOut, "count", fmt.Sprint(ports))
	}
}

// elsewhere is the node at the far ends of interfaces that nobody in the request
// is at. It has no address, so that nothing there answers. (Dummies would do, but
// not every kernel has them.)
const elsewhere = "elsewhere"

func (b *builder) joinElsewhere(l *link) {
	if b.counts[elsewhere] == 0 {
		b.topology.Nodes = append(b.topology.Nodes, lab.Node{Name: elsewhere, Kind: lab.Machine})
	}
	near := b.end(l)
	if m := b.link(l.Bridge); m != nil && m.Kind == "bridge" {
		near.Bridge = m.Name
	}
	far := lab.End{Node: elsewhere, Interface: fmt.Sprintf("eth%d", b.counts[elsewhere]), Down: l.Up && !l.Carrier, MTU: near.MTU}
	b.counts[elsewhere]++
	b.topology.Links = append(b.topology.Links, lab.Link{Ends: [2]lab.End{far, near}})
}

func (b *builder) loopback(l *link) {
	if l.Name != "lo" {
		b.joinElsewhere(l)
		return
	}
	b.node.LoopbackDown = !l.Up
	if len(l.Addresses) > 0 {
		b.node.Devices = append(b.node.Devices, lab.Device{Name: l.Name, Kind: "loopback", Addresses: l.Addresses, Down: !l.Up})
	}
}

// mtu is the MTU of an interface as a topology has it: 0 for 1500, and for what
// the kernel would refuse. Below 1280 bytes there is no IPv6 (RFC 8200, section 5).
func mtu(l *link) int {
	has6 := slices.ContainsFunc(l.Addresses, func(p netip.Prefix) bool { return p.Addr().Is6() })
	if l.MTU == 1500 || l.MTU < 68 || l.MTU > 65535 || has6 && l.MTU < 1280 {
		return 0
	}
	return l.MTU
}

// forwarding switches forwarding on.
func forwarding(f trace.Family) []lab.Sysctl {
	if f == trace.IPv6 {
		return []lab.Sysctl{{Name: "net.ipv6.conf.all.forwarding", Value: "1"}}
	}
	return []lab.Sysctl{{Name: "net.ipv4.ip_forward", Value: "1"}}
}
