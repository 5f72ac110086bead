package host

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"packetwalk/trace"
)

// maxConnections is how many tracked connections are kept.
const maxConnections = 50000

// tcpStates are conntrack(8)'s names of enum tcp_conntrack
// (include/uapi/linux/netfilter/nf_conntrack_tcp.h).
var tcpStates = []string{
	"NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2",
}

// connections reads the tracked connections of the addresses in question. The
// netlink package lists them too, but not whether anything has come back.
func (r *reader) connections(context.Context) error {
	if len(r.options.Addresses) == 0 {
		return nil
	}
	all, err := listed(func() ([]Connection, error) { return trackedConnections(r.options.Addresses) })
	switch {
	case errors.Is(err, unix.EINVAL), errors.Is(err, os.ErrNotExist): // nobody takes the request
		return errors.New("this kernel has no module that lists them (nf_conntrack_netlink)")
	case err != nil:
		return err
	case len(all) > maxConnections:
		r.unseen(Connections, fmt.Errorf("there are more than %d of these addresses", maxConnections))
		all = all[:maxConnections]
	}
	r.Connections = all
	return nil
}

// trackedConnections lists those that have one of the addresses, as far as one
// beyond maxConnections. What holds the bytes of none is not taken apart: of a
// large table that saves three quarters of the time.
func trackedConnections(addresses []netip.Addr) (all []Connection, err error) {
	var wanted [][]byte
	for _, a := range addresses {
		wanted = append(wanted, a.AsSlice())
	}
	request := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|nl.IPCTNL_MSG_CT_GET, unix.NLM_F_DUMP)
	request.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC, Version: nl.NFNETLINK_V0})
	err = request.ExecuteIter(unix.NETLINK_NETFILTER, 0, func(m []byte) bool {
		holds := func(address []byte) bool { return bytes.Contains(m, address) }
		if len(m) < nl.SizeofNfgenmsg || !slices.ContainsFunc(wanted, holds) {
			return true
		}
		if c, err := connectionOf(m[nl.SizeofNfgenmsg:]); err == nil && c.names(addresses) {
			all = append(all, c)
		}
		return len(all) <= maxConnections
	})
	return all, err
}

func (c Connection) names(addresses []netip.Addr) bool {
	for _, p := range []netip.AddrPort{c.Original.Src, c.Original.Dst, c.Reply.Src, c.Reply.Dst} {
		if slices.Contains(addresses, p.Addr()) {
			return true
		}
	}
	return false
}

// seenReply is IPS_SEEN_REPLY (include/uapi/linux/netfilter/nf_conntrack_common.h).
const seenReply = 1 << 1

// connectionOf reads the attributes of a tracked connection
// (include/uapi/linux/netfilter/nfnetlink_conntrack.h).
func connectionOf(data []byte) (c Connection, err error) {
	err = attributes(data, func(kind uint16, v []byte) (err error) {
		switch kind {
		case nl.CTA_TUPLE_ORIG:
			c.Proto, c.Original, err = tupleOf(v)
		case nl.CTA_TUPLE_REPLY:
			_, c.Reply, err = tupleOf(v)
		case nl.CTA_STATUS:
			c.Unreplied = len(v) == 4 && binary.BigEndian.Uint32(v)&seenReply == 0
		case nl.CTA_TIMEOUT:
			if len(v) == 4 {
				c.Timeout = time.Duration(binary.BigEndian.Uint32(v)) * time.Second
			}
		case nl.CTA_MARK:
			if len(v) == 4 {
				c.Mark = binary.BigEndian.Uint32(v)
			}
		case nl.CTA_PROTOINFO:
			c.State, err = tcpStateOf(v)
		}
		return err
	})
	return c, err
}

// tcpStateOf reads what a protocol has to say, and finds a name if that is TCP.
func tcpStateOf(data []byte) (state string, err error) {
	err = attributes(data, func(kind uint16, v []byte) error {
		if kind != nl.CTA_PROTOINFO_TCP {
			return nil
		}
		return attributes(v, func(kind uint16, v []byte) error {
			if kind == nl.CTA_PROTOINFO_TCP_STATE && len(v) == 1 {
				state = word(tcpStates, int(v[0]))
			}
			return nil
		})
	})
	return state, err
}

// tupleOf reads the addresses of one direction. Those of ICMP have port 0.
func tupleOf(data []byte) (proto trace.Proto, t Tuple, err error) {
	var src, dst netip.Addr
	var from, to uint16
	err = attributes(data, func(kind uint16, v []byte) error {
		switch kind {
		case nl.CTA_TUPLE_IP:
			return attributes(v, func(kind uint16, v []byte) error {
				switch kind {
				case nl.CTA_IP_V4_SRC, nl.CTA_IP_V6_SRC:
					src = addrOf(v)
				case nl.CTA_IP_V4_DST, nl.CTA_IP_V6_DST:
					dst = addrOf(v)
				}
				return nil
			})
		case nl.CTA_TUPLE_PROTO:
			return attributes(v, func(kind uint16, v []byte) error {
				switch {
				case kind == nl.CTA_PROTO_NUM && len(v) == 1:
					proto = trace.Proto(v[0])
				case kind == nl.CTA_PROTO_SRC_PORT && len(v) == 2:
					from = binary.BigEndian.Uint16(v)
				case kind == nl.CTA_PROTO_DST_PORT && len(v) == 2:
					to = binary.BigEndian.Uint16(v)
				}
				return nil
			})
		}
		return nil
	})
	return proto, Tuple{netip.AddrPortFrom(src, from), netip.AddrPortFrom(dst, to)}, err
}
