// Package dropped brings the kernel's own word on the packets that it drops: the
// reason, the function, the interface, the network namespace and the packet's
// headers, from the tracepoint skb:kfree_skb of every namespace of the machine.
//
// It takes root, and a kernel that describes its own types (BTF); Watch says
// what is missing. What a reason means is left to package why.
package dropped

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"packetwalk/trace"
)

// Event is one packet that the kernel dropped.
type Event struct {
	Time time.Time
	// Reason is the kernel's name without SKB_DROP_REASON_, such as "IP_RPFILTER"
	// (enum skb_drop_reason in include/net/dropreason-core.h). Kernels before 5.17
	// give none: then it is empty.
	Reason string
	// Location is the kernel function that dropped the packet; empty where the
	// kernel hides its addresses.
	Location string
	// Namespace is the inode number of the network namespace, as NamespaceID
	// gives it; 0 where the packet belonged to no interface and no socket.
	Namespace uint64
	// Interface is the one that the packet came in by or was to leave by; empty
	// where it had none.
	Interface string
	// Packet is what the headers say, as they were when it was dropped. Its Family
	// is 0 where the packet was neither IPv4 nor IPv6, or had no header yet.
	Packet trace.Packet
}

// Vague says whether the kernel gave no reason of its own: only the location
// tells something.
func (e Event) Vague() bool { return e.Reason == "" || e.Reason == "NOT_SPECIFIED" }

// noDrops are the reasons of packets that came to where they were sent: they
// were read, or lay in the queue of a socket when its program closed it.
var noDrops = []string{"NOT_DROPPED_YET", "CONSUMED", "QUEUE_PURGE"}

// arrivals are the functions that empty a socket's queues when its program closes
// it. 5.10 and 6.1 report that as drops without a reason; 6.12 has one.
var arrivals = []string{"sk_stream_kill_queues", "inet_sock_destruct", "skb_queue_purge"}

// harmless says whether a packet may have arrived all the same.
func harmless(e Event) bool {
	p := e.Packet
	switch {
	case e.Vague() && slices.Contains(arrivals, e.Location):
		return true
	case p.Proto == trace.ICMP && p.ICMPType != 8, p.Proto == trace.ICMPv6 && p.ICMPType != 128:
		// An echo reply goes to every raw socket first, and behind that is dropped
		// where no socket of the other kind, made for pings, wants it too (ping_rcv
		// in net/ipv4/ping.c). On 5.10 and 6.1 ICMP errors end as though dropped.
		return e.Reason == "NO_SOCKET" || e.Vague() && (e.Location == "icmp_rcv" || e.Location == "icmpv6_rcv")
	case p.Proto == trace.TCP && p.Flags&trace.SYN == 0:
		// So ends what a connection in TIME_WAIT takes in (discard_it in
		// net/ipv4/tcp_ipv4.c), and on 6.1 the last ACK of one that is closed.
		// What finds no socket has a reason, where the kernel gives any.
		return e.Vague() && (e.Location == "tcp_v4_rcv" || e.Location == "tcp_v6_rcv") ||
			e.Reason == "TCP_CLOSE" && e.Location == "tcp_rcv_state_process"
	}
	return false
}

// Unavailable is why there is no word from this kernel, or none for this user.
// Whoever gets it can go on without.
type Unavailable struct {
	// Missing is what lacks, in a few words.
	Missing string
	Err     error
}

func (e *Unavailable) Error() string {
	text := "the kernel's reasons for dropping packets cannot be had: " + e.Missing
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *Unavailable) Unwrap() error { return e.Err }

// Flow is a pair of addresses that a packet had. The ports are 0 with protocols
// that have none.
type Flow struct {
	Proto    trace.Proto
	Src, Dst netip.AddrPort
}

// Flows lists every pair of addresses that the packets of walks had, NAT's
// included, each once.
func Flows(walks []trace.Walk) []Flow {
	var flows []Flow
	for _, w := range walks {
		flows = append(flows, flow(w.Packet))
		for _, s := range w.Steps {
			flows = append(flows, Flow{Proto: w.Packet.Proto, Src: s.Src, Dst: s.Dst})
		}
	}
	slices.SortFunc(flows, compare)
	return slices.Compact(flows)
}

func compare(a, b Flow) int {
	return cmp.Or(cmp.Compare(a.Proto, b.Proto), a.Src.Compare(b.Src), a.Dst.Compare(b.Dst))
}

func flow(p trace.Packet) Flow { return Flow{Proto: p.Proto, Src: p.Src, Dst: p.Dst} }

// reversed is the way of an answer.
func (f Flow) reversed() Flow { return Flow{Proto: f.Proto, Src: f.Dst, Dst: f.Src} }

// Of picks the drops of packets that belong to the flows: those with the
// addresses of one of them, in either direction, and ICMP errors that quote such
// a packet.
//
// Flows with the same addresses cannot be told apart: two pings from one machine
// to another are one here.
func Of(events []Event, flows []Flow) []Event {
	wanted := map[Flow]bool{}
	for _, f := range flows {
		f = Flow{Proto: f.Proto, Src: plain(f.Src), Dst: plain(f.Dst)}
		wanted[f], wanted[f.reversed()] = true, true
	}
	return slices.DeleteFunc(slices.Clone(events), func(e Event) bool {
		quoted := e.Packet.Embedded
		known := e.Packet.Family != 0
		return !known || !wanted[flow(e.Packet)] && (quoted == nil || !wanted[flow(*quoted)])
	})
}

// plain is an address as a header holds it.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().WithZone("").Unmap(), a.Port())
}
