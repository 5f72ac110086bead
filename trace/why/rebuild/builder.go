package rebuild

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"packetwalk/lab"
	"packetwalk/trace"
	"packetwalk/trace/host"
)

// hostNode is the node that stands for the host.
const hostNode = "host"

// builder makes a topology of a machine: the host, and around it whoever the
// request needs.
type builder struct {
	*machine
	topology lab.Topology
	node     lab.Node // the host's
	commands []Command
	from     string
	source   netip.Addr

	neighbors []*neighbor
	// used are interfaces of the host that have become ports for neighbors.
	used   map[string]bool
	counts map[string]int // of nodes, by the kind of name
}

// neighbor is a node at one of the host's interfaces.
type neighbor struct {
	link *link
	addr netip.Addr
	name string
	kind lab.NodeKind
	// behind are the nodes that it is the router for.
	behind []far
}

// far is a node behind a router.
type far struct {
	name string
	addr netip.Addr
}

func (b *builder) build() error {
	b.used, b.counts = map[string]bool{}, map[string]int{}
	b.node = lab.Node{Name: hostNode, Kind: lab.Host, Ruleset: b.rules.ruleset()}
	if err := b.placeSender(); err != nil {
		return err
	}
	if err := b.placeServers(); err != nil {
		return err
	}
	b.topology.Nodes = append(b.topology.Nodes, b.node) // the place of the host, which is completed below
	at := len(b.topology.Nodes) - 1
	b.connect()
	b.furnish()
	b.setRoutes()
	b.setSysctls()
	b.topology.Nodes[at] = b.node
	b.skipDetection()
	b.order()
	return nil
}

// ruleset is the whole listing as a lab loads it.
func (l *listing) ruleset() lab.Ruleset {
	var r lab.Ruleset
	for _, t := range l.tables {
		if t.family == trace.IPv4 {
			r.IPv4 += t.text(t.rules)
		} else {
			r.IPv6 += t.text(t.rules)
		}
	}
	return r
}

// order puts nodes as one would tell of them: the sender, what is between, the
// host, and what is behind.
func (b *builder) order() {
	rank := func(n lab.Node) int {
		switch {
		case n.Name == b.from && n.Name != hostNode && n.Kind != lab.Container:
			return 0
		case n.Kind == lab.Machine && !strings.HasPrefix(n.Name, "server"):
			return 1
		case n.Name == hostNode:
			return 2
		}
		return 3
	}
	slices.SortStableFunc(b.topology.Nodes, func(x, y lab.Node) int { return cmp.Compare(rank(x), rank(y)) })
}

// way is the interface by which the host sends to an address, the gateway, and the
// length of the network that the route is for; where there is none, the link is
// nil and the length negative. Routes count as the kernel has them: the
// longest network, then the lowest metric.
func (b *builder) way(a netip.Addr) (l *link, via netip.Addr, bits int) {
	bits = -1
	if c, n := b.connected(a); c != nil {
		l, bits = c, n.Bits()
	}
	metric := 0
	for _, table := range []bool{true, false} { // the main table, then any other
		for _, r := range b.routes {
			if (r.Table == host.TableMain) != table || r.Table == host.TableLocal || r.Type != host.Unicast || r.Family != trace.FamilyOf(a) || !r.Destination.Contains(a) {
				continue
			}
			out := b.wayOut(r)
			if out == nil || r.Destination.Bits() < bits || r.Destination.Bits() == bits && (l != nil && r.Metric >= metric) {
				continue
			}
			l, via, bits, metric = out, r.Via, r.Destination.Bits(), r.Metric
			if len(r.NextHop) > 0 {
				via = r.NextHop[0].Via
			}
		}
		if l != nil {
			break
		}
	}
	if via.IsValid() && trace.FamilyOf(via) != trace.FamilyOf(a) {
		via = netip.Addr{} // a gateway of the other family: as if it were here
	}
	return l, via, bits
}

// placeSender makes the node that the request comes from.
func (b *builder) placeSender() error {
	from := b.request.From
	b.source = from
	if b.owns(from) {
		b.from = hostNode
		return nil
	}
	if target := b.request.Target.Addr.Addr(); target.IsLoopback() {
		return &RequestError{fmt.Sprintf("%s is always the sender itself: from the host it is asked with --from %s", target, target)}
	}
	l, via, err := b.arrival(from)
	if err != nil {
		return err
	}
	b.from = b.place(from, l, via, "client")
	return nil
}

// arrival is the interface by which the sender's packets come, and the gateway
// that they come from: where the host sends to it, unless that is by a gateway
// and the target's address is at another interface, to which others send it.
func (b *builder) arrival(from netip.Addr) (*link, netip.Addr, error) {
	l, via, _ := b.way(from)
	home := b.home(b.request.Target.Addr.Addr())
	switch {
	case home == nil && l == nil:
		return b.gateway(b.outside)
	case home == nil || home == l || l != nil && !via.IsValid():
		return l, via, nil
	case l != nil:
		b.notes.add(WayBackDiffers, "interface", home.Name, "other", l.Name)
	}
	for _, r := range b.routes {
		if r.Via.IsValid() && trace.FamilyOf(r.Via) == b.request.family() && b.wayOut(r) == home {
			return home, r.Via, nil
		}
	}
	return b.gateway(home)
}

// home is the interface that has an address of the host, where others may send
// to it by that; nil where there is none.
func (b *builder) home(a netip.Addr) *link {
	for _, l := range b.links {
		has := slices.ContainsFunc(l.Addresses, func(p netip.Prefix) bool { return p.Addr() == a && !p.IsSingleIP() })
		if has && l.Up && l.Kind != "loopback" && (l.Kind != "bridge" || b.bridgesOut(l)) {
			return l
		}
	}
	return nil
}

// gateway is a router at an interface that was not sent. Where no routes were sent
// either, the host's default route leads to it.
func (b *builder) gateway(l *link) (*link, netip.Addr, error) {
	if l == nil {
		return nil, netip.Addr{}, &RequestError{fmt.Sprintf("the host has no interface by which %s could reach it", b.request.From)}
	}
	for _, p := range l.Addresses {
		if trace.FamilyOf(p.Addr()) != b.request.family() {
			continue
		}
		if via := b.freeIn(p.Masked()); via.IsValid() {
			b.notes.add(GatewayAssumed, "gateway", via.String(), "interface", l.Name)
			if !b.listed && l.Up {
				b.addDefault(l, via)
			}
			return l, via, nil
		}
	}
	return nil, netip.Addr{}, &RequestError{fmt.Sprintf("the host's interface %s has no %s address with a network in which a router could be, and no route tells of one: send the output of ip route, too", l.Name, b.request.family())}
}

func (b *builder) addDefault(l *link, via netip.Addr) {
	zero := netip.IPv4Unspecified()
	if via.Is6() {
		zero = netip.IPv6Unspecified()
	}
	b.routes = append(b.routes, &route{Route: host.Route{
		Family: trace.FamilyOf(via), Table: host.TableMain, Type: host.Unicast, Destination: netip.PrefixFrom(zero, 0), Via: via, Interface: l.Name,
	}})
}

// place makes a node of an address at an interface or behind a gateway there,
// and gives its name.
func (b *builder) place(a netip.Addr, l *link, via netip.Addr, name string) string {
	if at := b.placed(a); at != "" {
		return at
	}
	if via.IsValid() && via != a {
		router := b.neighbor(l, via, "router", lab.Machine)
		n := far{name: b.name(name), addr: a}
		router.behind = append(router.behind, n)
		b.notes.add(NodeAssumed, "node", n.name, "address", a.String(), "interface", l.Name)
		return n.name
	}
	kind := lab.Machine
	if l.Kind == "bridge" && !b.bridgesOut(l) {
		name, kind = "c", lab.Container
	}
	n := b.neighbor(l, a, name, kind)
	b.notes.add(NodeAssumed, "node", n.name, "address", a.String(), "interface", l.Name)
	return n.name
}

// bridgesOut says whether a bridge has a port that leads to the world, so that
// those behind it need be no containers.
func (b *builder) bridgesOut(l *link) bool {
	return l == b.outside || slices.ContainsFunc(b.links, func(p *link) bool { return p.Bridge == l.Name && p.Kind == "" && !p.far })
}

// placed is the node that has an address; empty where none has it.
func (b *builder) placed(a netip.Addr) string {
	for _, n := range b.neighbors {
		if n.addr == a {
			return n.name
		}
		for _, f := range n.behind {
			if f.addr == a {
				return f.name
			}
		}
	}
	return ""
}

func (b *builder) neighbor(l *link, a netip.Addr, name string, kind lab.NodeKind) *neighbor {
	for _, n := range b.neighbors {
		if n.link == l && n.addr == a {
			return n
		}
	}
	n := &neighbor{link: l, addr: a, name: b.name(name), kind: kind}
	b.neighbors = append(b.neighbors, n)
	return n
}

// name is a name for a node that no other has: containers count from c1 on, of
// the others the first has no number.
func (b *builder) name(base string) string {
	b.counts[base]++
	if n := b.counts[base]; n > 1 || base == "c" {
		return fmt.Sprintf("%s%d", base, n)
	}
	return base
}
