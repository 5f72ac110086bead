// Package xtables reads, edits and replaces the tables of iptables-legacy as
// the kernel holds them (include/uapi/linux/netfilter_ipv4/ip_tables.h and
// netfilter_ipv6/ip6_tables.h). iptables-legacy takes a table apart and puts it
// together again for every change, and sets back the counters of policies while
// it does so; here an edit costs little more than copying, and every counter
// stays. What the rules are for is left to others.
package xtables

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"packetwalk/trace"
)

// ErrUnsupported says that a table is not what this package knows, or that this
// machine does not let it be edited: iptables-legacy itself may still do.
var ErrUnsupported = errors.New("the legacy table cannot be edited in place")

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrUnsupported, fmt.Errorf(format, args...))
}

// native is the byte order of what the kernel does not keep in network order.
var native = binary.NativeEndian

// layout says where things are in an entry of a family: a header (struct
// ipt_entry, struct ip6t_entry), matches, and a target.
type layout struct {
	address int // the size of an address; source, destination and their masks come first
	proto   int // offset of the protocol
	flags   int // offset of the flags; those that turn a test round come next
	// The flags: that a target is a goto, and that the protocol is asked for.
	gotoFlag, protoFlag byte
	targetOffset        int // offset of the target's offset; that of the next entry comes next
	comefrom            int // offset of what the kernel keeps for itself; the counters follow
	counters            int
	header              int // size of the header
}

var layouts = map[trace.Family]layout{
	trace.IPv4: {address: 4, proto: 80, flags: 82, gotoFlag: 0x02, targetOffset: 88, comefrom: 92, counters: 96, header: 112},
	trace.IPv6: {address: 16, proto: 128, flags: 131, gotoFlag: 0x04, protoFlag: 0x01, targetOffset: 140, comefrom: 144, counters: 152, header: 168},
}

// Flags that turn a test round, the same in both families.
const (
	invertIn     = 0x01
	invertSource = 0x08
	invertDest   = 0x10
	invertProto  = 0x40
)

// The parts of an entry behind its header, matches and target, begin alike
// (struct xt_entry_match, struct xt_entry_target): size, name, revision.
const (
	partHeader   = 32
	partName     = 2
	partRevision = 31
)

// align rounds up as XT_ALIGN does on 64 bit machines.
func align(n int) int { return (n + 7) &^ 7 }

// newPart makes a match or target of this name, with room for size bytes of data.
func newPart(name string, revision byte, size int) []byte {
	b := make([]byte, partHeader+align(size))
	native.PutUint16(b, uint16(len(b)))
	copy(b[partName:partRevision-1], name)
	b[partRevision] = revision
	return b
}

// text is a string that ends at a zero byte or with its field.
func text(field []byte) string {
	for i, c := range field {
		if c == 0 {
			return string(field[:i])
		}
	}
	return string(field)
}

// putNetwork writes a network as address and mask.
func putNetwork(address, mask []byte, p netip.Prefix) {
	copy(address, p.Masked().Addr().AsSlice())
	for i := range p.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
}
