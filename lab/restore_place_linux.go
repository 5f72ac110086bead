package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// restorePlace puts back what a place has, when its links are there. Sysctls
// come first, since some decide what becomes of an address, and bridges come up
// last; see Lab.configure.
func (r *restore) restorePlace(ctx context.Context, n *Namespace) error {
	want := r.want.places[n.name]
	if err := step(n.name, "putting the sysctls back", n.restoreSysctls(want.sysctls)); err != nil {
		return err
	}
	err := n.Do(func() error { return r.lab.restoreRules(ctx, want.rules) })
	if err := step(n.name, "putting the rules back", err); err != nil {
		return err
	}
	for _, bridges := range []bool{false, true} {
		links := slices.DeleteFunc(slices.Clone(want.links), func(l linkState) bool { return (l.kind == kindBridge) != bridges })
		if err := r.restoreLinks(ctx, n, links); err != nil {
			return err
		}
	}
	if err := step(n.name, "putting the routes back", n.restoreRoutes(want.routes)); err != nil {
		return err
	}
	if err := step(n.name, "putting the routing rules back", n.restoreChoices(want.choices)); err != nil {
		return err
	}
	return step(n.name, "forgetting neighbours and connections", n.forget())
}

// restoreLinks puts links back and waits until they carry packets.
func (r *restore) restoreLinks(ctx context.Context, n *Namespace, links []linkState) error {
	watch, err := n.watchLinks()
	if err != nil {
		return step(n.name, "watching the links", err)
	}
	defer watch.close()
	index, err := n.indices()
	if err != nil {
		return step(n.name, "listing the interfaces", err)
	}
	for _, l := range links {
		if err := step(n.name, "putting "+l.name+" back", n.restoreLink(l, index)); err != nil {
			return err
		}
	}
	down, err := n.notUp(r.carriers(n.name, links))
	if err != nil {
		return step(n.name, "listing the links", err)
	}
	ctx, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	return step(n.name, "waiting for the links", watch.awaitUp(ctx, down))
}

func (n *Namespace) watchLinks() (w *linkWatch, err error) {
	err = n.Do(func() error {
		w, err = watchLinks()
		return err
	})
	return w, err
}

// carriers names those of a node's links that will have a carrier: veths whose
// other end is up too, and bridges with such a port.
func (r *restore) carriers(node string, links []linkState) []string {
	carries := func(l linkState) bool { return l.up && l.kind == kindVeth && r.isUp(l.peer) }
	var names []string
	for _, l := range links {
		isPort := func(p linkState) bool { return p.master == l.name && carries(p) }
		if carries(l) || l.up && l.kind == kindBridge && slices.ContainsFunc(r.want.places[node].links, isPort) {
			names = append(names, l.name)
		}
	}
	return names
}

func (r *restore) isUp(p Port) bool {
	return slices.ContainsFunc(r.want.places[p.Node].links, func(l linkState) bool { return l.name == p.Interface && l.up })
}

// notUp are those of the links that the kernel has not reported UP.
func (n *Namespace) notUp(names []string) ([]string, error) {
	all, err := n.routes.LinkList()
	if err != nil {
		return nil, err
	}
	var down []string
	for _, l := range all {
		if slices.Contains(names, l.Attrs().Name) && l.Attrs().OperState != netlink.OperUp {
			down = append(down, l.Attrs().Name)
		}
	}
	return down, nil
}

// restoreLink gives a link its settings, and leaves alone what is right.
func (n *Namespace) restoreLink(w linkState, index map[string]int) error {
	all, err := n.routes.LinkList()
	if err != nil {
		return err
	}
	link := indexed(all)[index[w.name]]
	if link == nil {
		return errors.New("it is not there")
	}
	have, err := n.linkOf(link, indexed(all))
	if err != nil {
		return err
	}
	if have.up && !w.up { // it takes addresses along, so it goes down first
		if err := n.routes.LinkSetDown(link); err != nil {
			return fmt.Errorf("setting it down: %w", err)
		}
		have.addresses, err = n.addressesOf(link)
		if err != nil {
			return err
		}
	}
	if err := n.restoreSettings(link, have, w, index); err != nil {
		return err
	}
	if err := n.restoreAddresses(link, have.addresses, w.addresses); err != nil {
		return err
	}
	if w.up && !have.up {
		if err := n.routes.LinkSetUp(link); err != nil {
			return fmt.Errorf("setting it up: %w", err)
		}
	}
	return nil
}

func (n *Namespace) restoreSettings(link netlink.Link, have, w linkState, index map[string]int) error {
	if have.mac != w.mac {
		mac, err := net.ParseMAC(w.mac)
		if err == nil {
			err = n.routes.LinkSetHardwareAddr(link, mac)
		}
		if err != nil {
			return fmt.Errorf("setting the MAC: %w", err)
		}
	}
	if have.mtu != w.mtu {
		if err := n.routes.LinkSetMTU(link, w.mtu); err != nil {
			return fmt.Errorf("setting the MTU: %w", err)
		}
	}
	if have.master != w.master {
		if err := n.routes.LinkSetMasterByIndex(link, index[w.master]); err != nil {
			return fmt.Errorf("joining it to %q: %w", w.master, err)
		}
		have.hairpin = false // the port is a new one
	}
	if have.hairpin != w.hairpin {
		if err := n.routes.LinkSetHairpin(link, w.hairpin); err != nil {
			return fmt.Errorf("setting the hairpin mode: %w", err)
		}
	}
	return nil
}

// restoreAddresses gives a link its addresses, in their order: the first of a
// network is the one that the kernel sends from.
func (n *Namespace) restoreAddresses(link netlink.Link, have, want []addressState) error {
	if reflect.DeepEqual(have, want) {
		return nil
	}
	for _, a := range slices.Backward(have) {
		if err := n.routes.AddrDel(link, a.netlink()); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return fmt.Errorf("removing address %s: %w", a.address, err)
		}
	}
	for _, a := range want {
		if err := n.routes.AddrAdd(link, a.netlink()); err != nil {
			return fmt.Errorf("adding address %s: %w", a.address, err)
		}
	}
	return nil
}

func (s addressState) netlink() *netlink.Addr {
	a := &netlink.Addr{IPNet: ipNet(s.address), Label: s.label, Scope: s.scope, Broadcast: net.ParseIP(s.broadcast).To4()}
	if a.Broadcast == nil {
		a.Broadcast = net.IPv4zero // for nil the library makes one up
	}
	if s.peer.IsValid() {
		a.Peer = ipNet(s.peer)
	}
	if s.address.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD // see Namespace.addAddresses
	}
	return a
}

// restoreRoutes gives a place its routes, in their order: of two to one network
// the first one counts. Those that the kernel made for an address may have been
// deleted since, and count like any other.
func (n *Namespace) restoreRoutes(want []routeState) error {
	have, err := n.routesOf()
	if err != nil || slices.EqualFunc(have, want, func(a, b routeState) bool { return reflect.DeepEqual(a, b) }) {
		return err
	}
	index, err := n.indices()
	if err != nil {
		return err
	}
	for _, s := range slices.Backward(have) {
		r, err := s.netlink(index)
		if err != nil {
			return err
		}
		if err := n.routes.RouteDel(r); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("removing route %s: %w", s, err)
		}
	}
	// A gateway has to be reached by a route that is there already.
	for _, gateways := range []bool{false, true} {
		for _, s := range want {
			if (s.route.Gw != nil || s.route.Via != nil || len(s.hops) > 0) != gateways {
				continue
			}
			r, err := s.netlink(index)
			if err != nil {
				return err
			}
			if err := n.routes.RouteAppend(r); err != nil {
				return fmt.Errorf("adding route %s: %w", s, err)
			}
		}
	}
	return nil
}

// restoreChoices makes the rules of ip-rule(8) those that are wanted.
func (n *Namespace) restoreChoices(want []netlink.Rule) error {
	have, err := n.choices()
	if err != nil {
		return err
	}
	in := func(all []netlink.Rule, r netlink.Rule) bool {
		return slices.ContainsFunc(all, func(o netlink.Rule) bool { return reflect.DeepEqual(o, r) })
	}
	for _, r := range have {
		if !in(want, r) {
			if err := n.routes.RuleDel(&r); err != nil {
				return fmt.Errorf("removing %s: %w", r, err)
			}
		}
	}
	for _, r := range want {
		if !in(have, r) {
			if err := n.routes.RuleAdd(&r); err != nil {
				return fmt.Errorf("adding %s: %w", r, err)
			}
		}
	}
	return nil
}

// forget drops what the kernel has learnt of packets: neighbours, and connections.
func (n *Namespace) forget() error {
	neighbours, err := n.routes.NeighList(0, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("listing the neighbours: %w", err)
	}
	for _, h := range neighbours {
		if h.State == netlink.NUD_NOARP || h.Family == unix.AF_BRIDGE {
			continue
		}
		if err := n.routes.NeighDel(&h); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("removing the neighbour %s: %w", h.IP, err)
		}
	}
	err = n.Do(func() error { return netlink.ConntrackTableFlush(netlink.ConntrackTable) })
	if err != nil {
		return fmt.Errorf("emptying the connection tracking table: %w", err)
	}
	return nil
}
