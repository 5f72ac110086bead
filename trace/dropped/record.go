package dropped

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"packetwalk/trace"
	"packetwalk/trace/decode"
)

// A record is what the program in the kernel writes about one packet: fields in
// the machine's byte order at these offsets, then the packet's first bytes.
const (
	atTime      = 0  // u64, nanoseconds of CLOCK_MONOTONIC
	atLocation  = 8  // u64, an address
	atReason    = 16 // u32
	atNetns     = 20 // u32, that of the interface; 0 for none
	atSockNetns = 24 // u32, that of the socket; 0 for none
	atProtocol  = 28 // u16, an EtherType in network byte order
	atCaptured  = 32 // u32, bytes of the packet, from its network header on
	atName      = 36 // [16]byte, the interface's name
	atPacket    = 56
	// mostPacket is as much of a packet as is copied: the same that NFLOG is asked
	// for, so that the packet has the identity that it has in a walk.
	mostPacket = 512
	recordSize = atPacket + mostPacket

	nameSize = 16 // IFNAMSIZ
)

// EtherTypes (include/uapi/linux/if_ether.h).
const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
)

// record is a record taken apart.
type record struct {
	time      uint64
	location  uint64
	reason    uint32
	namespace uint32
	device    string
	packet    trace.Packet
}

// errRecord says that bytes are none of our program's.
var errRecord = errors.New("the record has another size than the program in the kernel writes")

func parseRecord(data []byte) (record, error) {
	// The ring buffer rounds sizes up to 8 bytes.
	if len(data) < recordSize {
		return record{}, fmt.Errorf("reading a dropped packet of %d bytes: %w", len(data), errRecord)
	}
	native := binary.NativeEndian
	r := record{
		time: native.Uint64(data[atTime:]), location: native.Uint64(data[atLocation:]), reason: native.Uint32(data[atReason:]),
		packet: packetOf(binary.BigEndian.Uint16(data[atProtocol:]), data[atPacket:], native.Uint32(data[atCaptured:])),
	}
	if inode := native.Uint32(data[atNetns:]); isNamespace(inode) {
		r.namespace, r.device = inode, deviceName(data[atName:atName+nameSize])
		return r, nil
	}
	if inode := native.Uint32(data[atSockNetns:]); isNamespace(inode) {
		r.namespace = inode
	}
	return r, nil
}

// isNamespace says whether a number can be a namespace's inode. In a packet that
// waits at a socket other things lie where the interface was, and what is read
// from there is no namespace. The kernel counts these inodes from 0xf0000000 on
// (PROC_DYNAMIC_FIRST in fs/proc/generic.c); newer ones give the first network
// namespace a number below that (NET_NS_INIT_INO in include/uapi/linux/nsfs.h).
func isNamespace(inode uint32) bool { return inode >= 0xeffffff0 }

// deviceName is a name that ends with a zero byte; empty where it is none.
func deviceName(b []byte) string {
	name, _, ended := bytes.Cut(b, []byte{0})
	if !ended || bytes.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return string(name)
}

// packetOf reads the headers, where the EtherType and the first byte agree that
// there are some: a packet may be dropped before its headers are written.
func packetOf(etherType uint16, data []byte, captured uint32) trace.Packet {
	family := map[uint16]trace.Family{etherIPv4: trace.IPv4, etherIPv6: trace.IPv6}[etherType]
	p, err := decode.Packet(data[:min(captured, mostPacket)])
	if err != nil || family == 0 || p.Family != family {
		return trace.Packet{}
	}
	return p
}
