package dropped

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packetwalk/trace"
)

var sameAddr = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })

func tcp(src, dst string) trace.Packet {
	return trace.Packet{Family: trace.IPv4, Proto: trace.TCP, Src: netip.MustParseAddrPort(src), Dst: netip.MustParseAddrPort(dst)}
}

func TestOf(t *testing.T) {
	request, answer := tcp("10.0.1.2:1000", "10.0.2.2:80"), tcp("10.0.2.2:80", "10.0.1.2:1000")
	udp := request
	udp.Proto = trace.UDP
	quoting := func(p trace.Packet) trace.Packet {
		return trace.Packet{
			Family: trace.IPv4, Proto: trace.ICMP, Embedded: &p,
			Src: netip.MustParseAddrPort("10.0.9.1:0"), Dst: netip.MustParseAddrPort("10.0.1.2:0"),
		}
	}
	mapped := netip.MustParseAddrPort("[::ffff:10.0.1.2]:1000")
	for _, test := range []struct {
		name   string
		packet trace.Packet
		flow   Flow
		want   bool
	}{
		{"the packet", request, flow(request), true},
		{"its answer", answer, flow(request), true},
		{"an error about it", quoting(request), flow(request), true},
		{"another protocol", udp, flow(request), false},
		{"another port", tcp("10.0.1.2:1001", "10.0.2.2:80"), flow(request), false},
		{"another address", tcp("10.0.1.2:1000", "10.0.2.3:80"), flow(request), false},
		{"an error about another", quoting(udp), flow(request), false},
		{"headers that nobody knows", trace.Packet{}, Flow{}, false},
		{"an address in the other family's notation", request, Flow{Proto: trace.TCP, Src: mapped, Dst: request.Dst}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			all := []Event{{Reason: "NO_SOCKET", Packet: test.packet}}
			if got := Of(all, []Flow{test.flow}); (len(got) == 1) != test.want || len(all) != 1 {
				t.Errorf("picked %+v", got)
			}
		})
	}
}

func TestFlows(t *testing.T) {
	walks := []trace.Walk{{
		Packet: tcp("10.0.1.2:1000", "192.168.23.149:80"),
		Steps: []trace.Step{
			{Src: netip.MustParseAddrPort("10.0.1.2:1000"), Dst: netip.MustParseAddrPort("192.168.23.149:80")},
			{Src: netip.MustParseAddrPort("10.0.1.2:1000"), Dst: netip.MustParseAddrPort("172.17.0.2:8080")},
		},
	}}
	want := []Flow{flow(tcp("10.0.1.2:1000", "172.17.0.2:8080")), flow(tcp("10.0.1.2:1000", "192.168.23.149:80"))}
	if d := cmp.Diff(want, Flows(walks), sameAddr); d != "" {
		t.Error(d)
	}
}

func TestHarmless(t *testing.T) {
	reply := trace.Packet{Proto: trace.ICMP}
	request := trace.Packet{Proto: trace.ICMP, ICMPType: 8}
	fin := trace.Packet{Proto: trace.TCP, Flags: trace.FIN | trace.ACK}
	opening := trace.Packet{Proto: trace.TCP, Flags: trace.SYN}
	for _, test := range []struct {
		name string
		e    Event
		want bool
	}{
		{"an echo reply that a raw socket had", Event{Reason: "NO_SOCKET", Packet: reply}, true},
		{"an echo reply that a rule dropped", Event{Reason: "NETFILTER_DROP", Packet: reply}, false},
		{"an echo request", Event{Reason: "NO_SOCKET", Packet: request}, false},
		{"the end of a connection", Event{Reason: "NOT_SPECIFIED", Location: "tcp_v4_rcv", Packet: fin}, true},
		{"a segment for nobody", Event{Reason: "NO_SOCKET", Location: "tcp_v4_rcv", Packet: fin}, false},
		{"the end of a connection before there were reasons", Event{Location: "tcp_v4_rcv", Packet: fin}, true},
		{"the last ACK of a connection", Event{Reason: "TCP_CLOSE", Location: "tcp_rcv_state_process", Packet: fin}, true},
		{"a connection that asks a closed one", Event{Reason: "TCP_CLOSE", Location: "tcp_rcv_state_process", Packet: opening}, false},
		{"what a socket had not read", Event{Reason: "NOT_SPECIFIED", Location: "sk_stream_kill_queues", Packet: fin}, true},
		{"what a rule dropped before there were reasons", Event{Location: "nf_hook_slow", Packet: fin}, false},
		{"an ICMP error before there were reasons", Event{Location: "icmpv6_rcv", Packet: trace.Packet{Proto: trace.ICMPv6, ICMPType: 1}}, true},
		{"an echo request before there were reasons", Event{Location: "icmp_rcv", Packet: request}, false},
		{"the beginning of a connection", Event{Reason: "NOT_SPECIFIED", Location: "tcp_v4_rcv", Packet: opening}, false},
		{"nothing of the kind", Event{Reason: "NO_SOCKET"}, false},
	} {
		if got := harmless(test.e); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestVague(t *testing.T) {
	for reason, want := range map[string]bool{"": true, "NOT_SPECIFIED": true, "NO_SOCKET": false} {
		if got := (Event{Reason: reason}).Vague(); got != want {
			t.Errorf("%q: %v", reason, got)
		}
	}
}

func TestUnavailable(t *testing.T) {
	cause := errors.New("permission denied")
	err := error(&Unavailable{Missing: "it takes root", Err: cause})
	const want = "the kernel's reasons for dropping packets cannot be had: it takes root: permission denied"
	if err.Error() != want || !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
	if got := (&Unavailable{Missing: "this is not Linux"}).Error(); got != "the kernel's reasons for dropping packets cannot be had: this is not Linux" {
		t.Error(got)
	}
}
