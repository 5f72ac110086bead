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
	to, from := q.Dst.Unmap(), q.Src.Unmap()
	if from.IsValid() && from.Is4() != to.Is4() {
		return Decision{Err: "EAFNOSUPPORT"}
	}
	options := &netlink.RouteGetOptions{Iif: q.In, Oif: to.Zone(), Mark: q.Mark, SrcAddr: ipOf(from)}
	err := l.namespace.Do(func() error {
		routes, err := netlink.RouteGetWithOptions(ipOf(to), options)
		if err != nil {
			return err
		}
		for _, r := range routes { // there is one
			d = Decision{Type: routeType(r.Type), Via: viaOf(r.Gw, r.Via), Table: r.Table}
			if link, err := netlink.LinkByIndex(r.LinkIndex); err == nil {
				d.Interface = link.Attrs().Name
			}
		}
		return nil
	})
	if err != nil {
		d.Err = errnoName(err)
	}
	return d
}

// ipOf is nil for the zero Addr.
func ipOf(a netip.Addr) net.IP { return a.AsSlice() }

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
