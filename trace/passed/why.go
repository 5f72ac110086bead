package passed

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"packetwalk/trace"
)

// packet is a packet at the step that it came to.
type packet struct {
	trace.Step
	proto  trace.Proto
	header trace.Packet
}

// answer says whether a match holds, and what the packet has.
type answer struct {
	known, holds bool
	have         string
}

var unknown answer

func told(holds bool, have string) answer { return answer{true, holds, have} }

// why finds the first match that can be told to have failed.
func (p packet) why(match []string) (failed Reason) {
	p.each(match, func(words []string, a answer) bool {
		if a.known && a.holds == (words[0] == "!") {
			failed = Reason{Match: slices.Clone(words), Have: a.have}
		}
		return !failed.Known()
	})
	return failed
}

// option is the first match among the words: an option with its values, and
// the "!" before it.
func option(words []string) []string {
	n := 1
	if words[0] == "!" && len(words) > 1 {
		n = 2
	}
	switch words[n-1] {
	case "--comment", "--string", "--hex-string": // free text
		return words[:min(n+1, len(words))]
	}
	for n < len(words) && words[n] != "!" && !strings.HasPrefix(words[n], "-") {
		n++
	}
	return words[:n]
}

// ask asks whether the packet has what an option of a match module wants.
func (p packet) ask(module, name string, values []string) answer {
	value := values[0]
	switch name {
	case "-i":
		return told(sameInterface(value, p.In), p.In)
	case "-o":
		return told(sameInterface(value, p.Out), p.Out)
	case "--physdev-in":
		return told(sameInterface(value, p.PhysIn), p.PhysIn)
	case "--physdev-out":
		return told(sameInterface(value, p.PhysOut), p.PhysOut)
	case "-s":
		return inPrefix(value, p.Src.Addr())
	case "-d":
		return inPrefix(value, p.Dst.Addr())
	case "-p":
		return p.isProtocol(value)
	case "--ctstate", "--state":
		return p.hasState(value)
	}
	switch module {
	case "tcp", "udp", "multiport":
		return p.askPorts(name, values)
	case "icmp", "icmp6", "icmpv6":
		return p.askICMP(name, value)
	}
	return unknown
}

// sameInterface compares as the kernel does (ifname_compare in
// net/ipv4/netfilter/ip_tables.c): "+" at the end leaves the rest open.
func sameInterface(want, have string) bool {
	if prefix, wild := strings.CutSuffix(want, "+"); wild {
		return strings.HasPrefix(have, prefix)
	}
	return want == have
}

// inPrefix knows addresses and networks, but no masks that are no prefix lengths.
func inPrefix(want string, have netip.Addr) answer {
	prefix, err := netip.ParsePrefix(want)
	if err != nil {
		a, err := netip.ParseAddr(want)
		if err != nil {
			return unknown
		}
		prefix = netip.PrefixFrom(a, a.BitLen())
	}
	if !have.IsValid() || have.Is4() != prefix.Addr().Is4() {
		return unknown
	}
	return told(prefix.Contains(have), have.String())
}

// protocols are the names that iptables-save has for those that a trace looks into.
var protocols = map[string]trace.Proto{
	"tcp": trace.TCP, "udp": trace.UDP, "icmp": trace.ICMP, "icmpv6": trace.ICMPv6, "ipv6-icmp": trace.ICMPv6, "icmp6": trace.ICMPv6,
}

func (p packet) isProtocol(want string) answer {
	number, ok := protocols[want]
	if n, err := strconv.ParseUint(want, 10, 8); err == nil {
		number, ok = trace.Proto(n), true
	}
	switch {
	case ok:
		return told(number == p.proto, p.proto.String())
	case slices.Contains([]trace.Proto{trace.TCP, trace.UDP, trace.ICMP, trace.ICMPv6}, p.proto):
		return told(false, p.proto.String()) // the name is one of another protocol
	}
	return unknown
}

// hasState compares with the state of connection tracking. SNAT and DNAT, which
// are no states of a packet, cannot be told.
func (p packet) hasState(want string) answer {
	states := strings.Split(want, ",")
	switch {
	case p.CTState == "":
		return unknown
	case slices.Contains(states, string(p.CTState)):
		return told(true, string(p.CTState))
	case slices.Contains(states, "SNAT") || slices.Contains(states, "DNAT"):
		return unknown
	}
	return told(false, string(p.CTState))
}

// askPorts knows the options of the tcp, udp and multiport matches.
func (p packet) askPorts(name string, values []string) answer {
	src, dst := p.Src.Port(), p.Dst.Port()
	switch name {
	case "--sport", "--sports":
		return inPorts(values[0], src)
	case "--dport", "--dports":
		return inPorts(values[0], dst)
	case "--ports":
		a, b := inPorts(values[0], src), inPorts(values[0], dst)
		return answer{a.known && b.known, a.holds || b.holds, a.have + ", " + b.have}
	case "--tcp-flags":
		if len(values) == 2 && p.proto == trace.TCP {
			return hasFlags(values[0], values[1], p.header.Flags)
		}
	}
	return unknown
}

// inPorts knows ports, ranges written with a colon, and lists of both. A port 0
// is that of a packet whose ports are not known.
func inPorts(want string, have uint16) answer {
	if have == 0 {
		return unknown
	}
	found := false
	for _, item := range strings.Split(want, ",") {
		low, high, isRange := strings.Cut(item, ":")
		if !isRange {
			high = low
		}
		from, err1 := strconv.ParseUint(low, 10, 16)
		to, err2 := strconv.ParseUint(high, 10, 16)
		if err1 != nil || err2 != nil {
			return unknown
		}
		found = found || from <= uint64(have) && uint64(have) <= to
	}
	return told(found, strconv.Itoa(int(have)))
}

// tcpFlags are iptables' names for the control bits (iptables-extensions(8), tcp).
var tcpFlags = map[string]trace.TCPFlags{
	"SYN": trace.SYN, "ACK": trace.ACK, "FIN": trace.FIN, "RST": trace.RST, "URG": trace.URG, "PSH": trace.PSH, "NONE": 0,
	"ALL": trace.SYN | trace.ACK | trace.FIN | trace.RST | trace.URG | trace.PSH,
}

// hasFlags says whether of the flags in the mask exactly the wanted ones are set.
func hasFlags(mask, want string, have trace.TCPFlags) answer {
	m, ok1 := flagsOf(mask)
	w, ok2 := flagsOf(want)
	if !ok1 || !ok2 {
		return unknown
	}
	return told(have&m == w, have.String())
}

func flagsOf(names string) (flags trace.TCPFlags, ok bool) {
	for _, n := range strings.Split(names, ",") {
		f, ok := tcpFlags[n]
		if !ok {
			return 0, false
		}
		flags |= f
	}
	return flags, true
}

// askICMP knows types by number, as iptables-save writes them: "8" or "3/4".
func (p packet) askICMP(name, want string) answer {
	if name != "--icmp-type" && name != "--icmpv6-type" || p.proto != trace.ICMP && p.proto != trace.ICMPv6 {
		return unknown
	}
	typ, code, hasCode := strings.Cut(want, "/")
	t, err := strconv.ParseUint(typ, 10, 8)
	if err != nil {
		return unknown
	}
	have, holds := strconv.Itoa(int(p.header.ICMPType)), uint8(t) == p.header.ICMPType
	if hasCode {
		c, err := strconv.ParseUint(code, 10, 8)
		if err != nil {
			return unknown
		}
		have, holds = have+"/"+strconv.Itoa(int(p.header.ICMPCode)), holds && uint8(c) == p.header.ICMPCode
	}
	return told(holds, have)
}
