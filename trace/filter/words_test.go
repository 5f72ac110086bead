package filter

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func joined(alternatives [][]string) []string {
	out := []string{}
	for _, words := range alternatives {
		out = append(out, strings.Join(words, " "))
	}
	return out
}

func TestWords(t *testing.T) {
	for _, c := range []struct {
		filter string
		use    Use
		want   []string
	}{
		{"", AfterConntrack, []string{""}},
		{"ip6 and interface eth0", BeforeConntrack, []string{""}},
		{"icmp", AfterConntrack, []string{"-p icmp"}},
		{"icmp6", BeforeConntrack, []string{"-p ipv6-icmp"}},
		{"tcp", InNAT, []string{"-m conntrack --ctproto tcp"}},
		{"tcp", AfterConntrack, []string{
			"-m conntrack --ctproto tcp",
			"-p tcp -m conntrack --ctstate INVALID,UNTRACKED",
		}},
		{"tcp dst port 8080 and src host 192.0.2.7", InNAT, []string{
			"-m conntrack --ctproto tcp --ctorigsrc 192.0.2.7/32 --ctorigdstport 8080",
		}},
		{"tcp dst port 8080 and src host 192.0.2.7", BeforeConntrack, []string{
			"-p tcp -s 192.0.2.7/32 -m tcp --dport 8080",
			"-p tcp ! -s 192.0.2.7/32 -d 192.0.2.7/32 -m tcp --sport 8080",
			"-p tcp -s 192.0.2.7/32 -d 192.0.2.7/32 -m tcp --sport 8080 ! --dport 8080",
		}},
		{"port 80", InNAT, []string{
			"-m conntrack --ctproto tcp --ctorigsrcport 80",
			"-m conntrack --ctproto tcp ! --ctorigsrcport 80 --ctorigdstport 80",
			"-m conntrack --ctproto udp --ctorigsrcport 80",
			"-m conntrack --ctproto udp ! --ctorigsrcport 80 --ctorigdstport 80",
		}},
		{"udp port 53", AfterConntrack, []string{
			"-m conntrack --ctproto udp --ctorigsrcport 53",
			"-m conntrack --ctproto udp ! --ctorigsrcport 53 --ctorigdstport 53",
			"-p udp -m conntrack --ctstate INVALID,UNTRACKED -m udp --sport 53",
			"-p udp -m conntrack --ctstate INVALID,UNTRACKED -m udp ! --sport 53 --dport 53",
		}},
		{"src net 10.0.0.0/8 and dst net 10.1.0.0/16", BeforeConntrack, []string{
			"-s 10.0.0.0/8 -d 10.1.0.0/16",
			"-s 10.1.0.0/16 -d 10.0.0.0/8 -m iprange ! --dst-range 10.1.0.0-10.1.255.255",
		}},
	} {
		if diff := cmp.Diff(c.want, joined(must(t, c.filter).Words(c.use))); diff != "" {
			t.Errorf("%q, use %d (-want +got):\n%s", c.filter, c.use, diff)
		}
	}
}

func TestNarrow(t *testing.T) {
	const filter = "tcp dst port 8080 and src host 192.0.2.7"
	for _, c := range []struct {
		filter string
		use    Use
		own    string
		want   []string
	}{
		{"", BeforeConntrack, "! -i eth0 -p tcp -m tcp --dport 80", []string{"-p tcp ! -i eth0 -m tcp --dport 80"}},
		{"host 192.0.2.7", InNAT, "! -p tcp", []string{
			"! -p tcp -m conntrack --ctorigsrc 192.0.2.7/32",
			"! -p tcp -m conntrack ! --ctorigsrc 192.0.2.7/32 --ctorigdst 192.0.2.7/32",
		}},
		{filter, BeforeConntrack, "-p udp", []string{}},
		{filter, BeforeConntrack, "! -p 6", []string{}},
		{filter, InNAT, "-p udp -m udp --dport 53", []string{}},
		{filter, InNAT, "-p icmp", []string{"-p icmp -m conntrack --ctproto tcp --ctorigsrc 192.0.2.7/32 --ctorigdstport 8080"}},
		{"icmp6", AfterConntrack, "-p icmpv6 -m icmp6 --icmpv6-type 128", []string{"-p ipv6-icmp -m icmp6 --icmpv6-type 128"}},
		{"tcp src port 80 and src 192.0.2.7 and dst 192.0.2.7", BeforeConntrack, "-s 192.0.2.0/24 ! -d 10.0.0.0/8 -i lo -p tcp -m tcp --dport 1:99", []string{
			"-p tcp -m iprange --src-range 192.0.2.7-192.0.2.7 -m iprange --dst-range 192.0.2.7-192.0.2.7 -m multiport --sports 80" +
				" -s 192.0.2.0/24 ! -d 10.0.0.0/8 -i lo -m tcp --dport 1:99",
			"-p tcp -m iprange --src-range 192.0.2.7-192.0.2.7 -m iprange --dst-range 192.0.2.7-192.0.2.7 -m multiport ! --sports 80" +
				" -m multiport --dports 80 -s 192.0.2.0/24 ! -d 10.0.0.0/8 -i lo -m tcp --dport 1:99",
		}},
		{"tcp", AfterConntrack, "-m conntrack --ctstate NEW", []string{"-m conntrack --ctproto tcp -m conntrack --ctstate NEW"}},
		{"tcp", AfterConntrack, "-m conntrack --ctstate INVALID", []string{
			"-p tcp -m conntrack --ctstate INVALID,UNTRACKED -m conntrack --ctstate INVALID",
		}},
		{"tcp", AfterConntrack, "-m conntrack ! --ctstate INVALID", []string{
			"-m conntrack --ctproto tcp -m conntrack ! --ctstate INVALID",
			"-p tcp -m conntrack --ctstate INVALID,UNTRACKED -m conntrack ! --ctstate INVALID",
		}},
		{"udp", BeforeConntrack, "-m comment --comment -p", []string{"-p udp -m comment --comment -p"}},
	} {
		if diff := cmp.Diff(c.want, joined(must(t, c.filter).Narrow(c.use, strings.Fields(c.own)))); diff != "" {
			t.Errorf("%q, use %d, on %q (-want +got):\n%s", c.filter, c.use, c.own, diff)
		}
	}
}

// pool holds what random filters are made of, few enough values for terms to meet.
type pool struct {
	hosts, nets []string
	ports       []int
	protos      []string
}

// random writes a filter of up to four terms, which may contradict each other.
func (p pool) random(r *rand.Rand) string {
	pick := func(from []string) string { return from[r.IntN(len(from))] }
	var terms []string
	for range 1 + r.IntN(4) {
		way := pick([]string{"", "src ", "dst "})
		switch r.IntN(5) {
		case 0:
			terms = append(terms, pick(p.protos))
		case 1:
			terms = append(terms, way+"net "+pick(p.nets))
		case 2:
			terms = append(terms, way+"host "+pick(p.hosts))
		default:
			terms = append(terms, way+fmt.Sprint("port ", p.ports[r.IntN(len(p.ports))]))
		}
	}
	return strings.Join(terms, " and ")
}

// tuple is a connection as the tests know it: source and destination of its opener.
type tuple struct{ src, dst netip.AddrPort }

// holds evaluates the terms of a filter's text for a tuple, word by word:
// independent of what Parse made of them. It looks at no protocol.
func holds(text string, c tuple) bool {
	for _, term := range strings.Split(text, " and ") {
		words := strings.Fields(term)
		way := ""
		if words[0] == "src" || words[0] == "dst" {
			way, words = words[0], words[1:]
		}
		if len(words) < 2 {
			continue
		}
		at := func(a netip.AddrPort) bool {
			switch words[0] {
			case "port":
				return fmt.Sprint(a.Port()) == words[1]
			case "host":
				return a.Addr() == netip.MustParseAddr(words[1])
			}
			return netip.MustParsePrefix(words[1]).Contains(a.Addr())
		}
		if !(way != "dst" && at(c.src) || way != "src" && at(c.dst)) {
			return false
		}
	}
	return true
}

// in says whether a tuple is in a cube.
func (c cube) in(at tuple) bool {
	for _, l := range c {
		a := at.src
		if l.field == dstAddr || l.field == dstPort {
			a = at.dst
		}
		hit := l.port != 0 && a.Port() == l.port || l.port == 0 && l.prefix.Contains(a.Addr())
		if hit == l.not {
			return false
		}
	}
	return true
}

// Of every tuple that a filter holds for, exactly one cube does, and of no
// other tuple any; and what Parse takes for a contradiction no tuple meets.
func TestAlternativesExcludeEachOther(t *testing.T) {
	p := pool{
		hosts:  []string{"10.0.0.1", "10.0.0.2", "10.1.0.1", "192.0.2.7"},
		nets:   []string{"10.0.0.0/8", "10.0.0.0/16", "10.0.0.0/30", "192.0.2.0/24", "0.0.0.0/0"},
		ports:  []int{53, 80, 8080},
		protos: []string{"tcp", "udp", "ip"},
	}
	var ends []netip.AddrPort
	for _, h := range append(p.hosts, "10.0.0.3", "203.0.113.1") {
		for _, port := range append(p.ports, 9) {
			ends = append(ends, netip.AddrPortFrom(netip.MustParseAddr(h), uint16(port)))
		}
	}
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		text := p.random(r)
		if err := exclusive(text, ends); err != nil {
			t.Fatalf("seed %d: %q: %v", seed, text, err)
		}
	}
}

func exclusive(text string, ends []netip.AddrPort) error {
	f, err := Parse(text)
	if err != nil && (strings.Contains(err.Error(), "no packet is both")) {
		return nil
	}
	forward, both := disjoint(f.cubes()), disjoint(bothWays(f.cubes()))
	for _, src := range ends {
		for _, dst := range ends {
			c, back := tuple{src, dst}, tuple{dst, src}
			if err != nil {
				if holds(text, c) {
					return fmt.Errorf("%w, but %v meets it", err, c)
				}
				continue
			}
			if n := count(forward, c); (n == 1) != holds(text, c) || n > 1 {
				return fmt.Errorf("%v is in %d of %v", c, n, forward)
			}
			if n := count(both, c); (n == 1) != (holds(text, c) || holds(text, back)) || n > 1 {
				return fmt.Errorf("%v, either way round, is in %d of %v", c, n, both)
			}
		}
	}
	return nil
}

func count(cubes []cube, c tuple) (n int) {
	for _, one := range cubes {
		if one.in(c) {
			n++
		}
	}
	return n
}
