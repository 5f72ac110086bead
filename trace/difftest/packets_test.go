package difftest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"packetwalk/trace"
)

// shot is a packet, as it is or in fragments, and the node that it is sent from.
type shot struct {
	node    string
	dst     netip.Addr
	packets [][]byte
	about   string
}

// ways are the node that a packet is sent from, its source and its
// destination, as the last parts of addresses in 10.0.0.0/16 and fd00::/16.
var ways = []struct {
	node     string
	src, dst [2]int
}{
	{"client", [2]int{1, 2}, [2]int{1, 1}}, // to the router itself
	{"client", [2]int{1, 2}, [2]int{2, 1}},
	{"client", [2]int{1, 2}, [2]int{2, 2}}, // forwarded
	{"client", [2]int{1, 2}, [2]int{2, 2}},
	{"client", [2]int{1, 2}, [2]int{9, 2}}, // an address that only translation makes reachable
	{"client", [2]int{1, 2}, [2]int{7, 2}},
	{"server", [2]int{2, 2}, [2]int{1, 2}},
	{"server", [2]int{2, 2}, [2]int{2, 1}},
	{"router", [2]int{2, 1}, [2]int{2, 2}}, // from the router
	{"router", [2]int{1, 1}, [2]int{1, 2}},
	{"router", [2]int{1, 1}, [2]int{1, 1}}, // over its loopback interface
	{"router", [2]int{1, 1}, [2]int{9, 2}},
}

// address is 10.0.NET.HOST or fd00:NET::HOST.
func address(f trace.Family, of [2]int) netip.Addr {
	if f == trace.IPv6 {
		return netip.MustParseAddr(fmt.Sprintf("fd00:%d::%d", of[0], of[1]))
	}
	return netip.MustParseAddr(fmt.Sprintf("10.0.%d.%d", of[0], of[1]))
}

// randomShot makes a packet. The number n makes it different from all others.
func randomShot(t testing.TB, r *rand.Rand, f trace.Family, n int) shot {
	way := ways[r.IntN(len(ways))]
	src, dst := address(f, way.src), address(f, way.dst)
	ip, link := ipLayer(f, src, dst, n)
	var what string
	var stack []gopacket.SerializableLayer
	// Few ports, so that packets meet connections that are there already.
	sport, dport := pick(r, 2000, 2001, 2002), pick(r, 80, 80, 443, 53)
	switch r.IntN(5) {
	case 0, 1:
		what = "SYN"
		tcp := &layers.TCP{SrcPort: layers.TCPPort(sport), DstPort: layers.TCPPort(dport), Seq: r.Uint32(), SYN: true, Window: 1024,
			Options: []layers.TCPOption{{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{5, 180}}}}
		if r.IntN(3) == 0 {
			what, tcp.SYN, tcp.ACK, tcp.Ack, tcp.Options = "ACK", false, true, r.Uint32(), nil
		}
		must(t, tcp.SetNetworkLayerForChecksum(link))
		stack = []gopacket.SerializableLayer{tcp}
	case 2, 3:
		what = "UDP"
		udp := &layers.UDP{SrcPort: layers.UDPPort(sport), DstPort: layers.UDPPort(dport)}
		must(t, udp.SetNetworkLayerForChecksum(link))
		stack = []gopacket.SerializableLayer{udp, gopacket.Payload(make([]byte, 1+n%50))}
	default:
		what, sport, dport = "echo request", 0, 0
		stack = echo(t, f, link, uint16(pick(r, 7, 8)), uint16(n))
	}
	setProtocol(ip, f, stack[0])
	buf := gopacket.NewSerializeBuffer()
	must(t, gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		append([]gopacket.SerializableLayer{ip}, stack...)...))
	packets := [][]byte{buf.Bytes()}
	// A router that speaks to itself sees fragments until INPUT: conntrack
	// knows them already (nf_defrag_ipv4.c), so that netfilter sees four packets.
	if what == "UDP" && f == trace.IPv4 && r.IntN(4) == 0 && way.node != "router" {
		what, packets = "fragmented UDP", fragments(buf.Bytes())
	}
	return shot{way.node, dst, packets, fmt.Sprintf("%s from %s, %s port %d to %s port %d", what, way.node, src, sport, dst, dport)}
}

// fragments splits an IPv4 packet behind the first eight bytes of its payload
// (RFC 791, section 3.2). The kernel makes the checksums and lengths right (raw(7)).
func fragments(packet []byte) [][]byte {
	const header, unit, moreFragments = 20, 8, 0x2000
	first, second := bytes.Clone(packet[:header+unit]), slices.Concat(packet[:header], packet[header+unit:])
	binary.BigEndian.PutUint16(first[6:], moreFragments)
	binary.BigEndian.PutUint16(second[6:], 1)
	return [][]byte{first, second}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ipLayer(f trace.Family, src, dst netip.Addr, n int) (gopacket.SerializableLayer, gopacket.NetworkLayer) {
	if f == trace.IPv6 {
		ip := &layers.IPv6{Version: 6, HopLimit: 64, FlowLabel: uint32(n), SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
		return ip, ip
	}
	ip := &layers.IPv4{Version: 4, TTL: 64, Id: uint16(n), SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
	return ip, ip
}

func setProtocol(ip gopacket.SerializableLayer, f trace.Family, next gopacket.SerializableLayer) {
	proto := map[gopacket.LayerType]layers.IPProtocol{
		layers.LayerTypeTCP: layers.IPProtocolTCP, layers.LayerTypeUDP: layers.IPProtocolUDP,
		layers.LayerTypeICMPv4: layers.IPProtocolICMPv4, layers.LayerTypeICMPv6: layers.IPProtocolICMPv6,
		gopacket.LayerTypePayload: sentinelProto,
	}[next.LayerType()]
	switch ip := ip.(type) {
	case *layers.IPv4:
		ip.Protocol = proto
	case *layers.IPv6:
		ip.NextHeader = proto
	}
}

func echo(t testing.TB, f trace.Family, ip gopacket.NetworkLayer, id, seq uint16) []gopacket.SerializableLayer {
	if f == trace.IPv4 {
		return []gopacket.SerializableLayer{&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: id, Seq: seq}}
	}
	icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(128, 0)}
	must(t, icmp.SetNetworkLayerForChecksum(ip))
	return []gopacket.SerializableLayer{icmp, &layers.ICMPv6Echo{Identifier: id, SeqNumber: seq}}
}

const (
	// sentinelProto is a protocol number for experiments (RFC 3692).
	sentinelProto = 253
	// sentinelHeader is the length of an IPv4 header: what is longer tells one sentinel from the next.
	sentinelHeader = 20
	maxSentinel    = 1000
)

// sentinel is a packet from the client to the router that does not get far:
// when it has been seen, what was sent before it has been seen too.
func sentinel(t testing.TB, n int) shot {
	src, dst := address(trace.IPv4, [2]int{1, 2}), address(trace.IPv4, [2]int{1, 1})
	ip, _ := ipLayer(trace.IPv4, src, dst, 1)
	payload := gopacket.Payload(make([]byte, n))
	setProtocol(ip, trace.IPv4, payload)
	buf := gopacket.NewSerializeBuffer()
	must(t, gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, payload))
	return shot{"client", dst, [][]byte{buf.Bytes()}, "sentinel"}
}
