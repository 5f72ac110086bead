package filter

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"packetwalk/trace"
)

// Use says what connection tracking knows where a probe stands.
type Use uint8

// The uses.
const (
	// BeforeConntrack is the raw table, and every table where connection
	// tracking is off: packets go by their own addresses, either way round. What
	// NAT has yet to undo is not seen: a reply that a destination NAT will
	// rewrite. Nor is an ICMP error about a connection of TCP or UDP or, where a
	// filter has ports and nothing defragments, a fragment behind the first.
	BeforeConntrack Use = iota
	// AfterConntrack is every other table: packets go by their connection's
	// original tuple, and the untracked and the invalid ones, which have no
	// connection, by their own addresses.
	AfterConntrack
	// InNAT is the nat table, which sees packets with a connection only
	// (nf_nat_inet_fn in net/netfilter/nf_nat_core.c).
	InNAT
)

// Words are the filter as iptables matches, in alternatives: a packet of a
// matching connection, of either direction, matches exactly one of them, any
// other packet none. They are valid for iptables and ip6tables of both variants,
// in the families that Families lists. A filter that asks for nothing has one
// empty alternative.
//
// A port means TCP or UDP, so each of them has its alternatives: behind
// connection tracking an ICMP echo has a "port" as well, its type and code
// (struct nf_conntrack_tuple).
func (f Filter) Words(use Use) [][]string { return f.Narrow(use, nil) }

// Narrow puts Words together with the matches that a rule has of its own, in
// iptables-save's writing: a rule takes -p, -s and -d only once. There are no
// alternatives where no packet can match both.
func (f Filter) Narrow(use Use, own []string) [][]string {
	rule := readOwn(own)
	var out [][]string
	for _, a := range f.alternatives(use) {
		if words, ok := a.words(rule); ok {
			out = append(out, words)
		}
	}
	return out
}

// alternative is one of the ways to match.
type alternative struct {
	proto trace.Proto // 0 for any
	cube  cube
	kind  kind
}

// kind says what the alternative's literals are about.
type kind uint8

const (
	plain     kind = iota // the packet as it is
	tracked               // the connection's original tuple
	trackless             // the packet as it is, where it has no connection
)

func (f Filter) alternatives(use Use) []alternative {
	var out []alternative
	add := func(k kind, cubes []cube) {
		for _, proto := range f.protos() {
			for _, c := range disjoint(cubes) {
				out = append(out, alternative{proto, c, k})
			}
		}
	}
	cubes := f.cubes()
	switch {
	case use == BeforeConntrack || len(f.terms) == 0 && (f.proto == 0 || f.isICMP()):
		add(plain, bothWays(cubes))
	default:
		add(tracked, cubes)
		if use != InNAT {
			add(trackless, bothWays(cubes))
		}
	}
	return out
}

// protos lists the protocols that take an alternative of their own.
func (f Filter) protos() []trace.Proto {
	if f.proto == 0 && f.hasPorts() {
		return []trace.Proto{trace.TCP, trace.UDP}
	}
	return []trace.Proto{f.proto}
}

// own is a rule's own matches, taken apart as far as they meet a filter's.
type own struct {
	proto              string // what -p names, empty without one
	notProto           bool
	hasSource, hasDest bool
	// states is the list of the first --ctstate that is not negated.
	states []string
	rest   []string // without -p
}

// hasModule says whether the rule has the match module with -m.
func (o own) hasModule(name string) bool {
	for i := 0; i+1 < len(o.rest); i++ {
		if o.rest[i] == "-m" && o.rest[i+1] == name {
			return true
		}
	}
	return false
}

func readOwn(words []string) own {
	var o own
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case w == "--comment" || w == "--string" || w == "--hex-string":
			o.rest = append(o.rest, words[i:min(i+2, len(words))]...)
			i++ // free text, which can look like an option
			continue
		case w == "-p" && i+1 < len(words):
			if n := len(o.rest); n > 0 && o.rest[n-1] == "!" {
				o.rest, o.notProto = o.rest[:n-1], true
			}
			i++
			o.proto = words[i]
			continue
		case w == "--ctstate" && i+1 < len(words) && (i == 0 || words[i-1] != "!"):
			if o.states == nil {
				o.states = strings.Split(words[i+1], ",")
			}
		case w == "-s":
			o.hasSource = true
		case w == "-d":
			o.hasDest = true
		}
		o.rest = append(o.rest, w)
	}
	return o
}

// matchNames are the names that -p and --ctproto take in both families. The
// protocols' numbers would do as well, but these can be read.
var matchNames = map[trace.Proto]string{trace.TCP: "tcp", trace.UDP: "udp", trace.ICMP: "icmp", trace.ICMPv6: "ipv6-icmp"}

// names says whether a word behind -p names the protocol. The word is
// iptables-save's, or a number.
func names(word string, p trace.Proto) bool {
	return word == matchNames[p] || word == strconv.Itoa(int(p)) || p == trace.ICMPv6 && word == "icmpv6"
}

// meets says whether the rule's conntrack states leave room for the kind: a
// packet is INVALID or UNTRACKED exactly when it has no connection
// (conntrack_mt in net/netfilter/xt_conntrack.c).
func (o own) meets(k kind) bool {
	without := func(state string) bool { return state == "INVALID" || state == "UNTRACKED" }
	switch {
	case o.states == nil || k == plain:
		return true
	case k == trackless:
		return slices.ContainsFunc(o.states, without)
	}
	return slices.ContainsFunc(o.states, func(s string) bool { return !without(s) })
}

// words are the alternative and the rule's own matches in one, if they can both hold.
func (a alternative) words(rule own) ([]string, bool) {
	proto, ok := a.protocol(rule)
	if !ok || !rule.meets(a.kind) {
		return nil, false
	}
	out := slices.Clone(proto)
	switch a.kind {
	case trackless:
		out = append(out, "-m", "conntrack", "--ctstate", "INVALID,UNTRACKED")
		fallthrough
	case plain:
		out = append(out, a.plainWords(rule)...)
	case tracked:
		out = append(out, a.trackedWords()...)
	}
	return append(out, rule.rest...), true
}

// protocol is the -p of the two in one, which comes first: modules that depend
// on the protocol look for it when they are read.
func (a alternative) protocol(rule own) (words []string, ok bool) {
	var theirs []string
	if rule.proto != "" {
		theirs = []string{"-p", rule.proto}
		if rule.notProto {
			theirs = []string{"!", "-p", rule.proto}
		}
	}
	if a.proto == 0 {
		return theirs, true
	}
	same := names(rule.proto, a.proto)
	if a.kind == tracked && (a.proto == trace.TCP || a.proto == trace.UDP) {
		// Its connection's protocol is a packet's own, but for ICMP errors.
		other := !rule.notProto && (names(rule.proto, trace.TCP) || names(rule.proto, trace.UDP)) && !same
		return theirs, !other
	}
	if rule.proto != "" && same == rule.notProto {
		return nil, false
	}
	return []string{"-p", matchNames[a.proto]}, true
}

// trackedWords ask for the connection's original tuple. An alternative for ICMP
// asks for the packet's own protocol with -p, which no NAT changes: so it holds
// for errors about other connections as well.
func (a alternative) trackedWords() []string {
	options := map[field]string{srcAddr: "--ctorigsrc", dstAddr: "--ctorigdst", srcPort: "--ctorigsrcport", dstPort: "--ctorigdstport"}
	var out []string
	proto := a.proto == trace.TCP || a.proto == trace.UDP
	for _, g := range instances(a.cube) {
		out = append(out, "-m", "conntrack")
		if proto {
			out = append(out, "--ctproto", matchNames[a.proto])
			proto = false
		}
		for _, l := range g {
			out = append(out, l.words(options[l.field])...)
		}
	}
	if proto {
		out = append(out, "-m", "conntrack", "--ctproto", matchNames[a.proto])
	}
	return out
}

// plainWords ask for the packet's own addresses and ports. A rule takes -s and
// -d once, and iptables-nft puts several tcp or udp matches into one, which
// loses all but the last. Where those are taken, the iprange and multiport
// matches, of which there may be many, stand in for them.
func (a alternative) plainWords(rule own) []string {
	hasPorts := rule.hasModule(matchNames[a.proto])
	taken := map[field]bool{srcAddr: rule.hasSource, dstAddr: rule.hasDest, srcPort: hasPorts, dstPort: hasPorts}
	var addresses, ports, more []string
	for _, l := range a.cube {
		first := !taken[l.field]
		taken[l.field] = true
		switch {
		case first && l.port == 0:
			addresses = append(addresses, l.words(map[field]string{srcAddr: "-s", dstAddr: "-d"}[l.field])...)
		case first:
			ports = append(ports, l.words(map[field]string{srcPort: "--sport", dstPort: "--dport"}[l.field])...)
		case l.port == 0:
			more = append(more, "-m", "iprange")
			more = append(more, l.words(map[field]string{srcAddr: "--src-range", dstAddr: "--dst-range"}[l.field])...)
		default:
			more = append(more, "-m", "multiport")
			more = append(more, l.words(map[field]string{srcPort: "--sports", dstPort: "--dports"}[l.field])...)
		}
	}
	if len(ports) > 0 {
		ports = append([]string{"-m", matchNames[a.proto]}, ports...)
	}
	return slices.Concat(addresses, ports, more)
}

// instances groups literals so that no field comes twice in a group: a match
// takes an option once, but a rule takes a match many times.
func instances(c cube) []cube {
	var out []cube
	for _, l := range c {
		i := slices.IndexFunc(out, func(g cube) bool {
			return !slices.ContainsFunc(g, func(o literal) bool { return o.field == l.field })
		})
		if i < 0 {
			i, out = len(out), append(out, nil)
		}
		out[i] = append(out[i], l)
	}
	return out
}

// words are the literal behind an option.
func (l literal) words(option string) []string {
	var value string
	switch {
	case l.port != 0:
		value = strconv.Itoa(int(l.port))
	case option == "--src-range" || option == "--dst-range":
		value = l.prefix.Addr().String() + "-" + lastOf(l.prefix).String()
	default:
		value = l.prefix.String()
	}
	if l.not {
		return []string{"!", option, value}
	}
	return []string{option, value}
}

// lastOf is the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
