package host

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"packetwalk/trace"
)

// The states of sockets that take packets in from whoever comes
// (include/net/tcp_states.h): a UDP socket without a peer counts as closed.
const (
	stateClose  = 7
	stateListen = 10
)

// The sizes of struct inet_diag_req_v2 and of struct inet_diag_msg
// (include/uapi/linux/inet_diag.h).
const (
	socketRequestSize = 56
	socketMessageSize = 72
)

// opened is a socket with the number by which its owner is found.
type opened struct {
	Socket
	inode uint32
}

// sockets asks for the sockets by sock_diag(7), in the order of protocol, port
// and address. The files of /proc/net would show them too, but walk over the
// connections of the whole machine for it.
func (r *reader) sockets(ctx context.Context) error {
	var all []opened
	for _, kind := range []struct {
		proto trace.Proto
		state int
	}{{trace.TCP, stateListen}, {trace.UDP, stateClose}} {
		for _, f := range families {
			request := make([]byte, socketRequestSize)
			request[0], request[1] = byte(f.number), byte(kind.proto)
			binary.NativeEndian.PutUint32(request[4:], 1<<kind.state)
			found, err := listed(func() (found []opened, err error) {
				return r.diagnosed(kind.proto, request)
			})
			if errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("listing the %s sockets: this kernel has no module that does (%s_diag)", kind.proto, kind.proto)
			}
			if err != nil {
				return fmt.Errorf("listing the %s sockets: %w", kind.proto, err)
			}
			all = append(all, found...)
		}
	}
	nameOwners(ctx, all)
	for _, s := range all {
		r.Sockets = append(r.Sockets, s.Socket)
	}
	slices.SortStableFunc(r.Sockets, func(a, b Socket) int {
		return cmp.Or(cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Local.Port(), b.Local.Port()), a.Local.Addr().Compare(b.Local.Addr()))
	})
	return nil
}

// diagnosed sends a request for sockets of a protocol.
func (r *reader) diagnosed(proto trace.Proto, content []byte) (found []opened, err error) {
	request := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
	request.AddRawData(content)
	err = request.ExecuteIter(unix.NETLINK_INET_DIAG, nl.SOCK_DIAG_BY_FAMILY, func(m []byte) bool {
		if s, ok := openedOf(proto, m, r.names); ok {
			found = append(found, s)
		}
		return true
	})
	return found, err
}

// openedOf reads a struct inet_diag_msg and the attributes behind it. It is not
// ok where the message is cut short, or tells of a socket that has a peer.
func openedOf(proto trace.Proto, m []byte, names map[int]string) (opened, bool) {
	if len(m) < socketMessageSize {
		return opened{}, false
	}
	local := addressIn(m[0], m[8:24])
	if binary.BigEndian.Uint16(m[6:]) != 0 {
		return opened{}, false
	}
	s := Socket{
		Proto:     proto,
		Local:     netip.AddrPortFrom(local.Unmap(), binary.BigEndian.Uint16(m[4:])),
		Interface: names[int(binary.NativeEndian.Uint32(m[40:]))],
	}
	if proto == trace.TCP {
		s.Queued, s.Limit = int(binary.NativeEndian.Uint32(m[56:])), int(binary.NativeEndian.Uint32(m[60:]))
	}
	err := attributes(m[socketMessageSize:], func(kind uint16, v []byte) error {
		if kind == netlink.INET_DIAG_SKV6ONLY && len(v) == 1 {
			s.Only6 = v[0] != 0
		}
		return nil
	})
	if err != nil {
		return opened{}, false
	}
	return opened{s, binary.NativeEndian.Uint32(m[68:])}, true
}

// addressIn reads an address of which IPv4 takes the first four bytes.
func addressIn(family byte, b []byte) netip.Addr {
	if family == unix.AF_INET {
		b = b[:4]
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
