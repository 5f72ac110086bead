package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Guest is a namespace of its own beside a place that no lab has made, joined to
// it by a veth pair. It is the one thing of this package that is made outside of
// a sandbox too, so it has no name there and no file: only this process holds the
// namespace. Whatever ends the process, the kernel takes both ends of the pair
// away, and with them their addresses, routes and neighbours.
type Guest struct {
	*Namespace
	host    *Namespace
	closing sync.Once
	failed  error // what Close came to
}

// guestIndex is the number of the guest's end. That of the other end is the
// kernel's choice, and no machine has counted this far; see firstIndex.
const guestIndex = 1 << 20

// NewGuest makes a guest. The first end of the link is the host's, the second
// the guest's, which gets a default route by gateway. It returns when packets
// pass. Close has to be called.
func NewGuest(ctx context.Context, host Place, link Link, gateway netip.Addr) (*Guest, error) {
	at, own := link.Ends[0], link.Ends[1]
	g := &Guest{host: &Namespace{name: at.Node}}
	if err := host.Do(g.host.open); err != nil {
		g.host.close()
		return nil, step(at.Node, "opening its network namespace", err)
	}
	var err error
	if g.Namespace, err = newNamespace(own.Node, false); err != nil {
		g.host.close()
		return nil, step(own.Node, "making its network namespace", err)
	}
	if err := g.join(ctx, at, own, gateway); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// join makes the pair of interfaces and configures both ends.
func (g *Guest) join(ctx context.Context, at, own End, gateway netip.Addr) error {
	what := fmt.Sprintf("making the link between %s and %s on %s", own.Interface, at.Interface, at.Node)
	if err := step(own.Node, what, g.makeVeth(own.Interface, g.host, at.Interface, guestIndex)); err != nil {
		return err
	}
	ends := []guestEnd{{g.host, at}, {g.Namespace, own}}
	var watches []*localWatch
	defer func() {
		for _, w := range watches {
			w.close()
		}
	}()
	for _, e := range ends {
		w, err := e.attach()
		watches = append(watches, w)
		if err != nil {
			return err
		}
	}
	// An end is up when the other one is, too.
	for i, e := range ends {
		if err := e.links.awaitUp(ctx, []string{e.Interface}); err != nil {
			return step(e.name, "waiting for "+e.Interface, err)
		}
		if err := step(e.name, "waiting for the addresses of "+e.Interface, watches[i].await(ctx)); err != nil {
			return err
		}
	}
	route := Route{Via: gateway, Interface: own.Interface}
	return step(own.Node, "adding its default route", g.addRoute(route, map[string]int{own.Interface: guestIndex}))
}

// guestEnd is an end of a guest's link, in its namespace.
type guestEnd struct {
	*Namespace
	End
}

// attach gives the end its addresses and brings it up. Without IPv6 addresses it
// gets no link-local one either, so that it says nothing by itself. The watch,
// where there is one, has to be closed.
func (e guestEnd) attach() (*localWatch, error) {
	i := Interface{Name: e.Interface, Addresses: e.Addresses}
	index, err := e.indices()
	if err != nil {
		return nil, step(e.name, "listing the interfaces", err)
	}
	if _, ok := index[e.Interface]; !ok {
		return nil, step(e.name, "looking for "+e.Interface, errors.New("somebody else has renamed or removed it as soon as it was there"))
	}
	if !hasIPv6(e.Addresses) {
		const none = 1 // IN6_ADDR_GEN_MODE_NONE in include/uapi/linux/if_link.h
		err := e.routes.LinkSetIP6AddrGenMode(deviceOf(index[e.Interface]), none)
		if err != nil && !errors.Is(err, unix.EAFNOSUPPORT) && !errors.Is(err, unix.EOPNOTSUPP) { // a kernel without IPv6
			return nil, step(e.name, "keeping IPv6 off "+e.Interface, err)
		}
	}
	local, err := e.watchLocal([]Interface{i})
	if err != nil {
		return nil, step(e.name, "watching the addresses", err)
	}
	return local, e.bringUp([]Interface{i}, index)
}

func hasIPv6(all []netip.Prefix) bool {
	return slices.ContainsFunc(all, func(p netip.Prefix) bool { return p.Addr().Is6() })
}

// Close removes the pair, so that nothing of the guest is left when it returns,
// and lets go of the guest's namespace. It can be repeated.
func (g *Guest) Close() error {
	g.closing.Do(func() {
		// By the guest's end: the other one may have another name by now.
		err := g.routes.LinkDel(deviceOf(guestIndex))
		if !errors.Is(err, unix.ENODEV) {
			g.failed = step(g.name, "removing its link", err)
		}
		g.Namespace.close()
		g.host.close()
	})
	return g.failed
}
