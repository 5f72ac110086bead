// Package decode reads IP packets, as NFLOG hands them over, into trace.Packet
// values. It leaves what the packet did to others. General decoders refuse
// packets that end early, as copies and the quotes in ICMP errors do; this one
// takes what is there.
package decode

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"

	"packetwalk/trace"
)

// ErrShort says that the bytes end before the IP header does.
var ErrShort = errors.New("the packet is shorter than its IP header")

// Packet reads a packet from its first bytes, beginning with the IP header.
// The bytes may end anywhere after that header, as a copy range has it; what
// is cut off is left zero.
func Packet(data []byte) (trace.Packet, error) { return packet(data, 0) }

// maxQuotes bounds how deep ICMP errors may quote each other.
const maxQuotes = 1

func packet(data []byte, depth int) (trace.Packet, error) {
	if len(data) == 0 {
		return trace.Packet{}, ErrShort
	}
	switch data[0] >> 4 {
	case 4:
		return packet4(data, depth)
	case 6:
		return packet6(data, depth)
	}
	return trace.Packet{}, fmt.Errorf("reading a packet: IP version %d", data[0]>>4)
}

// Headers cuts a packet down to what the kernel's trace of nf_tables shows of
// it: up to 40 bytes of its network header and 20 of what follows that
// (NFT_TRACETYPE_NETWORK_HSIZE and NFT_TRACETYPE_TRANSPORT_HSIZE in
// net/netfilter/nf_tables_trace.c). It is nil where the IP header is not whole.
func Headers(data []byte) []byte {
	const mostNetwork, mostTransport = 40, 20
	var rest []byte
	switch {
	case len(data) >= 20 && data[0]>>4 == 4:
		rest = data[min(len(data), 4*int(data[0]&0xf)):]
	case len(data) >= 40 && data[0]>>4 == 6:
		_, rest, _ = skipExtensions(data[6], data[40:])
	default:
		return nil
	}
	network := data[:min(len(data)-len(rest), mostNetwork)]
	return slices.Concat(network, rest[:min(len(rest), mostTransport)])
}

func packet4(data []byte, depth int) (trace.Packet, error) {
	if len(data) < 20 { // RFC 791, section 3.1
		return trace.Packet{}, ErrShort
	}
	header := 4 * int(data[0]&0xf)
	if header < 20 || header > len(data) {
		return trace.Packet{}, fmt.Errorf("reading an IPv4 header of %d bytes: %w", header, ErrShort)
	}
	src, _ := netip.AddrFromSlice(data[12:16])
	dst, _ := netip.AddrFromSlice(data[16:20])
	p := trace.Packet{
		Family: trace.IPv4, Proto: trace.Proto(data[9]), TTL: data[8],
		Length: int(binary.BigEndian.Uint16(data[2:])),
		Src:    netip.AddrPortFrom(src, 0), Dst: netip.AddrPortFrom(dst, 0),
	}
	ipID := binary.BigEndian.Uint16(data[4:])
	fragment := binary.BigEndian.Uint16(data[6:]) & 0x1fff
	id := identity{}
	id.add(4, uint64(p.Proto), uint64(ipID), uint64(fragment))
	if fragment == 0 {
		transport(&p, &id, data[header:], depth)
	} else {
		id.bytes(data[header:])
	}
	p.Identity = id.sum()
	return p, nil
}

func packet6(data []byte, depth int) (trace.Packet, error) {
	const header = 40 // RFC 8200, section 3
	if len(data) < header {
		return trace.Packet{}, ErrShort
	}
	src, _ := netip.AddrFromSlice(data[8:24])
	dst, _ := netip.AddrFromSlice(data[24:40])
	flowLabel := binary.BigEndian.Uint32(data) & 0xfffff
	p := trace.Packet{
		Family: trace.IPv6, TTL: data[7],
		Length: header + int(binary.BigEndian.Uint16(data[4:])),
		Src:    netip.AddrPortFrom(src, 0), Dst: netip.AddrPortFrom(dst, 0),
	}
	proto, payload, fragment := skipExtensions(data[6], data[header:])
	p.Proto = trace.Proto(proto)
	id := identity{}
	id.add(6, uint64(proto), uint64(flowLabel), uint64(fragment.offset), uint64(fragment.id))
	if fragment.offset == 0 {
		transport(&p, &id, payload, depth)
	} else {
		id.bytes(payload)
	}
	p.Identity = id.sum()
	return p, nil
}

// fragment6 is an IPv6 fragment header (RFC 8200, section 4.5): where in the
// packet, in bytes, the fragment belongs, and which packet it is a part of.
type fragment6 struct {
	offset uint16
	id     uint32
}

// skipExtensions walks the IPv6 extension headers (RFC 8200, section 4) to the
// transport header, or to the data of a fragment that does not begin with it.
func skipExtensions(next uint8, data []byte) (proto uint8, rest []byte, fragment fragment6) {
	const hopByHop, routing, fragmentHeader, authentication, destination = 0, 43, 44, 51, 60
	for {
		var size int
		switch {
		case len(data) < 8:
			return next, data, fragment
		case next == hopByHop || next == routing || next == destination:
			size = 8 * (1 + int(data[1]))
		case next == authentication:
			size = 4 * (2 + int(data[1]))
		case next == fragmentHeader:
			size = 8
			fragment = fragment6{binary.BigEndian.Uint16(data[2:]) &^ 7, binary.BigEndian.Uint32(data[4:])}
			if fragment.offset != 0 {
				return data[0], data[size:], fragment
			}
		default:
			return next, data, fragment
		}
		if size > len(data) {
			return next, nil, fragment
		}
		next, data = data[0], data[size:]
	}
}

// transport reads the header behind IP and adds to the identity what NAT and
// mangling leave alone: no ports, no checksums, no options, no ECN bits.
func transport(p *trace.Packet, id *identity, data []byte, depth int) {
	switch p.Proto {
	case trace.TCP:
		readTCP(p, id, data)
	case trace.UDP:
		if len(data) >= 8 {
			p.Src, p.Dst = withPorts(p, data)
			id.add(uint64(binary.BigEndian.Uint16(data[4:])))
			id.bytes(data[8:])
		}
	case trace.ICMP, trace.ICMPv6:
		readICMP(p, id, data, depth)
	default:
		id.add(uint64(p.Length))
		id.bytes(data)
	}
}

func withPorts(p *trace.Packet, data []byte) (src, dst netip.AddrPort) {
	return netip.AddrPortFrom(p.Src.Addr(), binary.BigEndian.Uint16(data)),
		netip.AddrPortFrom(p.Dst.Addr(), binary.BigEndian.Uint16(data[2:]))
}

func readTCP(p *trace.Packet, id *identity, data []byte) {
	if len(data) >= 4 { // an ICMP error may quote no more than the ports
		p.Src, p.Dst = withPorts(p, data)
	}
	if len(data) < 20 {
		return
	}
	p.Seq, p.Ack = binary.BigEndian.Uint32(data[4:]), binary.BigEndian.Uint32(data[8:])
	p.Flags = trace.TCPFlags(data[13])
	id.add(uint64(p.Seq), uint64(p.Ack), uint64(p.Flags&^(trace.ECE|trace.CWR)))
	if header := 4 * int(data[12]>>4); header <= len(data) {
		id.bytes(data[header:])
	}
}

func readICMP(p *trace.Packet, id *identity, data []byte, depth int) {
	if len(data) < 8 {
		return
	}
	p.ICMPType, p.ICMPCode = data[0], data[1]
	id.add(uint64(p.ICMPType), uint64(p.ICMPCode))
	if isICMPError(p.Proto, p.ICMPType) {
		if depth >= maxQuotes {
			return
		}
		if quoted, err := packet(data[8:], depth+1); err == nil {
			p.Embedded = &quoted
			id.add(uint64(quoted.Identity))
		}
		return
	}
	p.ICMPID, p.ICMPSeq = binary.BigEndian.Uint16(data[4:]), binary.BigEndian.Uint16(data[6:])
	id.add(uint64(p.ICMPSeq)) // NAT may change the ID of an echo, never its sequence number
	id.bytes(data[8:])
}

// isICMPError says whether a message quotes the packet that caused it (RFC 792; RFC 4443, section 2.1).
func isICMPError(proto trace.Proto, typ uint8) bool {
	if proto == trace.ICMPv6 {
		return typ < 128
	}
	return typ == 3 || typ == 4 || typ == 5 || typ == 11 || typ == 12
}

// identity gathers the bits of a trace.Identity.
type identity struct{ buf []byte }

func (id *identity) add(values ...uint64) {
	for _, v := range values {
		id.buf = binary.BigEndian.AppendUint64(id.buf, v)
	}
}

func (id *identity) bytes(b []byte) { id.buf = append(id.buf, b...) }

func (id *identity) sum() trace.Identity {
	h := fnv.New64a()
	h.Write(id.buf)
	return trace.Identity(h.Sum64())
}
