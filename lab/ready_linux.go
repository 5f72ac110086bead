package lab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// changesKept is how many changes a subscription takes in while nobody waits for
	// them yet: a lab's links make some ten each.
	changesKept = 4096
	// changesBuffer is the room for those that are not read yet, in bytes; the kernel
	// gives net.core.rmem_max at the most (socket(7)).
	changesBuffer = 4 << 20
)

// linkWatch is a subscription to what happens to the links of one node.
type linkWatch struct {
	updates chan netlink.LinkUpdate
	done    chan struct{}
	closing sync.Once
}

// watchLinks subscribes in the network namespace of the calling thread.
func watchLinks() (*linkWatch, error) {
	w := &linkWatch{updates: make(chan netlink.LinkUpdate, changesKept), done: make(chan struct{})}
	options := netlink.LinkSubscribeOptions{ReceiveBufferSize: changesBuffer, ErrorCallback: func(error) {}} // the channel's end tells it
	if err := netlink.LinkSubscribeWithOptions(w.updates, w.done, options); err != nil {
		return nil, err
	}
	return w, nil
}

// awaitUp waits until every named link has reported operational state UP.
// Before that the kernel has no queue on the link and silently loses what is
// sent, and a lost SYN is repeated only a second later (RFC 6298, section 2).
func (w *linkWatch) awaitUp(ctx context.Context, names []string) error {
	down := make(map[string]bool, len(names))
	for _, n := range names {
		down[n] = true
	}
	for len(down) > 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %v to come up: %w", slices.Sorted(maps.Keys(down)), context.Cause(ctx))
		case u, ok := <-w.updates:
			if !ok {
				return errors.New("the subscription to link changes broke off")
			}
			name := u.Attrs().Name
			if u.Header.Type == unix.RTM_NEWLINK && u.Attrs().OperState == netlink.OperUp {
				delete(down, name)
			}
		}
	}
	return nil
}

// close ends the subscription and waits for its goroutine. Closing again does nothing.
func (w *linkWatch) close() {
	w.closing.Do(func() { close(w.done) })
	for range w.updates { // the sender must not be left blocked
	}
}

// localWatch is a subscription to the IPv6 addresses that a node begins to
// receive for. The kernel works on those in the background
// (addrconf_dad_work in net/ipv6/addrconf.c): an address that was added may
// not be listened to yet, and a lost answer to a neighbour solicitation costs
// a second, too.
type localWatch struct {
	updates chan netlink.RouteUpdate
	done    chan struct{}
	waiting map[netip.Addr]bool
}

// watchLocal subscribes for the IPv6 addresses of interfaces, before they are
// added; nil if there are none.
func (n *Namespace) watchLocal(interfaces []Interface) (*localWatch, error) {
	w := &localWatch{
		updates: make(chan netlink.RouteUpdate, changesKept), done: make(chan struct{}), waiting: map[netip.Addr]bool{},
	}
	for _, i := range interfaces {
		for _, a := range i.Addresses {
			if a.Addr().Is6() && !i.Down && !i.Peer.Down {
				w.waiting[a.Addr()] = true
			}
		}
	}
	if len(w.waiting) == 0 {
		return nil, nil
	}
	err := n.Do(func() error {
		options := netlink.RouteSubscribeOptions{ReceiveBufferSize: changesBuffer, ErrorCallback: func(error) {}} // the channel's end tells it
		return netlink.RouteSubscribeWithOptions(w.updates, w.done, options)
	})
	if err != nil {
		return nil, fmt.Errorf("subscribing to route changes: %w", err)
	}
	return w, nil
}

// await waits until the kernel has a local route for every address, which is
// what makes it receive.
func (w *localWatch) await(ctx context.Context) error {
	if w == nil {
		return nil
	}
	for len(w.waiting) > 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for IPv6 addresses to be received for: %w", context.Cause(ctx))
		case u, ok := <-w.updates:
			if !ok {
				return errors.New("the subscription to route changes broke off")
			}
			if u.Type == unix.RTM_NEWROUTE && u.Route.Type == unix.RTN_LOCAL && u.Dst != nil {
				addr, _ := netip.AddrFromSlice(u.Dst.IP)
				delete(w.waiting, addr)
			}
		}
	}
	return nil
}

// close ends the subscription and waits for its goroutine.
func (w *localWatch) close() {
	if w == nil {
		return
	}
	close(w.done)
	for range w.updates { // the sender must not be left blocked
	}
}
