package trace

import (
	"net/netip"
	"strconv"
	"strings"
)

// Family is an address family, by its IP version.
type Family uint8

// The two families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// FamilyOf is the family of an address. IPv6 addresses that stand for IPv4 ones
// (RFC 4291, section 2.5.5.2) are of IPv6.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

func (f Family) String() string { return "ipv" + strconv.Itoa(int(f)) }

// Proto is an IP protocol number, from the IANA registry of that name.
type Proto uint8

// The protocols that packetwalk looks into.
const (
	ICMP   Proto = 1
	TCP    Proto = 6
	UDP    Proto = 17
	ICMPv6 Proto = 58
)

func (p Proto) String() string {
	switch p {
	case ICMP:
		return "icmp"
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case ICMPv6:
		return "icmpv6"
	}
	return strconv.Itoa(int(p))
}

// TCPFlags are the control bits of a TCP header (RFC 9293, section 3.1).
type TCPFlags uint8

// The control bits.
const (
	FIN TCPFlags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// String is a letter for each flag, for example "S", "SA" or "PA"; empty when
// no flag is set.
func (f TCPFlags) String() string {
	const letters = "FSRPAUEC"
	var b strings.Builder
	// In the order in which people say them: SYN before ACK, FIN before ACK, PSH before ACK.
	for i := range len(letters) {
		if f&(1<<i) != 0 {
			b.WriteByte(letters[i])
		}
	}
	return b.String()
}

// Identity is a fingerprint of the bits of a packet that NAT, forwarding and
// TTL leave alone: protocol, IP ID, TCP sequence, acknowledgement and flags,
// ICMP type and sequence, UDP length, payload. It is comparable, and meaningful
// within one run only.
type Identity uint64

// Packet is what is known of a packet from its headers.
type Packet struct {
	Family Family
	Proto  Proto
	// Src and Dst carry port 0 where the protocol has no ports or where this
	// is a later fragment.
	Src, Dst netip.AddrPort
	// Length is the IP packet's length in bytes, header included.
	Length int
	TTL    uint8 // IPv6: the hop limit

	// Valid for TCP only.
	Flags    TCPFlags
	Seq, Ack uint32

	// Valid for ICMP and ICMPv6 only; ICMPID and ICMPSeq for echo messages.
	ICMPType, ICMPCode uint8
	ICMPID, ICMPSeq    uint16

	// Identity is made of the bits that survive NAT and forwarding: two
	// observations of one packet have the same.
	Identity Identity
	// Embedded is the packet that an ICMP error quotes. Nil otherwise.
	Embedded *Packet
}

// HasPorts says whether Src and Dst carry ports.
func (p Packet) HasPorts() bool { return p.Proto == TCP || p.Proto == UDP }

// Refuses says whether the packet tells the sender of another that it was not
// wanted: a TCP reset, or an ICMP error.
func (p Packet) Refuses() bool {
	return p.Proto == TCP && p.Flags&RST != 0 || p.Embedded != nil
}

// Summary names the packet in a few words: "SYN", "SYN ACK", "echo request",
// "UDP"; a TCP segment without flags has none. It is what a list of walks shows.
func (p Packet) Summary() string {
	switch p.Proto {
	case TCP:
		var words []string
		for i, name := range []string{"FIN", "SYN", "RST", "PSH", "ACK"} {
			if p.Flags&(1<<i) != 0 {
				words = append(words, name)
			}
		}
		return strings.Join(words, " ")
	case ICMP, ICMPv6:
		return icmpName(p.Proto, p.ICMPType, p.ICMPCode)
	case UDP:
		return "UDP"
	}
	return "protocol " + p.Proto.String()
}

// icmpName names the messages of RFC 792 and RFC 4443 that a trace commonly meets.
func icmpName(proto Proto, typ, code uint8) string {
	v4 := map[uint8]string{0: "echo reply", 3: "unreachable", 5: "redirect", 8: "echo request", 11: "time exceeded"}
	v6 := map[uint8]string{1: "unreachable", 2: "packet too big", 3: "time exceeded", 128: "echo request", 129: "echo reply",
		133: "router solicitation", 134: "router advertisement", 135: "neighbor solicitation", 136: "neighbor advertisement"}
	names := v4
	if proto == ICMPv6 {
		names = v6
	} else if typ == 3 && code == 4 {
		return "fragmentation needed"
	}
	if n, ok := names[typ]; ok {
		return n
	}
	return proto.String() + " type " + strconv.Itoa(int(typ))
}
