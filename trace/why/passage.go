package why

import (
	"net/netip"
	"strconv"
	"strings"

	"packetwalk/trace"
)

// passage is a packet as it comes, or would come, to a place of a node: the
// step says where, and with which interfaces, addresses and state.
type passage struct {
	trace.Step
	header trace.Packet
	// back says that it is the answer.
	back bool
	// standIn is the address of a sender that stands for others (Question.StandIn);
	// invalid where the sender is one that is meant.
	standIn netip.Addr
}

// coming is the packet of a walk at one of its steps.
func (c *Case) coming(w *trace.Walk, s trace.Step) passage {
	p := passage{Step: s, header: w.Packet, back: c.IsReply(w)}
	if c.Question.StandIn {
		p.standIn = c.Attempt.Local.Addr()
	}
	return p
}

// answer is the answer to the packet as it would come back through the same
// node; ok is false where the hook does not tell by which way it would.
func (p passage) answer() (a passage, ok bool) {
	back := map[trace.Hook]trace.Hook{trace.Input: trace.Output, trace.Output: trace.Input, trace.Forward: trace.Forward}
	a = p
	a.Hook, ok = back[p.Hook]
	a.back = !p.back
	a.Src, a.Dst, a.In, a.Out, a.PhysIn, a.PhysOut = p.Dst, p.Src, p.Out, p.In, p.PhysOut, p.PhysIn
	if a.CTState != trace.Untracked {
		a.CTState = trace.Established
	}
	switch p.header.Proto {
	case trace.TCP:
		a.header.Flags = trace.SYN | trace.ACK
	case trace.ICMP:
		a.header.ICMPType = echoReply
	case trace.ICMPv6:
		a.header.ICMPType = echoReply6
	}
	return a, ok
}

// The types of echo replies (RFC 792, RFC 4443).
const (
	echoReply  = 0
	echoReply6 = 129
)

// isStandIn says whether an address is that of a sender that stands for others. A
// node that has rewritten it is meant itself.
func (p passage) isStandIn(a netip.AddrPort) bool {
	return p.standIn.IsValid() && a.Addr().WithZone("") == p.standIn.WithZone("")
}

// spec are the matches of a rule for this packet and its like: the same way,
// the same service.
func (p passage) spec() []string {
	var spec []string
	if !p.isStandIn(p.Src) {
		spec = append(spec, "-s", single(p.Src.Addr().WithZone("")))
	}
	if !p.isStandIn(p.Dst) {
		spec = append(spec, "-d", single(p.Dst.Addr().WithZone("")))
	}
	port, side := p.Dst.Port(), "--dport"
	if p.back {
		port, side = p.Src.Port(), "--sport"
	}
	switch p.header.Proto {
	case trace.TCP, trace.UDP:
		name := p.header.Proto.String()
		spec = append(spec, "-p", name, "-m", name, side, strconv.Itoa(int(port)))
	case trace.ICMP:
		spec = append(spec, "-p", "icmp", "-m", "icmp", "--icmp-type", strconv.Itoa(int(p.header.ICMPType)))
	case trace.ICMPv6:
		spec = append(spec, "-p", "ipv6-icmp", "-m", "icmp6", "--icmpv6-type", strconv.Itoa(int(p.header.ICMPType)))
	}
	if p.back && p.CTState == trace.Established {
		spec = append(spec, "-m", "conntrack", "--ctstate", "ESTABLISHED")
	}
	return spec
}

// like are the values that tell in words what a rule of spec is for.
func (p passage) like() Values {
	v := Values{"sender": bare(p.Src.Addr()), "to": endpoint(p.Dst), "transport": strings.ToUpper(p.header.Proto.String()), "let": letRequest}
	ping := !p.header.HasPorts()
	switch {
	case p.back && ping:
		v["let"] = letPong
	case p.back:
		v["sender"], v["to"], v["let"] = endpoint(p.Src), bare(p.Dst.Addr()), letAnswer
	case ping:
		v["let"] = letPing
	}
	if p.isStandIn(p.Src) || p.isStandIn(p.Dst) {
		v["let"] += ofAnybody
	}
	return v
}
