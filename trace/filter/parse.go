package filter

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"packetwalk/trace"
)

// SyntaxError says where a filter cannot be read, and why.
type SyntaxError struct {
	Text   string
	Offset int // of the word at fault, in bytes from the beginning of Text
	// Expected says what can stand there. It is empty where the word is one
	// that contradicts the rest.
	Expected string
	// Problem says what is wrong with what stands there.
	Problem string
}

func (e *SyntaxError) Error() string {
	s := fmt.Sprintf("reading the filter %q at character %d: %s", e.Text, e.Offset+1, e.Problem)
	if e.Expected != "" {
		s += "; expected " + e.Expected
	}
	return s
}

// What can stand at a place.
const (
	wantTerm    = "ip, ip6, tcp, udp, icmp, icmp6, src, dst, host, net, port or interface"
	wantKind    = "host, net, port or an address"
	wantAnd     = "and, or the end"
	wantAddress = "an IP address such as 192.0.2.7 or 2001:db8::1 (names are not looked up)"
	wantPrefix  = "a network such as 192.0.2.0/24 or 2001:db8::/32"
	wantPort    = "a port, a number from 1 to 65535"
	wantName    = "the name of an interface, such as eth0 or veth+"
)

// unsupported holds the words of pcap-filter(7) that are understood but not supported.
var unsupported = []string{
	"or", "||", "not", "!", "(", ")", "portrange", "proto", "protochain", "mask", "gateway", "broadcast", "multicast",
	"less", "greater", "len", "ether", "link", "fddi", "tr", "wlan", "arp", "rarp", "decnet", "vlan", "mpls", "pppoed",
	"pppoes", "geneve", "vxlan", "sctp", "ah", "esp", "igmp", "pim", "igrp", "vrrp", "carp", "iso", "stp", "atalk", "aarp",
	"ipx", "inbound", "outbound", "ifname", "on", "ra", "ta", "addr1", "addr2", "addr3", "addr4",
}

// Parse reads a filter:
//
//	filter    = [ term { "and" term } ]
//	term      = protocol | [ protocol ] [ "src" | "dst" ] ( [ "host" ] ADDRESS | [ "net" ] PREFIX | "port" NUMBER )
//	          | [ "in" | "out" ] "interface" NAME
//	protocol  = "ip" | "ip6" | "tcp" | "udp" | "icmp" | "icmp6"
//
// "&&" stands for "and". A term without src or dst holds for either end. The
// words mean what they mean in pcap-filter(7), which has no interface. A filter
// that can match nothing is an error. The error is a *SyntaxError.
func Parse(text string) (Filter, error) {
	p := parser{text: text, words: split(text)}
	for len(p.words) > p.at {
		if err := p.term(); err != nil {
			return Filter{}, err
		}
		if p.at == len(p.words) {
			break
		}
		if w := p.peek(); w != "and" && w != "&&" {
			return Filter{}, p.unexpected(wantAnd)
		}
		p.at++
		if p.at == len(p.words) {
			return Filter{}, p.unexpected(wantTerm)
		}
	}
	return p.filter, nil
}

// word is a word of the filter, and where it stands.
type word struct {
	text   string
	offset int
}

// split parts the text at blanks, and around "&&", "||", "!" and parentheses.
func split(text string) []word {
	var words []word
	start := -1
	end := func(at int) {
		if start >= 0 {
			words = append(words, word{text[start:at], start})
			start = -1
		}
	}
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		operator := strings.HasPrefix(text[i:], "&&") || strings.HasPrefix(text[i:], "||")
		switch {
		case operator:
			size = 2
			fallthrough
		case strings.ContainsRune("!()", r):
			end(i)
			words = append(words, word{text[i : i+size], i})
		case r < unicode.MaxASCII && unicode.IsSpace(r):
			end(i)
		case start < 0:
			start = i
		}
		i += size
	}
	end(len(text))
	return words
}

type parser struct {
	text   string
	words  []word
	at     int
	filter Filter
}

// peek is the next word, empty at the end.
func (p *parser) peek() string {
	if p.at == len(p.words) {
		return ""
	}
	return p.words[p.at].text
}

// next takes the next word if it is one of these.
func (p *parser) next(words ...string) (string, bool) {
	w := p.peek()
	if w == "" || !slices.Contains(words, w) {
		return "", false
	}
	p.at++
	return w, true
}

func (p *parser) fault(at int, expected, problem string) error {
	offset := len(p.text)
	if at < len(p.words) {
		offset = p.words[at].offset
	}
	return &SyntaxError{Text: p.text, Offset: offset, Expected: expected, Problem: problem}
}

// unexpected is the error for the next word.
func (p *parser) unexpected(expected string) error {
	w := p.peek()
	switch {
	case w == "":
		return p.fault(p.at, expected, "it ends too early")
	case slices.Contains(unsupported, w) || strings.Contains(w, "["):
		return p.fault(p.at, expected, fmt.Sprintf("%q is not supported", w))
	}
	return p.fault(p.at, expected, fmt.Sprintf("found %q", w))
}

// term reads everything between two "and".
func (p *parser) term() error {
	if way, ok := p.next("in", "out"); ok {
		return p.networkInterface(map[string]Way{"in": In, "out": Out}[way])
	}
	if p.peek() == "interface" {
		return p.networkInterface(InOrOut)
	}
	first := p.at
	if name, ok := p.next("ip", "ip6", "tcp", "udp", "icmp", "icmp6"); ok {
		if err := p.protocol(name); err != nil {
			return err
		}
		if w := p.peek(); w == "" || w == "and" || w == "&&" {
			return nil
		}
	}
	start := p.at
	t := term{side: either}
	if way, ok := p.next("src", "dst"); ok {
		t.side = map[string]side{"src": source, "dst": destination}[way]
	}
	switch kind, _ := p.next("host", "net", "port"); {
	case kind == "port":
		return p.port(start, t)
	case kind == "net" || kind == "" && looksLikeNetwork(p.peek()):
		return p.network(start, t)
	case kind == "host" || looksLikeAddress(p.peek()):
		return p.host(start, t)
	case start > first && p.at == start: // "tcp 80", "tcp or …"
		return p.unexpected("src, dst, host, net, port, and, or the end")
	case p.at > start:
		return p.unexpected(wantKind)
	}
	return p.unexpected(wantTerm)
}

func looksLikeAddress(w string) bool {
	_, err := netip.ParseAddr(w)
	return err == nil
}

func looksLikeNetwork(w string) bool {
	_, err := netip.ParsePrefix(w)
	return err == nil
}

// protocol takes the protocol whose word was just read.
func (p *parser) protocol(name string) error {
	at, f := p.at-1, &p.filter
	clash := func(with string) error {
		return p.fault(at, "", fmt.Sprintf("no packet is both %s and %s", name, with))
	}
	var family trace.Family
	var proto trace.Proto
	switch name {
	case "ip":
		family = trace.IPv4
	case "ip6":
		family = trace.IPv6
	case "tcp":
		proto = trace.TCP
	case "udp":
		proto = trace.UDP
	case "icmp":
		family, proto = trace.IPv4, trace.ICMP
	case "icmp6":
		family, proto = trace.IPv6, trace.ICMPv6
	}
	switch {
	case proto != 0 && f.proto != 0 && proto != f.proto:
		return clash(protoNames[f.proto])
	case family != 0 && f.family != 0 && family != f.family:
		return clash(f.family.String())
	case (proto == trace.ICMP || proto == trace.ICMPv6) && f.hasPorts():
		return p.fault(at, "", name+" has no ports")
	}
	f.family, f.proto = cmp.Or(family, f.family), cmp.Or(proto, f.proto)
	return nil
}

func (p *parser) port(start int, t term) error {
	n, err := strconv.ParseUint(p.peek(), 10, 16)
	if err != nil || n == 0 {
		return p.unexpected(wantPort)
	}
	if p.filter.isICMP() {
		return p.fault(start, "", protoNames[p.filter.proto]+" has no ports")
	}
	t.port = uint16(n)
	return p.take(start, t)
}

func (p *parser) host(start int, t term) error {
	w := p.peek()
	if _, err := netip.ParsePrefix(w); err == nil {
		return p.fault(p.at, wantAddress, fmt.Sprintf("%q is a network: write net %s", w, w))
	}
	a, err := netip.ParseAddr(w)
	if err != nil || a.Zone() != "" || a.Is4In6() {
		return p.unexpected(wantAddress)
	}
	t.prefix = netip.PrefixFrom(a, a.BitLen())
	return p.address(start, t)
}

func (p *parser) network(start int, t term) error {
	n, err := netip.ParsePrefix(p.peek())
	if err != nil || n.Addr().Is4In6() {
		return p.unexpected(wantPrefix)
	}
	if n != n.Masked() {
		return p.fault(p.at, wantPrefix, fmt.Sprintf("%s has bits behind its length: write %s", n, n.Masked()))
	}
	t.prefix = n
	return p.address(start, t)
}

// address takes a host or a network, which settles the family.
func (p *parser) address(start int, t term) error {
	family := trace.FamilyOf(t.prefix.Addr())
	if p.filter.family != 0 && p.filter.family != family {
		return p.fault(start, "", fmt.Sprintf("%s is %s, but the filter is for %s already", t, family, p.filter.family))
	}
	p.filter.family = family
	if t.prefix.Bits() == 0 { // every address
		p.at++
		return nil
	}
	return p.take(start, t)
}

// take takes a term whose last word is the next one, if the filter can still
// match something with it.
func (p *parser) take(start int, t term) error {
	with := p.filter
	with.add(t)
	if len(with.cubes()) == 0 {
		return p.fault(start, "", fmt.Sprintf("no connection has %s and also %s", t, joinTerms(p.filter.terms)))
	}
	p.filter = with
	p.at++
	return nil
}

func joinTerms(terms []term) string {
	var parts []string
	for _, t := range terms {
		parts = append(parts, t.String())
	}
	return strings.Join(parts, " and ")
}

// networkInterface reads "interface NAME".
func (p *parser) networkInterface(way Way) error {
	if _, ok := p.next("interface"); !ok {
		return p.unexpected("interface")
	}
	name := p.peek()
	if !validName(name) {
		return p.unexpected(wantName)
	}
	p.at++
	i := Interface{Name: name, Way: way}
	if !slices.Contains(p.filter.interfaces, i) {
		p.filter.interfaces = append(slices.Clone(p.filter.interfaces), i)
		slices.SortFunc(p.filter.interfaces, func(a, b Interface) int {
			return cmp.Or(cmp.Compare(a.Way, b.Way), cmp.Compare(a.Name, b.Name))
		})
	}
	return nil
}

// validName says whether the kernel takes the name for an interface
// (dev_valid_name in net/core/dev.c): at most 15 bytes, no slash, no colon, no
// blank. Words that join terms are left out, or a forgotten name would be one.
func validName(name string) bool {
	switch {
	case name == "", name == ".", name == "..", name == "+", name == "and", name == "&&", len(name) > 15:
		return false
	case slices.Contains([]string{"or", "||", "not", "!", "(", ")"}, name):
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return r == '/' || r == ':' || unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar
	})
}
