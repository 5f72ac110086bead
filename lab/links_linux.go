package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// makeNetwork makes bridges, links, addresses and routes, and waits for the
// links to come up.
func (l *Lab) makeNetwork(ctx context.Context) error {
	for _, n := range l.topology.Nodes {
		for _, b := range n.Bridges {
			if err := step(n.Name, "making bridge "+b.Name, l.nodes[n.Name].makeBridge(b.Name)); err != nil {
				return err
			}
		}
	}
	for i, link := range l.topology.Links {
		a, b := link.Ends[0], link.Ends[1]
		what := fmt.Sprintf("making the link between %s and %s on %s", a.Interface, b.Interface, b.Node)
		if err := step(a.Node, what, l.nodes[a.Node].makeVeth(a.Interface, l.nodes[b.Node], b.Interface, firstIndex+i)); err != nil {
			return err
		}
	}
	work, ctx := errgroup.WithContext(ctx)
	for _, n := range l.topology.Nodes {
		work.Go(func() error { return l.configure(ctx, n) })
	}
	return work.Wait()
}

func (n *Namespace) makeBridge(name string) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	return n.routes.LinkAdd(&netlink.Bridge{LinkAttrs: attrs})
}

// firstIndex is the interface number of the first end of the first link. The
// kernel numbers the other ends, from 2 up: the two ends of a pair must differ,
// or it may put off for a second to report them UP (linkwatch_urgent_event in
// net/core/link_watch.c).
const firstIndex = 100

// makeVeth makes a pair with both ends where they belong, in one request.
func (n *Namespace) makeVeth(name string, peer *Namespace, peerName string, index int) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	attrs.Index = index
	veth := netlink.NewVeth(attrs)
	veth.PeerName = peerName
	veth.PeerNamespace = netlink.NsFd(peer.file.Fd())
	return n.routes.LinkAdd(veth)
}

// configure gives a node its sysctls, bridge ports, addresses and routes, in
// the order in which they depend on each other. When it returns, no packet that
// the node sends is lost any more.
//
// A veth end carries packets once the kernel has reported it UP. For a bridge
// the kernel may put that off for a second, but one that is brought up over a
// port that is UP forwards at once (br_stp_enable_bridge in net/bridge/br_stp_if.c),
// so bridges come up last.
func (l *Lab) configure(ctx context.Context, n Node) error {
	ns := l.nodes[n.Name]
	if err := ns.writeSysctls(n.Sysctls); err != nil {
		return err
	}
	index, err := ns.indices()
	if err != nil {
		return step(n.Name, "listing the interfaces", err)
	}
	interfaces := l.topology.Interfaces(n.Name)
	local, err := ns.watchLocal(interfaces)
	if err != nil {
		return step(n.Name, "watching the addresses", err)
	}
	defer local.close()
	bridges, ends := split(interfaces)
	if err := ns.bringUp(ends, index); err != nil {
		return err
	}
	if err := step(n.Name, "waiting for the links", ns.awaitUp(ctx, ends)); err != nil {
		return err
	}
	if err := ns.bringUp(bridges, index); err != nil {
		return err
	}
	if err := step(n.Name, "waiting for the addresses", local.await(ctx)); err != nil {
		return err
	}
	for _, r := range n.Routes {
		if err := step(n.Name, "adding route "+r.String(), ns.addRoute(r, index)); err != nil {
			return err
		}
	}
	return nil
}

// split parts the bridges from the ends of links.
func split(interfaces []Interface) (bridges, ends []Interface) {
	for _, i := range interfaces {
		if i.IsBridge {
			bridges = append(bridges, i)
		} else {
			ends = append(ends, i)
		}
	}
	return bridges, ends
}

// awaitUp waits until the kernel has reported the interfaces UP.
func (n *Namespace) awaitUp(ctx context.Context, ends []Interface) error {
	defer n.links.close()
	var names []string
	for _, e := range ends {
		if e.Peer.Node != "" && !e.Down && !e.Peer.Down { // the others report nothing, or no UP
			names = append(names, e.Name)
		}
	}
	return n.links.awaitUp(ctx, names)
}

// indices maps the names of the node's interfaces to their numbers.
func (n *Namespace) indices() (map[string]int, error) {
	links, err := n.routes.LinkList()
	if err != nil {
		return nil, err
	}
	index := make(map[string]int, len(links))
	for _, link := range links {
		index[link.Attrs().Name] = link.Attrs().Index
	}
	return index, nil
}

// addAddresses adds the addresses of an interface. The kernel need not look for
// duplicates of IPv6 ones: nobody else is there, and a tentative address does
// not answer.
func (n *Namespace) addAddresses(i Interface, index map[string]int) error {
	link := deviceOf(index[i.Name])
	for _, a := range i.Addresses {
		addr := &netlink.Addr{IPNet: ipNet(a)}
		if a.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		what := fmt.Sprintf("adding address %s to %s", a, i.Name)
		if err := step(n.name, what, n.routes.AddrAdd(link, addr)); err != nil {
			return err
		}
	}
	return nil
}

// bringUp gives interfaces their addresses, bridges and MTUs and brings up those
// that are not to stay down.
func (n *Namespace) bringUp(interfaces []Interface, index map[string]int) error {
	for _, i := range interfaces {
		if err := n.addAddresses(i, index); err != nil {
			return err
		}
		link := deviceOf(index[i.Name])
		if i.Bridge != "" {
			err := n.routes.LinkSetMasterByIndex(link, index[i.Bridge])
			if err := step(n.name, fmt.Sprintf("joining %s to bridge %s", i.Name, i.Bridge), err); err != nil {
				return err
			}
		}
		if i.MTU != 0 {
			err := n.routes.LinkSetMTU(link, i.MTU)
			if err := step(n.name, fmt.Sprintf("setting the MTU of %s to %d", i.Name, i.MTU), err); err != nil {
				return err
			}
		}
		if i.Down {
			continue
		}
		if err := step(n.name, "bringing up "+i.Name, n.routes.LinkSetUp(link)); err != nil {
			return err
		}
	}
	return nil
}

func (n *Namespace) addRoute(r Route, index map[string]int) error {
	route, err := r.netlink(index)
	if err != nil {
		return err
	}
	return n.routes.RouteAdd(route)
}

// netlink is the route in the netlink package's terms.
func (r Route) netlink(index map[string]int) (*netlink.Route, error) {
	route := &netlink.Route{}
	if r.Destination.IsValid() {
		route.Dst = ipNet(r.Destination)
	}
	if r.Via.IsValid() {
		route.Gw = net.IP(r.Via.AsSlice())
	} else {
		route.Scope = unix.RT_SCOPE_LINK
	}
	if r.Interface != "" {
		i, ok := index[r.Interface]
		if !ok {
			return nil, errors.New("there is no interface " + r.Interface)
		}
		route.LinkIndex = i
	}
	return route, nil
}

func deviceOf(index int) netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{
		IP:   p.Addr().AsSlice(),
		Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
	}
}
