package lab

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// routeState is a route with names in the place of the numbers of interfaces.
type routeState struct {
	route netlink.Route // without numbers
	link  string
	hops  []string // by next hop of a route that has several
}

// String is the route with its interfaces, in the words of the netlink package.
func (s routeState) String() string { return fmt.Sprintf("%s %v %v", s.link, s.hops, s.route) }

// routesOf lists the routes of all tables but those that the kernel makes for
// itself: local, broadcast and multicast ones, and those of link-local addresses.
func (n *Namespace) routesOf() ([]routeState, error) {
	links, err := n.routes.LinkList()
	if err != nil {
		return nil, fmt.Errorf("listing the links: %w", err)
	}
	names := map[int]string{}
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	var states []routeState
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		all, err := n.routes.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		if err != nil {
			return nil, fmt.Errorf("listing the routes: %w", err)
		}
		var found []routeState
		for _, r := range all {
			if !isOwnAffair(r) {
				found = append(found, routeOf(r, names))
			}
		}
		if family == netlink.FAMILY_V6 { // here the kernel's order says nothing
			slices.SortStableFunc(found, func(a, b routeState) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
		states = append(states, found...)
	}
	return states, nil
}

// isOwnAffair says whether a route is one that the kernel makes and unmakes
// with an address, and that nobody edits.
func isOwnAffair(r netlink.Route) bool {
	switch r.Type {
	case unix.RTN_LOCAL, unix.RTN_BROADCAST, unix.RTN_ANYCAST, unix.RTN_MULTICAST:
		return r.Protocol == unix.RTPROT_KERNEL
	}
	return r.Protocol == unix.RTPROT_KERNEL && r.Dst != nil &&
		(r.Dst.IP.IsLinkLocalUnicast() && r.Dst.IP.To4() == nil || r.Dst.IP.IsMulticast())
}

func routeOf(r netlink.Route, names map[int]string) routeState {
	s := routeState{link: names[r.LinkIndex]}
	r.LinkIndex = 0
	r.Flags &= int(netlink.FLAG_ONLINK) // the others are the kernel's account of the link
	for _, h := range r.MultiPath {
		hop := *h
		s.hops = append(s.hops, names[hop.LinkIndex])
		hop.LinkIndex = 0
		hop.Flags &= int(netlink.FLAG_ONLINK)
		r.MultiPath[len(s.hops)-1] = &hop
	}
	s.route = r
	return s
}

// netlink is the route with the numbers that its interfaces have now.
func (s routeState) netlink(index map[string]int) (*netlink.Route, error) {
	r := s.route
	var err error
	if r.LinkIndex, err = lookUp(index, s.link); err != nil {
		return nil, err
	}
	r.MultiPath = nil
	for i, h := range s.route.MultiPath {
		hop := *h
		if hop.LinkIndex, err = lookUp(index, s.hops[i]); err != nil {
			return nil, err
		}
		r.MultiPath = append(r.MultiPath, &hop)
	}
	return &r, nil
}

func lookUp(index map[string]int, name string) (int, error) {
	i, ok := index[name]
	if name != "" && !ok {
		return 0, fmt.Errorf("there is no interface %s", name)
	}
	return i, nil
}

// choices lists the rules of ip-rule(8).
func (n *Namespace) choices() ([]netlink.Rule, error) {
	var all []netlink.Rule
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		rules, err := n.routes.RuleList(family)
		if err != nil {
			return nil, err
		}
		for i := range rules {
			rules[i].Family = family // the library leaves it out
		}
		all = append(all, rules...)
	}
	return all, nil
}
