package host

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"packetwalk/trace"
)

// families are the address families by the kernel's numbers, in order.
var families = []struct {
	number int
	family trace.Family
}{{unix.AF_INET, trace.IPv4}, {unix.AF_INET6, trace.IPv6}}

// routes reads the routes of all tables: in the kernel's order with IPv4; with
// IPv6, where that says nothing, by table and destination.
func (r *reader) routes(context.Context) error {
	for _, f := range families {
		all, err := listed(func() ([]netlink.Route, error) {
			return netlink.RouteListFiltered(f.number, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		})
		if err != nil {
			return fmt.Errorf("listing the %s routes: %w", f.family, err)
		}
		routes := make([]Route, len(all))
		for i, v := range all {
			routes[i] = r.route(f.family, v)
		}
		if f.family == trace.IPv6 {
			slices.SortStableFunc(routes, func(a, b Route) int {
				return cmp.Or(a.Table-b.Table, a.Destination.Addr().Compare(b.Destination.Addr()),
					a.Destination.Bits()-b.Destination.Bits(), a.Metric-b.Metric, cmp.Compare(a.Interface, b.Interface))
			})
		}
		r.Routes = append(r.Routes, routes...)
	}
	return nil
}

func (r *reader) route(family trace.Family, v netlink.Route) Route {
	route := Route{
		Family: family, Table: v.Table, Type: routeType(v.Type), Destination: prefixOf(v.Dst), Via: viaOf(v.Gw, v.Via),
		Interface: r.names[v.LinkIndex], Source: addrOf(v.Src), Metric: v.Priority, Scope: scopeOf(v.Scope),
		OnLink: v.Flags&unix.RTNH_F_ONLINK != 0, Dead: v.Flags&unix.RTNH_F_DEAD != 0,
		Kernel: v.Protocol == unix.RTPROT_KERNEL, MTU: v.MTU,
	}
	for _, h := range v.MultiPath {
		route.NextHop = append(route.NextHop, NextHop{Via: viaOf(h.Gw, h.Via), Interface: r.names[h.LinkIndex]})
	}
	return route
}

// viaOf is the gateway, which may be one of the other family (RTA_VIA).
func viaOf(gateway []byte, via netlink.Destination) (a netip.Addr) {
	if v, ok := via.(*netlink.Via); ok {
		return addrOf(v.Addr)
	}
	return addrOf(gateway)
}

// routeTypes are the names of ip-route(8) for the types of rtnetlink(7).
var routeTypes = map[int]RouteType{
	unix.RTN_UNICAST: Unicast, unix.RTN_LOCAL: Local, unix.RTN_BROADCAST: Broadcast, unix.RTN_ANYCAST: "anycast",
	unix.RTN_MULTICAST: "multicast", unix.RTN_BLACKHOLE: Blackhole, unix.RTN_UNREACHABLE: Unreachable,
	unix.RTN_PROHIBIT: Prohibit, unix.RTN_THROW: Throw,
}

// routeType is the name of a type, or its number where it has none.
func routeType(n int) RouteType {
	if t, ok := routeTypes[n]; ok {
		return t
	}
	return RouteType(fmt.Sprint(n))
}

// scopeOf is the name of a scope in /etc/iproute2/rt_scopes, or its number.
func scopeOf(s netlink.Scope) string {
	names := map[netlink.Scope]string{
		unix.RT_SCOPE_UNIVERSE: "global", unix.RT_SCOPE_SITE: "site", unix.RT_SCOPE_LINK: "link",
		unix.RT_SCOPE_HOST: "host", unix.RT_SCOPE_NOWHERE: "nowhere",
	}
	if name, ok := names[s]; ok {
		return name
	}
	return fmt.Sprint(int(s))
}
