package filter

import (
	"net/netip"
	"testing"

	"packetwalk/trace"
)

func packet(proto trace.Proto, src, dst string) trace.Packet {
	p := trace.Packet{Family: trace.IPv4, Proto: proto, Src: netip.MustParseAddrPort(src), Dst: netip.MustParseAddrPort(dst)}
	if p.Src.Addr().Is6() {
		p.Family = trace.IPv6
	}
	return p
}

func TestMatches(t *testing.T) {
	request := packet(trace.TCP, "192.0.2.7:40000", "198.51.100.1:8080")
	reply := packet(trace.TCP, "198.51.100.1:8080", "192.0.2.7:40000")
	other := packet(trace.UDP, "192.0.2.7:8080", "192.0.2.8:53")
	ping := packet(trace.ICMP, "192.0.2.7:0", "198.51.100.1:0")
	six := packet(trace.TCP, "[2001:db8::7]:40000", "[2001:db8:1::1]:8080")
	unreachable := packet(trace.ICMP, "203.0.113.9:0", "192.0.2.7:0")
	unreachable.Embedded = &request

	for _, c := range []struct {
		filter string
		// of request, reply, other, ping, six, unreachable
		want [6]bool
	}{
		{"", [6]bool{true, true, true, true, true, true}},
		{"ip", [6]bool{true, true, true, true, false, true}},
		{"ip6", [6]bool{false, false, false, false, true, false}},
		{"tcp", [6]bool{true, true, false, false, true, true}},
		{"icmp", [6]bool{false, false, false, true, false, true}},
		{"icmp and host 198.51.100.1", [6]bool{false, false, false, true, false, true}},
		{"icmp and host 203.0.113.9", [6]bool{false, false, false, false, false, true}},
		{"port 8080", [6]bool{true, true, true, false, true, true}},
		{"dst port 8080 and src host 192.0.2.7", [6]bool{true, true, false, false, false, true}},
		{"src port 8080 and src host 192.0.2.7", [6]bool{false, false, true, false, false, false}},
		{"src net 192.0.2.0/24", [6]bool{true, true, true, true, false, true}},
		{"host 192.0.2.7 and host 198.51.100.1", [6]bool{true, true, false, true, false, true}},
		{"net 2001:db8:1::/48", [6]bool{false, false, false, false, true, false}},
		{"interface eth0", [6]bool{true, true, true, true, true, true}},
	} {
		f := must(t, c.filter)
		for i, p := range []trace.Packet{request, reply, other, ping, six, unreachable} {
			if got := f.Matches(p); got != c.want[i] {
				t.Errorf("%q matches packet %d: %t", c.filter, i, got)
			}
		}
	}
}

func TestCrossed(t *testing.T) {
	walk := func(d trace.Direction) trace.Walk {
		return trace.Walk{Direction: d, Steps: []trace.Step{
			{Hook: trace.Prerouting, In: "eth0"}, {Hook: trace.Postrouting, Out: "docker0", PhysOut: "veth12"},
		}}
	}
	for _, c := range []struct {
		filter                   string
		original, reply, unknown bool
	}{
		{"", true, true, true},
		{"interface eth0", true, true, true},
		{"interface eth1", false, false, false},
		{"in interface eth0", true, false, true},
		{"out interface eth0", false, true, true},
		{"in interface eth0 and out interface veth+", true, false, true},
		{"in interface docker0 and interface eth+", false, true, true},
		{"interface eth", false, false, false},
	} {
		f := must(t, c.filter)
		for d, want := range map[trace.Direction]bool{trace.Original: c.original, trace.Reply: c.reply, "": c.unknown} {
			if got := f.Crossed(walk(d)); got != want {
				t.Errorf("%q, a walk in direction %q: %t", c.filter, d, got)
			}
		}
	}
}
