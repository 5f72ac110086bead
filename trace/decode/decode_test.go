package decode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"packetwalk/trace"
)

// serialize builds a packet with an encoder that is not ours.
func serialize(t testing.TB, ls ...gopacket.SerializableLayer) []byte {
	t.Helper()
	var network gopacket.NetworkLayer
	for _, l := range ls {
		switch l := l.(type) {
		case *layers.IPv4:
			network = l
		case *layers.IPv6:
			network = l
		case *layers.TCP:
			l.SetNetworkLayerForChecksum(network)
		case *layers.UDP:
			l.SetNetworkLayerForChecksum(network)
		case *layers.ICMPv6:
			l.SetNetworkLayerForChecksum(network)
		}
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ls...); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func ip4(src, dst string, proto layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 64, Id: 7, Protocol: proto, SrcIP: net.ParseIP(src), DstIP: net.ParseIP(dst)}
}

func ip6(src, dst string, proto layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 64, FlowLabel: 0x12345, NextHeader: proto, SrcIP: net.ParseIP(src), DstIP: net.ParseIP(dst)}
}

func mustPacket(t testing.TB, data []byte) trace.Packet {
	t.Helper()
	p, err := Packet(data)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTCP(t *testing.T) {
	syn := func(src, dst string, sport, dport layers.TCPPort, ttl uint8) []byte {
		ip := ip4(src, dst, layers.IPProtocolTCP)
		ip.TTL = ttl
		return serialize(t, ip, &layers.TCP{SrcPort: sport, DstPort: dport, Seq: 99, SYN: true, Window: 1000})
	}
	before := mustPacket(t, syn("192.168.23.1", "192.168.23.149", 46478, 80, 64))
	if before.Src != netip.MustParseAddrPort("192.168.23.1:46478") || before.Dst != netip.MustParseAddrPort("192.168.23.149:80") {
		t.Errorf("addresses %v -> %v", before.Src, before.Dst)
	}
	if before.Flags != trace.SYN || before.Seq != 99 || before.Length != 40 || before.TTL != 64 || before.Summary() != "SYN" {
		t.Errorf("read %+v", before)
	}
	after := mustPacket(t, syn("172.17.0.1", "172.17.0.2", 50000, 8080, 63))
	if before.Identity != after.Identity {
		t.Error("NAT and forwarding changed the identity")
	}
}

func TestIdentityTellsPacketsApart(t *testing.T) {
	tcp := func(seq, ack uint32, flags trace.TCPFlags, payload string) trace.Identity {
		return mustPacket(t, serialize(t, ip4("192.0.2.1", "192.0.2.2", layers.IPProtocolTCP),
			&layers.TCP{SrcPort: 1, DstPort: 2, Seq: seq, Ack: ack, SYN: flags&trace.SYN != 0, ACK: flags&trace.ACK != 0},
			gopacket.Payload(payload))).Identity
	}
	icmp := func(id, seq uint16) trace.Identity {
		return mustPacket(t, serialize(t, ip4("192.0.2.1", "192.0.2.2", layers.IPProtocolICMPv4),
			&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: id, Seq: seq})).Identity
	}
	seen := map[trace.Identity]string{}
	for name, id := range map[string]trace.Identity{
		"SYN": tcp(1, 0, trace.SYN, ""), "other seq": tcp(2, 0, trace.SYN, ""), "SYN ACK": tcp(1, 0, trace.SYN|trace.ACK, ""),
		"other ack": tcp(1, 5, trace.ACK, ""), "payload": tcp(1, 5, trace.ACK, "x"), "other payload": tcp(1, 5, trace.ACK, "y"),
		"echo 1": icmp(1, 1), "echo 2": icmp(1, 2),
	} {
		if other, ok := seen[id]; ok {
			t.Errorf("%s and %s look the same", name, other)
		}
		seen[id] = name
	}
	if icmp(1, 1) != icmp(9, 1) {
		t.Error("the ICMP ID, which NAT may change, is part of the identity")
	}
}

func TestUDPOverIPv6WithExtensions(t *testing.T) {
	data := serialize(t, ip6("2001:db8::1", "2001:db8::2", layers.IPProtocolUDP),
		&layers.UDP{SrcPort: 5353, DstPort: 53}, gopacket.Payload("question"))
	plain := mustPacket(t, data)
	if plain.Src != netip.MustParseAddrPort("[2001:db8::1]:5353") || plain.Proto != trace.UDP || plain.Length != 56 {
		t.Errorf("read %+v", plain)
	}
	// The same with a destination options header of eight bytes in between.
	options := append([]byte{byte(layers.IPProtocolUDP), 0, 1, 4, 0, 0, 0, 0}, data[40:]...)
	extended := append(bytes.Clone(data[:40]), options...)
	extended[6] = byte(layers.IPProtocolIPv6Destination)
	binary.BigEndian.PutUint16(extended[4:], uint16(len(options)))
	if p := mustPacket(t, extended); p.Dst != plain.Dst || p.Proto != trace.UDP {
		t.Errorf("behind an extension header: %+v", p)
	}
}

func TestICMPErrorQuotes(t *testing.T) {
	quoted := serialize(t, ip4("192.0.2.1", "192.0.2.2", layers.IPProtocolTCP), &layers.TCP{SrcPort: 1234, DstPort: 80, Seq: 5, SYN: true})
	p := mustPacket(t, serialize(t, ip4("192.0.2.2", "192.0.2.1", layers.IPProtocolICMPv4),
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 3)}, gopacket.Payload(quoted[:28])))
	if p.Embedded == nil || p.Embedded.Dst != netip.MustParseAddrPort("192.0.2.2:80") {
		t.Fatalf("the quoted packet was read as %+v", p.Embedded)
	}
	if p.Summary() != "unreachable" {
		t.Errorf("Summary = %q", p.Summary())
	}
}

func TestShort(t *testing.T) {
	data := serialize(t, ip4("192.0.2.1", "192.0.2.2", layers.IPProtocolTCP), &layers.TCP{SrcPort: 1, DstPort: 2})
	for _, n := range []int{0, 1, 19} {
		if _, err := Packet(data[:n]); !errors.Is(err, ErrShort) {
			t.Errorf("%d bytes: %v, want ErrShort", n, err)
		}
	}
	if p := mustPacket(t, data[:24]); p.Dst.Port() != 2 {
		t.Errorf("the ports of a packet cut behind them were lost: %v", p.Dst)
	}
	if _, err := Packet([]byte{0x50}); err == nil {
		t.Error("IP version 5 was accepted")
	}
}

// What the kernel shows of a packet is enough to know it by, and the same as is
// cut out of the packet here.
func TestHeaders(t *testing.T) {
	options := ip4("192.0.2.1", "192.0.2.2", layers.IPProtocolUDP)
	for range 7 { // 28 bytes of options: eight more of the header than are shown
		options.Options = append(options.Options, layers.IPv4Option{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}})
	}
	udp := func() *layers.UDP { return &layers.UDP{SrcPort: 1, DstPort: 2} }
	long := gopacket.Payload(make([]byte, 100))
	plain := serialize(t, ip6("2001:db8::1", "2001:db8::2", layers.IPProtocolUDP), udp(), long)
	hop := slices.Insert(slices.Clone(plain), 40, 17, 0, 1, 4, 0, 0, 0, 0) // hop-by-hop options: padding
	hop[6] = 0
	for name, c := range map[string]struct {
		packet             []byte
		network, transport int
		skipped            int // bytes between the two that are not shown
	}{
		"TCP":                  {serialize(t, ip4("192.0.2.1", "192.0.2.2", layers.IPProtocolTCP), &layers.TCP{SrcPort: 1, DstPort: 2}, long), 20, 20, 0},
		"UDP":                  {serialize(t, ip4("192.0.2.1", "192.0.2.2", layers.IPProtocolUDP), udp()), 20, 8, 0},
		"IPv6":                 {plain, 40, 20, 0},
		"IPv4 with options":    {serialize(t, options, udp(), long), 40, 20, 8},
		"IPv6 with extensions": {hop, 40, 20, 8},
	} {
		from := c.network + c.skipped
		want := slices.Concat(c.packet[:c.network], c.packet[from:from+c.transport])
		if got := Headers(c.packet); !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x of %x", name, got, want, c.packet)
		}
	}
	for _, short := range [][]byte{nil, {0x45}, make([]byte, 60), hop[:39]} {
		if got := Headers(short); got != nil {
			t.Errorf("Headers(%x) = %x, want nil", short, got)
		}
	}
}

func FuzzPacket(f *testing.F) {
	f.Add(serialize(f, ip4("192.0.2.1", "192.0.2.2", layers.IPProtocolTCP), &layers.TCP{SrcPort: 1, DstPort: 2}))
	f.Add(serialize(f, ip6("2001:db8::1", "2001:db8::2", layers.IPProtocolUDP), &layers.UDP{SrcPort: 1, DstPort: 2}, gopacket.Payload("x")))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Packet(data)
		if err != nil {
			return
		}
		again, _ := Packet(data)
		if p.Identity != again.Identity {
			t.Fatal("the identity depends on more than the bytes")
		}
		if !p.Src.Addr().IsValid() || !p.Dst.Addr().IsValid() {
			t.Fatalf("a packet without addresses: %+v", p)
		}
		if h := Headers(data); len(h) < 20 || len(h) > 60 || !bytes.HasPrefix(data, h[:20]) {
			t.Fatalf("headers %x of %x", h, data)
		}
	})
}
