package rebuild

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"packetwalk/lab"
	"packetwalk/trace"
	"packetwalk/trace/host"
)

// machine is the host as the mail tells it, with what was inferred.
type machine struct {
	request Request
	rules   listing
	clues   clues
	links   []*link
	routing
	// listed says that routes were sent: then those that are missing are missing.
	listed    bool
	routeFile File
	// outside is the interface to the world; nil where the host has none.
	outside *link
	notes   notes
}

// read takes the listings, and infers what was not sent.
func (m *machine) read(mail Mail) error {
	m.clues = cluesOf(m.rules.of(m.request.family()))
	if !slices.ContainsFunc(m.rules.tables, func(t table) bool { return t.family == m.request.family() }) {
		command := saveCommand
		if m.request.family() == trace.IPv6 {
			command = "ip6tables-save"
		}
		m.notes.add(NoRules, "command", command)
	}
	var err error
	if mail.Routes.given() {
		m.listed, m.routeFile = true, mail.Routes
		if m.routing, err = readRoutes(mail.Routes); err != nil {
			return err
		}
		for _, t := range m.named {
			m.notes.at(mail.Routes, t.line, TableRenumbered, "table", t.name, "number", fmt.Sprint(t.number))
		}
	}
	switch {
	case mail.Addresses.given():
		if m.links, err = readAddresses(mail.Addresses); err != nil {
			return err
		}
		m.clean(mail.Addresses)
	case m.listed:
		m.linksOfRoutes()
		m.notes.add(AddressesAssumed, "file", mail.Routes.Name)
	}
	m.settleFamilies()
	m.settleChoices()
	m.inferBridges(mail.Addresses.given())
	m.findOutside()
	return m.inferOutside(mail.Addresses.given())
}

// clean leaves out addresses that no interface can be given, and says which
// interfaces are more than plain ones.
func (m *machine) clean(f File) {
	for _, l := range m.links {
		l.Addresses = slices.DeleteFunc(l.Addresses, func(p netip.Prefix) bool {
			a := p.Addr()
			if a.Is6() && a.IsLinkLocalUnicast() || l.Name == "lo" && a.IsLoopback() {
				return true // the kernel makes them
			}
			bad := lab.AddressProblem(p) != "" || p.Bits() == 0
			if bad {
				m.notes.at(f, l.line, AddressLeftOut, "address", p.String(), "interface", l.Name)
			}
			return bad
		})
		if !slices.Contains([]string{"", "bridge", "veth", "loopback", "dummy", "device"}, l.Kind) {
			m.notes.at(f, l.line, InterfacePlain, "interface", l.Name, "kind", l.Kind)
		}
	}
}

// link finds an interface by name; nil if there is none.
func (m *machine) link(name string) *link {
	if i := slices.IndexFunc(m.links, func(l *link) bool { return l.Name == name }); i >= 0 {
		return m.links[i]
	}
	return nil
}

func (m *machine) addLink(name, kind string) *link {
	l := &link{Link: host.Link{Name: name, Kind: kind, Up: true, Carrier: true}, peers: map[netip.Prefix]netip.Prefix{}}
	m.links = append(m.links, l)
	return l
}

// linksOfRoutes makes interfaces of a listing of routes: where the kernel has
// made a route for a network, the host has its address there.
func (m *machine) linksOfRoutes() {
	for _, r := range m.routes {
		names := []string{r.Interface}
		for _, n := range r.NextHop {
			names = append(names, n.Interface)
		}
		for _, name := range names {
			if name == "" || name == "lo" {
				continue
			}
			if m.link(name) == nil {
				kind := ""
				if looksLikeBridge(name) || slices.Contains(m.clues.bridges, name) {
					kind = "bridge"
				}
				m.addLink(name, kind)
			}
		}
		l := m.link(r.Interface)
		if l == nil || !r.Source.IsValid() || r.Via.IsValid() || !r.Kernel || r.Type != host.Unicast {
			continue
		}
		if !r.Destination.Contains(r.Source) { // point to point
			p := netip.PrefixFrom(r.Source, r.Source.BitLen())
			if !slices.Contains(l.Addresses, p) {
				l.Addresses, l.peers[p] = append(l.Addresses, p), r.Destination
			}
			continue
		}
		if p := netip.PrefixFrom(r.Source, r.Destination.Bits()); !slices.Contains(l.Addresses, p) {
			l.Addresses = append(l.Addresses, p)
		}
	}
}

// settleFamilies tells the family of routes without an address in them, such as
// "default dev tun0": that of the routes around them.
func (m *machine) settleFamilies() {
	family := trace.IPv4
	for _, r := range m.routes {
		if r.familyKnown {
			family = r.Family
			continue
		}
		r.Family = family
		if family == trace.IPv6 {
			r.Destination = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
	}
}

// inferBridges gives the bridges that rules tell of the first address of their
// network, where no address was sent. With listed, an interface that is not in
// the listing is not there.
func (m *machine) inferBridges(listed bool) {
	for _, name := range m.clues.bridges {
		l := m.link(name)
		switch {
		case l == nil && listed:
			continue
		case l == nil && len(m.clues.networks[name])+len(m.clues.members[name]) == 0:
			continue // nothing is known of it
		case l == nil:
			l = m.addLink(name, "bridge")
		case l.Kind == "" && !listed:
			l.Kind = "bridge"
		}
		if slices.ContainsFunc(l.Addresses, func(p netip.Prefix) bool { return trace.FamilyOf(p.Addr()) == m.request.family() }) || listed {
			continue
		}
		for _, n := range m.networksBehind(name) {
			p := netip.PrefixFrom(m.ownAddress(n), n.Bits())
			l.Addresses = append(l.Addresses, p)
			m.notes.add(NetworkAssumed, "interface", name, "address", p.String())
		}
	}
}

// networksBehind are the networks of a bridge that rules tell of or, where they
// tell single addresses only, such as Docker would take.
func (m *machine) networksBehind(name string) []netip.Prefix {
	all := slices.Clone(m.clues.networks[name])
	for _, a := range m.clues.members[name] {
		if !slices.ContainsFunc(all, func(n netip.Prefix) bool { return n.Contains(a) }) {
			all = append(all, usualNetwork(a))
		}
	}
	return all
}

// usualNetwork is the network that an address is likely in: /16 where Docker's
// own pool has such, else /24, and /64 with IPv6.
func usualNetwork(a netip.Addr) netip.Prefix {
	bits := 24
	switch {
	case a.Is6():
		bits = 64
	case netip.MustParsePrefix("172.16.0.0/12").Contains(a):
		bits = 16
	}
	return netip.PrefixFrom(a, bits).Masked()
}

// ownAddress is the host's address in a network of containers: one that SNAT
// gives, else the first.
func (m *machine) ownAddress(n netip.Prefix) netip.Addr {
	for _, a := range m.clues.sources {
		if n.Contains(a) && isHostOf(n, a) {
			return a
		}
	}
	return m.freeIn(n)
}

// isHostOf says whether an address of a network can be one of a host.
func isHostOf(n netip.Prefix, a netip.Addr) bool {
	return lab.AddressProblem(netip.PrefixFrom(a, n.Bits())) == ""
}

// freeIn is the first address of a network that nobody has yet, as far as is known.
func (m *machine) freeIn(n netip.Prefix, taken ...netip.Addr) netip.Addr {
	taken = append(taken, m.request.From)
	if !m.owns(m.request.Target.Addr.Addr()) {
		taken = append(taken, m.request.Target.Addr.Addr())
	}
	for _, d := range m.clues.dnats {
		taken = append(taken, d.destination.first)
	}
	for _, all := range m.clues.members {
		taken = append(taken, all...)
	}
	a := n.Masked().Addr()
	if n.Bits() < a.BitLen()-1 {
		a = a.Next()
	}
	for n.Contains(a) {
		if isHostOf(n, a) && !slices.Contains(taken, a) && !m.owns(a) {
			return a
		}
		a = a.Next()
	}
	return netip.Addr{}
}

// owns says whether an address is one of the host's own: it is on an interface,
// or a route of the type local says so.
func (m *machine) owns(a netip.Addr) bool {
	isLocal := func(r *route) bool { return r.Type == host.Local && r.Destination.Contains(a) }
	return a.IsLoopback() || slices.ContainsFunc(m.routes, isLocal) || slices.ContainsFunc(m.links, func(l *link) bool {
		return slices.ContainsFunc(l.Addresses, func(p netip.Prefix) bool { return p.Addr() == a })
	})
}

// findOutside looks for the interface to the world among those there are: where
// the default route leads, or rules say so, or the first that can be it.
func (m *machine) findOutside() {
	for _, r := range m.routes {
		if r.Destination.Bits() == 0 && r.Table == host.TableMain && r.Family == m.request.family() && r.Type == host.Unicast {
			m.outside = m.wayOut(r)
			return
		}
	}
	if l := m.link(m.clues.outside); l != nil {
		m.outside = l
		return
	}
	for _, l := range m.links {
		has := slices.ContainsFunc(l.Addresses, func(p netip.Prefix) bool { return trace.FamilyOf(p.Addr()) == m.request.family() })
		if has && l.Kind != "bridge" && l.Kind != "loopback" && (m.outside == nil || l.Up && !m.outside.Up) {
			m.outside = l
		}
	}
}

// wayOut is the interface of a route, which may be told by its gateway only; nil
// where it was not listed.
func (m *machine) wayOut(r *route) *link {
	name, via := r.Interface, r.Via
	if len(r.NextHop) > 0 {
		name, via = r.NextHop[0].Interface, r.NextHop[0].Via
	}
	if name != "" || !via.IsValid() {
		return m.link(name)
	}
	l, _ := m.connected(via)
	return l
}

// connected is the interface in whose network an address is, and that network:
// the smallest of those that are up, before those that are down.
func (m *machine) connected(a netip.Addr) (found *link, network netip.Prefix) {
	for _, l := range m.links {
		for _, p := range l.Addresses {
			if far, ok := l.peers[p]; ok {
				p = far
			}
			if !p.Contains(a) || l.Kind == "loopback" {
				continue
			}
			if found == nil || l.Up && !found.Up || l.Up == found.Up && p.Bits() > network.Bits() {
				found, network = l, p
			}
		}
	}
	return found, network
}

// inferOutside makes the interface to the world where none was sent.
func (m *machine) inferOutside(listed bool) error {
	target := m.request.Target.Addr.Addr()
	switch {
	case m.outside != nil && listed, listed && len(m.links) > 0:
		return nil
	case m.outside == nil:
		name := m.clues.outside
		if name == "" {
			name = "eth0"
		}
		if m.outside = m.link(name); m.outside == nil {
			m.outside = m.addLink(name, "")
		}
	}
	if m.owns(target) || m.inside(target) != "" || m.isService(target) {
		return m.inferAddress()
	}
	if l, _ := m.connected(target); l != nil && l.Kind == "bridge" {
		return nil // a container that is asked directly
	}
	bits := 24
	if target.Is6() {
		bits = 64
	}
	p := netip.PrefixFrom(target, bits)
	if !isHostOf(p, target) {
		p = netip.PrefixFrom(target, target.BitLen())
	}
	m.outside.Addresses = append(m.outside.Addresses, p)
	m.notes.add(OutsideAssumed, "interface", m.outside.Name, "address", p.String())
	return nil
}

// inside is the bridge behind which an address is; empty where it is behind none.
func (m *machine) inside(a netip.Addr) string {
	if l, _ := m.connected(a); l != nil && l.Kind == "bridge" && !m.owns(a) {
		return l.Name
	}
	return m.clues.networkOf(a)
}

// isService says whether an address is one that nobody has, and that Kubernetes
// has packets taken away from (a cluster IP).
func (m *machine) isService(a netip.Addr) bool {
	return slices.ContainsFunc(m.rules.of(trace.FamilyOf(a)), func(r rule) bool {
		c := r.condition()
		return strings.HasPrefix(r.Target, "KUBE-SVC-") && c.dst.IsSingleIP() && !c.notDst && c.dst.Addr() == a
	})
}

// inferAddress gives the outside an address where none is known and somebody
// outside asks: one in the sender's own network.
func (m *machine) inferAddress() error {
	has := slices.ContainsFunc(m.outside.Addresses, func(p netip.Prefix) bool { return trace.FamilyOf(p.Addr()) == m.request.family() })
	from := m.request.From
	if has || m.owns(from) || m.inside(from) != "" {
		return nil
	}
	bits := 24
	if from.Is6() {
		bits = 64
	}
	n := m.apart(netip.PrefixFrom(from, bits).Masked(), from)
	a := m.freeIn(n)
	if !a.IsValid() {
		return &RequestError{fmt.Sprintf("no address is left for the host beside the sender %s: send the output of ip addr, too", from)}
	}
	p := netip.PrefixFrom(a, n.Bits())
	m.outside.Addresses = append(m.outside.Addresses, p)
	m.notes.add(OutsideAssumed, "interface", m.outside.Name, "address", p.String())
	return nil
}

// apart makes a network around an address smaller until it overlaps with none
// of the host's.
func (m *machine) apart(n netip.Prefix, a netip.Addr) netip.Prefix {
	overlaps := func(n netip.Prefix) bool {
		return slices.ContainsFunc(m.links, func(l *link) bool {
			return slices.ContainsFunc(l.Addresses, func(p netip.Prefix) bool { return p.Bits() > 0 && p.Overlaps(n) })
		})
	}
	for n.Bits() < a.BitLen()-1 && (overlaps(n) || !isHostOf(n, a)) {
		n = netip.PrefixFrom(a, n.Bits()+1).Masked()
	}
	return n
}
