package lab

import (
	"context"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Observe is the network as it is now, as a topology: links, addresses,
// bridges, and what is up. Whatever is still as the lab was built stands in the
// order of its topology, and what came later behind it.
//
// Routes are those that the kernel did not make by itself, of the main table.
// Sysctls are the topology's with their present values, services those that
// run, and rules and clients those of the topology. The loopback interface
// counts where it has addresses of its own. What lies in network namespaces
// that are not nodes is left out.
func (l *Lab) Observe(ctx context.Context) (Topology, error) {
	all, err := l.look(ctx, l.places(nil))
	if err != nil {
		return Topology{}, err
	}
	t := l.topology
	t.Nodes = slices.Clone(l.topology.Nodes)
	for i, n := range l.topology.Nodes {
		t.Nodes[i] = all[n.Name].node(n)
		t.Nodes[i].Sysctls, err = l.nodes[n.Name].observeSysctls(n.Sysctls)
		if err != nil {
			return Topology{}, step(n.Name, "reading the sysctls", err)
		}
	}
	t.Links = observedLinks(l.topology, all)
	t.Services = l.services.list()
	return t, nil
}

// places are the nodes in the order of the topology, and others behind them.
func (l *Lab) places(others []*Namespace) []*Namespace {
	var all []*Namespace
	for _, n := range l.topology.Nodes {
		all = append(all, l.nodes[n.Name])
	}
	return append(all, others...)
}

// networkState is what a place has of links, routes, and rules that choose
// between the tables of routes.
type networkState struct {
	links   []linkState
	routes  []routeState
	choices []netlink.Rule
}

// look reads the network of places, by name.
func (l *Lab) look(ctx context.Context, places []*Namespace) (map[string]networkState, error) {
	states := make([]networkState, len(places))
	work, ctx := errgroup.WithContext(ctx)
	for i, n := range places {
		work.Go(func() (err error) {
			if err := context.Cause(ctx); err != nil {
				return step(n.name, "looking at the network", err)
			}
			states[i], err = n.network(places)
			return step(n.name, "looking at the network", err)
		})
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	all := map[string]networkState{}
	for i, n := range places {
		all[n.name] = states[i]
	}
	return all, nil
}

// named are the sysctls that the topology names for a node.
func (l *Lab) named(node string) []string {
	n, _ := l.topology.Node(node)
	var names []string
	for _, s := range n.Sysctls {
		names = append(names, s.Name)
	}
	return names
}

func (n *Namespace) network(places []*Namespace) (s networkState, err error) {
	if s.links, err = n.linksOf(places); err != nil {
		return s, err
	}
	if s.routes, err = n.routesOf(); err != nil {
		return s, err
	}
	s.choices, err = n.choices()
	return s, err
}

// node is a node of the topology with what was found in it.
func (s networkState) node(n Node) Node {
	n.LoopbackDown = false
	was := n
	n.Bridges, n.Devices, n.Routes = nil, nil, nil
	for _, l := range s.links {
		mtu := l.mtu
		if mtu == defaultMTU {
			mtu = 0
		}
		switch {
		case l.kind == kindLoopback:
			n.LoopbackDown = !l.up
			if own := ownAddresses(l); len(own) > 0 {
				n.Devices = append(n.Devices, Device{Name: l.name, Kind: l.kind, Addresses: own, Down: !l.up})
			}
		case l.kind == kindBridge:
			n.Bridges = append(n.Bridges, Bridge{Name: l.name, Addresses: l.prefixes(), Down: !l.up, MTU: mtu})
		case l.kind != kindVeth || l.peer == Port{}:
			n.Devices = append(n.Devices, Device{
				Name: l.name, Kind: l.kind, Addresses: l.prefixes(), Bridge: l.master, Down: !l.up, MTU: mtu,
			})
		}
	}
	for _, r := range s.routes {
		if r.route.Table == unix.RT_TABLE_MAIN && r.route.Protocol != unix.RTPROT_KERNEL {
			n.Routes = append(n.Routes, r.declared())
		}
	}
	inOrderOf(was.Bridges, n.Bridges, func(b Bridge) string { return b.Name })
	inOrderOf(was.Devices, n.Devices, func(d Device) string { return d.Name })
	inOrderOf(was.Routes, n.Routes, Route.key)
	takeOver(was.Routes, n.Routes)
	return n
}

// defaultMTU is that of an Ethernet interface, in bytes.
const defaultMTU = 1500

// ownAddresses are those of a loopback interface that the kernel did not give it.
func ownAddresses(lo linkState) []netip.Prefix {
	return slices.DeleteFunc(lo.prefixes(), func(p netip.Prefix) bool {
		return p == netip.MustParsePrefix("127.0.0.1/8") || p == netip.MustParsePrefix("::1/128")
	})
}

func (l linkState) prefixes() []netip.Prefix {
	var all []netip.Prefix
	for _, a := range l.addresses {
		all = append(all, a.address)
	}
	return all
}

// declared is the route in a topology's terms, with the interface named.
func (s routeState) declared() Route {
	r := Route{Interface: s.link}
	if s.route.Dst != nil && !isAll(s.route.Dst) {
		r.Destination = prefixOf(s.route.Dst)
	}
	if a, ok := netip.AddrFromSlice(s.route.Gw); ok {
		r.Via = a.Unmap()
	}
	return r
}

// key tells routes apart without the interface, which a topology may leave open.
func (r Route) key() string {
	r.Interface = ""
	return r.String()
}

// takeOver leaves open the interfaces that the topology leaves open, too, where
// the gateway tells them.
func takeOver(was, now []Route) {
	for i := range now {
		if slices.ContainsFunc(was, func(r Route) bool { return r.Interface == "" && r.key() == now[i].key() }) {
			now[i].Interface = ""
		}
	}
}

// observedLinks pairs the ends of veth pairs up, once each.
func observedLinks(t Topology, all map[string]networkState) []Link {
	var links []Link
	seen := map[Port]bool{}
	for _, n := range t.Nodes {
		for _, l := range all[n.Name].links {
			at := Port{n.Name, l.name}
			if l.peer == (Port{}) || seen[at] {
				continue
			}
			seen[at], seen[l.peer] = true, true
			links = append(links, Link{Ends: [2]End{end(all, at), end(all, l.peer)}})
		}
	}
	for i, l := range links { // the way round that the topology has them
		if slices.ContainsFunc(t.Links, func(d Link) bool { return d.key() != l.key() && d.turned().key() == l.key() }) {
			links[i] = l.turned()
		}
	}
	inOrderOf(t.Links, links, Link.key)
	return links
}

func (l Link) turned() Link { return Link{Ends: [2]End{l.Ends[1], l.Ends[0]}} }

// end is an end of a veth pair as it was found.
func end(all map[string]networkState, p Port) End {
	links := all[p.Node].links
	i := slices.IndexFunc(links, func(l linkState) bool { return l.name == p.Interface })
	e := End{Node: p.Node, Interface: p.Interface}
	if i < 0 {
		return e
	}
	e.Addresses, e.Bridge, e.Down = links[i].prefixes(), links[i].master, !links[i].up
	if links[i].mtu != defaultMTU {
		e.MTU = links[i].mtu
	}
	return e
}

// inOrderOf sorts now so that what was there before keeps its order, and what
// is new comes behind it.
func inOrderOf[T any, K comparable](was, now []T, key func(T) K) {
	rank := map[K]int{}
	for i, v := range was {
		if _, ok := rank[key(v)]; !ok {
			rank[key(v)] = i
		}
	}
	at := func(v T) int {
		if i, ok := rank[key(v)]; ok {
			return i
		}
		return len(was)
	}
	slices.SortStableFunc(now, func(a, b T) int { return at(a) - at(b) })
}
