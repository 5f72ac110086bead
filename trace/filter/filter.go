// Package filter reads the filters of a trace, in the words of pcap-filter(7),
// and turns them into iptables matches that follow a connection through NAT.
// Putting the matches into probes, and looking at the interfaces of a walk that
// has been put together, is left to those who trace.
//
// A filter speaks of connections: "src" is the end that opened the connection,
// "dst" the end that it was opened to, as the opener named it, and a packet of
// either direction belongs to it. Where connection tracking knows the packet,
// its original tuple decides, whatever NAT made of the packet. Elsewhere the
// packet's own addresses do, either way round.
//
// A connection is what one network namespace makes of it: behind a destination
// NAT the next namespace knows the translated address only.
package filter

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"packetwalk/trace"
)

// Filter is a conjunction of conditions on a connection. The zero Filter
// matches everything.
type Filter struct {
	family trace.Family // 0 for either
	proto  trace.Proto  // 0 for any
	// terms are sorted, and none follows from another.
	terms      []term
	interfaces []Interface
}

// side says at which end of the connection a term looks.
type side uint8

const (
	source side = iota
	destination
	either
)

func (s side) String() string { return [...]string{"src ", "dst ", ""}[s] }

// term is a condition on the addresses or, where port is not 0, on the ports.
type term struct {
	side   side
	prefix netip.Prefix // masked
	port   uint16
}

func (t term) String() string {
	switch {
	case t.port != 0:
		return t.side.String() + "port " + strconv.Itoa(int(t.port))
	case t.prefix.IsSingleIP():
		return t.side.String() + "host " + t.prefix.Addr().String()
	}
	return t.side.String() + "net " + t.prefix.String()
}

func (t term) compare(o term) int {
	return cmp.Or(cmp.Compare(t.port, o.port), cmp.Compare(t.side, o.side), t.prefix.Compare(o.prefix))
}

// implies says whether the other term holds wherever this one does.
func (t term) implies(o term) bool {
	return (o.side == either || o.side == t.side) && within(t.value(source), o.value(source))
}

// holds says whether the term holds for a connection between two addresses.
func (t term) holds(src, dst netip.AddrPort) bool {
	at := func(a netip.AddrPort) bool {
		if t.port != 0 {
			return a.Port() == t.port
		}
		return t.prefix.Contains(a.Addr())
	}
	return t.side != destination && at(src) || t.side != source && at(dst)
}

// add takes one more term, and drops what follows from others.
func (f *Filter) add(t term) {
	if slices.ContainsFunc(f.terms, func(o term) bool { return o.implies(t) }) {
		return
	}
	f.terms = append(slices.DeleteFunc(slices.Clone(f.terms), t.implies), t)
	slices.SortFunc(f.terms, term.compare)
}

func (f Filter) hasPorts() bool {
	return slices.ContainsFunc(f.terms, func(t term) bool { return t.port != 0 })
}

// impliedFamily is the family that the filter has even without naming it.
func (f Filter) impliedFamily() trace.Family {
	switch f.proto {
	case trace.ICMP:
		return trace.IPv4
	case trace.ICMPv6:
		return trace.IPv6
	}
	for _, t := range f.terms {
		if t.port == 0 {
			return trace.FamilyOf(t.prefix.Addr())
		}
	}
	return 0
}

// Families lists the address families in which a packet can match.
func (f Filter) Families() []trace.Family {
	if f.family != 0 {
		return []trace.Family{f.family}
	}
	return []trace.Family{trace.IPv4, trace.IPv6}
}

// protoNames are the words of pcap-filter(7) for protocols.
var protoNames = map[trace.Proto]string{trace.TCP: "tcp", trace.UDP: "udp", trace.ICMP: "icmp", trace.ICMPv6: "icmp6"}

// String is the filter in its canonical form, which Parse reads as the same
// filter. That of the zero Filter is empty.
func (f Filter) String() string {
	var parts []string
	if f.family != f.impliedFamily() {
		parts = append(parts, map[trace.Family]string{trace.IPv4: "ip", trace.IPv6: "ip6"}[f.family])
	}
	if f.proto != 0 {
		parts = append(parts, protoNames[f.proto])
	}
	for _, t := range f.terms {
		parts = append(parts, t.String())
	}
	for _, i := range f.interfaces {
		parts = append(parts, i.String())
	}
	return strings.Join(parts, " and ")
}

// Matches says whether a packet, as it is, belongs to a connection of the
// filter, in one direction or the other; or, where it is an ICMP error, whether
// the packet that it quotes does. Interfaces are not looked at: see Crossed.
func (f Filter) Matches(p trace.Packet) bool {
	if f.family != 0 && p.Family != f.family {
		return false
	}
	quoted := p.Embedded
	if f.isICMP() {
		return p.Proto == f.proto && (f.between(p) || quoted != nil && f.between(*quoted))
	}
	return f.carries(p) || quoted != nil && f.carries(*quoted)
}

func (f Filter) isICMP() bool { return f.proto == trace.ICMP || f.proto == trace.ICMPv6 }

// carries is Matches for a packet's own protocol and addresses.
func (f Filter) carries(p trace.Packet) bool {
	if f.proto != 0 && p.Proto != f.proto || f.hasPorts() && !p.HasPorts() {
		return false
	}
	return f.between(p)
}

// between says whether the terms hold for the packet's addresses, either way round.
func (f Filter) between(p trace.Packet) bool {
	all := func(src, dst netip.AddrPort) bool {
		return !slices.ContainsFunc(f.terms, func(t term) bool { return !t.holds(src, dst) })
	}
	return all(p.Src, p.Dst) || all(p.Dst, p.Src)
}
