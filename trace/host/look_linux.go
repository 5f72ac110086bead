package host

import (
	"errors"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// looker asks the kernel of a namespace, as long as there is one.
type looker struct{ namespace Namespace }

// Route asks as ip-route(8) does with "route get".
func (l looker) Route(q Query) (d Decision) {
	options := &netlink.RouteGetOptions{Iif: q.In, Mark: q.Mark}
	if q.Src.IsValid() {
		options.SrcAddr = ipOf(q.Src)
	}
	err := l.namespace.Do(func() error {
		routes, err := netlink.RouteGetWithOptions(ipOf(q.Dst), options)
		if err != nil || len(routes) == 0 {
			return err
		}
		r := routes[0]
		d = Decision{Type: routeType(r.Type), Via: viaOf(r.Gw, r.Via), Table: r.Table}
		link, err := net.InterfaceByIndex(r.LinkIndex)
		if err == nil {
			d.Interface = link.Name
		}
		return nil
	})
	if err != nil {
		d.Err = errnoName(err)
	}
	return d
}

func ipOf(a netip.Addr) net.IP { return net.IP(a.AsSlice()) }

// errnoName is the name of the errno in an error, or the error's text where
// there is none.
func errnoName(err error) string {
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return "ENODEV"
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		if name := unix.ErrnoName(errno); name != "" {
			return name
		}
	}
	return err.Error()
}
