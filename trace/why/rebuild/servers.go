package rebuild

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"packetwalk/lab"
	"packetwalk/trace"
)

// maxServers is how many destinations of DNAT rules become nodes. A service of
// Kubernetes may have hundreds, which are all alike.
const maxServers = 12

// placeServers makes the nodes that the request may come to, with something that
// listens there.
func (b *builder) placeServers() error {
	target := b.request.Target.Addr
	relevant := b.relevant()
	if err := b.placeTarget(target); err != nil {
		return err
	}
	leftOut := map[netip.Addr]bool{}
	for _, d := range b.clues.dnats {
		reached := slices.ContainsFunc(relevant, func(r dnat) bool { return r.line == d.line }) || d.publishes(target.Port())
		for a := d.destination.first; d.destination.has(a); a = a.Next() {
			if len(leftOut) > 1<<10 {
				break
			}
			if !reached || b.placed(a) == "" && len(b.neighbors) >= maxServers {
				leftOut[a] = true
				continue
			}
			b.placeDestination(d, a)
		}
		if reached && d.redirect {
			b.serve(hostNode, netip.Addr{}, d.portsFor(target.Port()))
		}
	}
	for a := range leftOut {
		if b.placed(a) != "" || b.owns(a) {
			delete(leftOut, a)
		}
	}
	if len(leftOut) > 0 {
		b.notes.add(DestinationsLeftOut, "count", fmt.Sprint(len(leftOut)))
	}
	b.serveTarget(target, relevant)
	return nil
}

// placeTarget makes the node of the target itself, where that is another than
// the host. The error says that the request would never come to the host.
func (b *builder) placeTarget(target netip.AddrPort) error {
	a := target.Addr()
	if b.owns(a) {
		return nil
	}
	l, via, bits := b.way(a)
	sender := b.senderLink()
	if b.isService(a) {
		if l == nil && !b.listed && b.outside != nil { // the host's own packets need a route, before rules lead them elsewhere
			if _, _, err := b.gateway(b.outside); err != nil {
				return err
			}
		}
		return nil
	}
	if b.neverPasses(l, bits, sender) {
		return &RequestError{fmt.Sprintf("%s is no address of this host, and nothing says that packets for it pass it: its addresses are %s", a, b.ownAddresses())}
	}
	if l == nil {
		var err error
		if l, via, err = b.gateway(b.outside); err != nil {
			return err
		}
	}
	b.place(a, l, via, "server")
	if b.from != hostNode && l == sender {
		b.notes.add(BridgeFilterNeeded, "bridge", l.Name)
	} else if sender != nil && sender.Kind != "bridge" {
		b.notes.add(RouteBackAssumed, "address", b.request.From.String(), "network", networkToward(a, bits).String())
	}
	return nil
}

// neverPasses says whether packets for another than the host would not come to
// it: it would send them back by the interface to the sender, which is no bridge
// that both are at; or it knows no way, and the mail lets none be assumed.
func (b *builder) neverPasses(way *link, bits int, sender *link) bool {
	switch way {
	case nil:
		return b.from != hostNode && (b.listed || sender == nil || sender == b.outside)
	case sender:
		return way.Kind != "bridge" || bits == 0
	}
	return false
}

// networkToward is the network that the host's own route to an address is for, or
// the address alone where that is the default route or there is none.
func networkToward(a netip.Addr, bits int) netip.Prefix {
	if bits <= 0 {
		bits = a.BitLen()
	}
	return netip.PrefixFrom(a, bits).Masked()
}

// senderLink is the host's interface to the sender; nil where that is the host.
func (b *builder) senderLink() *link {
	for _, n := range b.neighbors {
		if n.name == b.from || slices.ContainsFunc(n.behind, func(f far) bool { return f.name == b.from }) {
			return n.link
		}
	}
	return nil
}

// ownAddresses lists the host's addresses of the request's family.
func (b *builder) ownAddresses() string {
	var all []string
	for _, l := range b.links {
		for _, p := range l.Addresses {
			if trace.FamilyOf(p.Addr()) == b.request.family() {
				all = append(all, fmt.Sprintf("%s (%s)", p.Addr(), l.Name))
			}
		}
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

// placeDestination makes the node that a DNAT rule leads to, and what listens there.
func (b *builder) placeDestination(d dnat, a netip.Addr) {
	ports := d.portsFor(b.request.Target.Addr.Port())
	if d.proto != 0 && d.proto != b.request.Target.Proto {
		ports = nil // it is there, and what it has for the other protocol does not matter
	}
	if b.owns(a) {
		b.serve(hostNode, a, ports)
		return
	}
	l, via, _ := b.way(a)
	if l == nil {
		var err error
		if l, via, err = b.gateway(b.outside); err != nil {
			return // nobody can be there: the host has no way to it
		}
	}
	b.serve(b.place(a, l, via, "server"), netip.Addr{}, ports)
}

// relevant are the DNAT and REDIRECT rules that a packet for the target may come
// to, as far as addresses, protocol and ports tell.
func (b *builder) relevant() []dnat {
	var nat table
	for _, t := range b.rules.tables {
		if t.name == trace.NAT && t.family == b.request.family() {
			nat = t
		}
	}
	var found []dnat
	seen := map[string]bool{}
	var follow func(chain string)
	follow = func(chain string) {
		if seen[chain] {
			return
		}
		seen[chain] = true
		for _, r := range nat.rules {
			d := dnat{condition: r.condition()}
			if r.chain != chain || !d.admits(b.request.Target.Proto, b.request.Target.Addr) {
				continue
			}
			follow(r.Target)
			if i := slices.IndexFunc(b.clues.dnats, func(d dnat) bool { return d.line == r.line }); i >= 0 {
				found = append(found, b.clues.dnats[i])
			}
		}
	}
	follow("PREROUTING")
	follow("OUTPUT")
	return found
}

// serveTarget has something listen on the target itself, unless it is an address
// of the host whose port is published: then Docker's proxy listens, if anything.
func (b *builder) serveTarget(target netip.AddrPort, relevant []dnat) {
	a, port := target.Addr(), target.Port()
	if !b.owns(a) {
		if at := b.placed(a); at != "" {
			b.serve(at, netip.Addr{}, []uint16{port})
		}
		return
	}
	published := slices.ContainsFunc(b.clues.dnats, func(d dnat) bool { return d.publishes(port) })
	if len(relevant) == 0 && !published {
		b.serve(hostNode, a, []uint16{port})
		return
	}
	if b.clues.proxy == 0 {
		return
	}
	for _, d := range b.clues.dnats {
		if d.chain != "DOCKER" || !d.publishes(port) || d.proto != b.request.Target.Proto {
			continue
		}
		on := unspecified(b.request.family())
		if d.dst.IsSingleIP() && !d.notDst {
			on = d.dst.Addr()
		}
		if !on.IsUnspecified() && !b.owns(on) {
			continue
		}
		if b.listen(hostNode, netip.AddrPortFrom(on, port)) {
			b.notes.at(b.rules.file, b.clues.proxy, ProxyAssumed, "address", netip.AddrPortFrom(on, port).String())
		}
	}
}

func unspecified(f trace.Family) netip.Addr {
	if f == trace.IPv6 {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// serve has something listen in a node, and says so. Without an address it
// listens on all of them.
func (b *builder) serve(node string, on netip.Addr, ports []uint16) {
	if !b.request.hasPort() {
		return
	}
	if !on.IsValid() {
		on = unspecified(b.request.family())
	}
	for _, port := range ports {
		if at := netip.AddrPortFrom(on, port); port != 0 && b.listen(node, at) {
			b.notes.add(ServiceAssumed, "node", node, "proto", b.request.Target.Proto.String(), "address", at.String())
		}
	}
}

// listen adds a service, and says whether it was not there yet: one that listens
// on all addresses takes the port of every one.
func (b *builder) listen(node string, at netip.AddrPort) bool {
	s := lab.Service{Node: node, Protocol: lab.TCPEcho, Listen: at}
	switch {
	case b.request.Target.Proto == trace.UDP:
		s.Protocol = lab.UDPEcho
	case b.request.Target.HTTP:
		s.Protocol, s.Reply = lab.HTTP, "ok\n"
	}
	taken := slices.ContainsFunc(b.topology.Services, func(o lab.Service) bool {
		return o.Node == node && o.Listen.Port() == at.Port() &&
			(o.Listen.Addr() == at.Addr() || o.Listen.Addr().IsUnspecified() || at.Addr().IsUnspecified())
	})
	if !taken {
		b.topology.Services = append(b.topology.Services, s)
	}
	return !taken
}
