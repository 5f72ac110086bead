package toolbox

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// conntrackCall is a call of conntrack: what to do with which connections. Zero
// values stand for any.
type conntrackCall struct {
	do       byte // L, D or F
	family   netlink.InetFamily
	proto    uint8
	src, dst netip.Addr
	// sport and dport are those of the original direction.
	sport, dport uint16
}

func parseConntrack(args []string) (c conntrackCall, err error) {
	c.family = unix.AF_INET
	commands := 0
	do := func(letter byte) func() {
		return func() { c.do, commands = letter, commands+1 }
	}
	address := func(to *netip.Addr) func(string) error {
		return func(v string) (err error) {
			*to, err = netip.ParseAddr(v)
			return err
		}
	}
	port := func(to *uint16) func(string) error {
		return func(v string) error {
			n, err := strconv.ParseUint(v, 10, 16)
			*to = uint16(n)
			return err
		}
	}
	operands, err := parseOptions(args, []option{
		{names: []string{"-L", "--dump"}, set: do('L')},
		{names: []string{"-D", "--delete"}, set: do('D')},
		{names: []string{"-F", "--flush"}, set: do('F')},
		{names: []string{"-f", "--family"}, take: func(v string) error {
			families := map[string]netlink.InetFamily{"ipv4": unix.AF_INET, "ipv6": unix.AF_INET6}
			var ok bool
			if c.family, ok = families[v]; !ok {
				return errors.New("expected ipv4 or ipv6")
			}
			return nil
		}},
		{names: []string{"-p", "--proto"}, take: func(v string) error {
			protocols := map[string]uint8{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "icmp": unix.IPPROTO_ICMP, "icmpv6": unix.IPPROTO_ICMPV6}
			var ok bool
			if c.proto, ok = protocols[v]; !ok {
				return errors.New("expected tcp, udp, icmp or icmpv6")
			}
			return nil
		}},
		{names: []string{"-s", "--src", "--orig-src"}, take: address(&c.src)},
		{names: []string{"-d", "--dst", "--orig-dst"}, take: address(&c.dst)},
		{names: []string{"--sport", "--orig-port-src"}, take: port(&c.sport)},
		{names: []string{"--dport", "--orig-port-dst"}, take: port(&c.dport)},
	})
	switch {
	case err != nil:
	case len(operands) > 0:
		err = fmt.Errorf("%q is out of place", operands[0])
	case commands != 1:
		err = errors.New("expected one of -L, -D and -F; this stands in for conntrack, which is not installed")
	}
	return c, err
}

// conntrack stands in for conntrack(8): it lists connections, deletes some, or
// all, and fails where there was none to delete.
func conntrack(name string, args []string) int {
	c, err := parseConntrack(args)
	if err != nil {
		return complain(name, 2, "%v", err)
	}
	n := 0
	switch c.do {
	case 'F':
		err = netlink.ConntrackTableFlush(netlink.ConntrackTable)
	case 'D':
		var deleted uint
		deleted, err = netlink.ConntrackDeleteFilters(netlink.ConntrackTable, c.family, c)
		n = int(deleted)
	default:
		n, err = c.list()
	}
	if err != nil {
		return complain(name, 1, "%v", err)
	}
	switch {
	case c.do == 'F':
		fmt.Println("connection tracking table has been emptied")
	case c.do == 'D' && n == 0:
		return complain(name, 1, "0 flow entries have been deleted")
	case c.do == 'D':
		fmt.Println(n, "flow entries have been deleted")
	default:
		fmt.Println(n, "flow entries have been shown")
	}
	return 0
}

func (c conntrackCall) list() (n int, err error) {
	flows, err := netlink.ConntrackTableList(netlink.ConntrackTable, c.family)
	if err != nil {
		return 0, err
	}
	for _, f := range flows {
		if c.MatchConntrackFlow(f) {
			fmt.Println(f)
			n++
		}
	}
	return n, nil
}

// MatchConntrackFlow says whether the call is about a connection.
func (c conntrackCall) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	is := func(want netip.Addr, have []byte) bool {
		got, ok := netip.AddrFromSlice(have)
		return !want.IsValid() || ok && got.Unmap() == want
	}
	return (c.proto == 0 || c.proto == f.Forward.Protocol) &&
		(c.sport == 0 || c.sport == f.Forward.SrcPort) && (c.dport == 0 || c.dport == f.Forward.DstPort) &&
		is(c.src, f.Forward.SrcIP) && is(c.dst, f.Forward.DstIP)
}
