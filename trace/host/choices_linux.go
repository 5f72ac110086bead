package host

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"packetwalk/trace"
)

// choices reads the rules of ip-rule(8), those of IPv4 first, in the order in
// which the kernel asks them.
//
// The netlink package lists them too, but leaves out what those do that do not
// lead to a table.
func (r *reader) choices(context.Context) error {
	for _, f := range families {
		messages, err := listed(func() ([][]byte, error) {
			request := nl.NewNetlinkRequest(unix.RTM_GETRULE, unix.NLM_F_DUMP)
			request.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(f.number)}}) // struct fib_rule_hdr is laid out alike
			return request.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWRULE)
		})
		if err != nil {
			return fmt.Errorf("listing the %s rules: %w", f.family, err)
		}
		var choices []Choice
		for _, m := range messages {
			c, err := choiceOf(f.family, m)
			if err != nil {
				return fmt.Errorf("reading a rule: %w", err)
			}
			choices = append(choices, c)
		}
		slices.SortStableFunc(choices, func(a, b Choice) int { return cmp.Compare(a.Priority, b.Priority) })
		r.Choices = append(r.Choices, choices...)
	}
	return nil
}

// choiceOf reads a message of the kernel (include/uapi/linux/fib_rules.h).
func choiceOf(family trace.Family, m []byte) (Choice, error) {
	if len(m) < unix.SizeofRtMsg {
		return Choice{}, fmt.Errorf("its message has %d bytes only", len(m))
	}
	header := nl.DeserializeRtMsg(m)
	c := Choice{
		Family: family, Type: choiceTypes[header.Type], Table: int(header.Table),
		Not: header.Flags&unix.FIB_RULE_INVERT != 0, More: header.Tos != 0,
	}
	err := attributes(m[header.Len():], func(kind uint16, v []byte) error {
		switch kind {
		case nl.FRA_SRC:
			c.Source = prefixIn(v, header.Src_len)
		case nl.FRA_DST:
			c.Destination = prefixIn(v, header.Dst_len)
		case nl.FRA_IIFNAME:
			c.In = unix.ByteSliceToString(v)
		case nl.FRA_OIFNAME:
			c.Out = unix.ByteSliceToString(v)
		case nl.FRA_TUN_ID, nl.FRA_UID_RANGE, fraL3mdev:
			c.More = true
		case nl.FRA_DPORT_RANGE:
			c.Port = c.onePort(v)
		case nl.FRA_SPORT_RANGE:
			c.SourcePort = c.onePort(v)
		case nl.FRA_IP_PROTO:
			if len(v) > 0 {
				c.Protocol = trace.Proto(v[0])
			}
		default:
			if len(v) == 4 {
				c.number(kind, binary.NativeEndian.Uint32(v))
			}
		}
		return nil
	})
	return c, err
}

// prefixIn is the zero Prefix where the bytes are no address.
func prefixIn(address []byte, bits uint8) netip.Prefix {
	p, _ := addrOf(address).Prefix(int(bits))
	return p
}

// fraL3mdev is FRA_L3MDEV: the table is that of the packet's VRF.
const fraL3mdev = 19

// choiceTypes are the actions of include/uapi/linux/fib_rules.h. What jumps to
// another rule, or does nothing, has no type.
var choiceTypes = map[uint8]RouteType{
	unix.FR_ACT_TO_TBL: Unicast, unix.FR_ACT_BLACKHOLE: Blackhole,
	unix.FR_ACT_UNREACHABLE: Unreachable, unix.FR_ACT_PROHIBIT: Prohibit,
}

// none is what the kernel says of a suppressor that is not there.
const none = 1<<32 - 1

// number takes an attribute of 32 bits.
func (c *Choice) number(kind uint16, n uint32) {
	switch kind {
	case nl.FRA_PRIORITY:
		c.Priority = int(n)
	case nl.FRA_TABLE:
		c.Table = int(n)
	case nl.FRA_FWMARK:
		c.Mark = n
	case nl.FRA_FWMASK:
		c.Mask = n
	case nl.FRA_GOTO:
		c.Goto = int(n)
	case nl.FRA_SUPPRESS_PREFIXLEN, nl.FRA_SUPPRESS_IFGROUP:
		c.More = c.More || n != none
	}
}

// onePort reads a range of ports, which is held only where it is a single one.
func (c *Choice) onePort(v []byte) uint16 {
	if len(v) < 4 {
		return 0
	}
	first, last := binary.NativeEndian.Uint16(v), binary.NativeEndian.Uint16(v[2:])
	if first != last {
		c.More = true
		return 0
	}
	return first
}
