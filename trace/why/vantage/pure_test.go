package vantage

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packetwalk/trace"
	"packetwalk/trace/host"
	"packetwalk/trace/ruleset"
	"packetwalk/trace/why"
)

func nets(all ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range all {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func TestFree(t *testing.T) {
	for name, c := range map[string]struct {
		family trace.Family
		used   []netip.Prefix
		want   string
	}{
		"nothing used":                     {trace.IPv4, nil, "203.0.113.0/30"},
		"defaults and halves are no use":   {trace.IPv4, nets("0.0.0.0/0", "128.0.0.0/1"), "203.0.113.0/30"},
		"an address":                       {trace.IPv4, nets("203.0.113.3/32"), "203.0.113.4/30"},
		"an address with its network":      {trace.IPv4, nets("203.0.113.3/24"), "198.51.100.0/30"},
		"several":                          {trace.IPv4, nets("203.0.0.0/16", "198.51.100.128/25"), "198.51.100.0/30"},
		"all for documentation":            {trace.IPv4, nets("203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24"), "198.18.0.0/30"},
		"IPv6":                             {trace.IPv6, nets("2000::/3", "fe80::/64"), "2001:db8:7077::/126"},
		"IPv6 with documentation in use":   {trace.IPv6, nets("2001:db8::/32"), "fd70:6163:6b65::/126"},
		"IPv4 does not use what IPv6 does": {trace.IPv6, nets("203.0.113.0/24"), "2001:db8:7077::/126"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := free(c.family, c.used)
			if err != nil || got.String() != c.want {
				t.Errorf("free is %v, %v; want %s", got, err, c.want)
			}
		})
	}
	if got, err := free(trace.IPv4, nets("192.0.0.0/8", "203.0.0.0/8", "198.0.0.0/8")); err == nil {
		t.Errorf("%v counts as free, and nothing is", got)
	}
}

// FuzzFree holds what is found to what was asked.
func FuzzFree(f *testing.F) {
	f.Add([]byte{203, 0, 113, 0}, uint8(24), []byte{198, 51, 100, 4}, uint8(30))
	f.Fuzz(func(t *testing.T, a []byte, abits uint8, b []byte, bbits uint8) {
		var used []netip.Prefix
		for addr, bits := range map[string]uint8{string(a): abits, string(b): bbits} {
			if ip, ok := netip.AddrFromSlice([]byte(addr)); ok {
				used = append(used, netip.PrefixFrom(ip, int(bits)%(ip.BitLen()+1)))
			}
		}
		for _, family := range []trace.Family{trace.IPv4, trace.IPv6} {
			got, err := free(family, used)
			if err != nil {
				continue
			}
			if !slices.ContainsFunc(candidates[family], func(c netip.Prefix) bool { return c.Contains(got.Addr()) }) {
				t.Errorf("%v is a piece of no candidate", got)
			}
			for _, u := range used {
				if u.Overlaps(got) && (u.Bits() > 15 || u.Addr().Is4() && u.Bits() > 7) {
					t.Errorf("%v overlaps %v", got, u)
				}
			}
		}
	})
}

func TestPrefixes(t *testing.T) {
	for word, want := range map[string][]netip.Prefix{
		"192.0.2.7":                       nets("192.0.2.7/32"),
		"192.0.2.0/24":                    nets("192.0.2.0/24"),
		"192.0.2.0/255.255.255.0":         nets("192.0.2.0/24"),
		"192.0.2.0/255.0.255.0":           nets("0.0.0.0/0"),
		"172.17.0.2:80":                   nets("172.17.0.2/32"),
		"172.17.0.2:80-90":                nets("172.17.0.2/32"),
		"172.17.0.2-172.17.0.9":           nets("172.17.0.2/32", "172.17.0.9/32"),
		"172.17.0.2-172.17.0.9:80-90":     nets("172.17.0.2/32", "172.17.0.9/32"),
		"[2001:db8::2]:80":                nets("2001:db8::2/128"),
		"[2001:db8::2-2001:db8::9]:80-81": nets("2001:db8::2/128", "2001:db8::9/128"),
		"2001:db8::/32":                   nets("2001:db8::/32"),
		"192.0.2.1,192.0.2.2":             nets("192.0.2.1/32", "192.0.2.2/32"),
		"80":                              nil,
		"80:90":                           nil,
		"--dport":                         nil,
		"":                                nil,
		"-":                               nil,
	} {
		t.Run(word, func(t *testing.T) {
			if got := prefixes(word); !slices.Equal(got, want) {
				t.Errorf("prefixes are %v, want %v", got, want)
			}
		})
	}
}

func FuzzPrefixes(f *testing.F) {
	f.Add("[2001:db8::2-2001:db8::9]:80-81,1.2.3.4/8")
	f.Fuzz(func(t *testing.T, word string) {
		for _, p := range prefixes(word) {
			if !p.IsValid() {
				t.Errorf("%q has the network %v", word, p)
			}
		}
	})
}

func parse(t *testing.T, text string) ruleset.Ruleset {
	t.Helper()
	rules, err := ruleset.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func sample(t *testing.T, name string) ruleset.Ruleset {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../ruleset/testdata", name+".rules"))
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(text))
}

func TestDestinations(t *testing.T) {
	rules := parse(t, `*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -i eth0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1:8080
-A PREROUTING -p tcp -m multiport --dports 80,443 -j DNAT --to-destination 10.0.0.2-10.0.0.3
-A PREROUTING -p udp -m udp --dport 80 -j DNAT --to-destination 10.0.0.4
-A PREROUTING -p tcp -m tcp --dport 81 -j DNAT --to-destination 10.0.0.5
-A PREROUTING -d 192.0.2.2/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.6
-A DOCKER -d 192.0.2.1/32 ! -i docker0 -p tcp -m tcp --dport 79:80 -j DNAT --to-destination 10.0.0.7:80
-A DOCKER -j RETURN
COMMIT
`)
	want := []netip.Addr{
		netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.3"), netip.MustParseAddr("10.0.0.7"),
	}
	got := destinations(rules, trace.TCP, netip.MustParseAddrPort("192.0.2.1:80"))
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("destinations (-want +got):\n%s", diff)
	}
	if got := destinations(sample(t, "docker-28-publish-8080"), trace.TCP, netip.MustParseAddrPort("192.168.23.149:8080")); len(got) != 1 || got[0].String() != "192.0.2.2" {
		t.Errorf("Docker 28 sends a request to %v", got)
	}
}

// machine is a host with a container behind docker0 and the client's interface.
func machine() host.State {
	return host.State{
		Node: "host",
		Links: []host.Link{
			{Name: "lo", Kind: "loopback", Up: true, Addresses: nets("127.0.0.1/8")},
			{Name: "eth0", Kind: "veth", Up: true, Addresses: nets("192.168.23.149/24")},
			{Name: "eth1", Kind: "device", Up: true, Addresses: nets("10.1.0.1/16")},
			{Name: "eth2", Kind: "device"},
			{Name: "docker0", Kind: "bridge", Up: true, Addresses: nets("172.17.0.1/16")},
			{Name: "veth1", Kind: "veth", Up: true, Bridge: "docker0"},
			{Name: "pw-1", Kind: "veth", Up: true, Addresses: nets("203.0.113.1/30")},
		},
		Routes: []host.Route{{Family: trace.IPv4, Table: 254, Type: host.Unicast, Via: netip.MustParseAddr("192.168.23.1"), Interface: "eth0"}},
		Choices: []host.Choice{
			{Family: trace.IPv4, Priority: 0, Table: 255}, {Family: trace.IPv4, Priority: 100, In: "eth1", Type: host.Unicast, Table: 7},
			{Family: trace.IPv4, Priority: 101, In: "docker0", Table: 8}, {Family: trace.IPv6, Priority: 102, In: "eth1", Table: 9},
		},
		Sysctls: map[string]string{
			"net.ipv4.conf.all.rp_filter": "0", "net.ipv4.conf.eth0.rp_filter": "0", "net.ipv4.conf.eth1.rp_filter": "1", "net.ipv4.conf.pw-1.rp_filter": "0",
			"net.ipv4.conf.all.route_localnet": "1", "net.ipv4.conf.eth0.route_localnet": "1", "net.ipv4.conf.eth1.route_localnet": "0", "net.ipv4.conf.pw-1.route_localnet": "0",
			"net.ipv4.conf.eth0.forwarding": "1", "net.ipv4.conf.eth1.forwarding": "1", "net.ipv4.conf.pw-1.forwarding": "1",
		},
	}
}

func client() Client {
	return Client{Interface: "pw-1", Gateway: netip.MustParseAddr("203.0.113.1"), Address: netip.MustParseAddr("203.0.113.2")}
}

func TestCaveatsOfRules(t *testing.T) {
	for rule, want := range map[string]why.FactKind{
		"-A INPUT -i eth0 -j ACCEPT":                                           why.RuleNamesInterface,
		"-A INPUT ! -i eth1 -j DROP":                                           why.RuleNamesInterface,
		"-A FORWARD -i eth+ -o docker0 -j ACCEPT":                              why.RuleNamesInterface,
		"-A PREROUTING -i pw-+ -j ACCEPT":                                      why.RuleNamesInterface,
		"-A INPUT -i eth2 -j ACCEPT":                                           "", // nothing comes in there
		"-A FORWARD -i docker0 ! -o docker0 -j ACCEPT":                         "",
		"-A FORWARD ! -i docker0 -o docker0 -j ACCEPT":                         "",
		"-A INPUT -i lo -j ACCEPT":                                             "",
		"-A INPUT -i + -j ACCEPT":                                              "",
		"-A INPUT -i eth0 -p udp -m udp --dport 53 -j ACCEPT":                  "", // of another protocol
		"-A INPUT -s 10.0.0.0/8 -j ACCEPT":                                     why.RuleNamesSender,
		"-A INPUT ! -s 198.51.100.7/32 -p tcp -j DROP":                         why.RuleNamesSender,
		"-A INPUT -m iprange --src-range 192.0.2.1-192.0.2.9 -j DROP":          why.RuleNamesSender,
		"-A INPUT -m set --match-set blocked src -j DROP":                      why.RuleNamesSender,
		"-A INPUT -m set --match-set blocked dst,src -j DROP":                  why.RuleNamesSender,
		"-A INPUT -m set --match-set blocked dst -j DROP":                      "",
		"-A INPUT -m mac --mac-source 00:00:5e:00:53:01 -j ACCEPT":             why.RuleNamesSender,
		"-A INPUT -s 172.17.0.0/16 -j ACCEPT":                                  "", // of a container
		"-A INPUT -s 127.0.0.0/8 ! -i lo -j DROP":                              "",
		"-A FORWARD -s 0.0.0.0/0 -j DROP":                                      "",
		"-A OUTPUT -s 10.0.0.0/8 -j DROP":                                      "",
		"-A POSTROUTING -s 192.168.0.0/16 -j MASQUERADE":                       "",
		"-A INPUT -m comment --comment \"-s 10.0.0.0/8 -i eth0\" -j ACCEPT":    "",
		"-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT":      "",
		"-A FORWARD -m physdev --physdev-in eth0 --physdev-is-bridged -j DROP": why.RuleNamesInterface,
	} {
		t.Run(rule, func(t *testing.T) {
			rules := parse(t, fmt.Sprintf("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n%s\nCOMMIT\n", rule))
			s := machine()
			s.Choices, s.Sysctls = nil, nil
			facts := client().Caveats(s, why.Variants{trace.NFTables: rules}, trace.TCP)
			if facts[0].Kind != why.OutsideStartsHere {
				t.Errorf("the first caveat is %q", facts[0].Kind)
			}
			var got why.FactKind
			for _, f := range facts[1:] {
				got = f.Kind
				if f.Values["rule"] != "1" || f.Values["text"] != rule || f.Values["variant"] != "nft" {
					t.Errorf("the caveat is about %v", f.Values)
				}
			}
			if got != want || len(facts) > 2 {
				t.Errorf("caveats are %v, want %q", facts[1:], want)
			}
		})
	}
}

func TestCaveatsOfTheHost(t *testing.T) {
	facts := client().Caveats(machine(), nil, trace.TCP)
	var got []string
	for _, f := range facts[1:] {
		got = append(got, string(f.Kind)+": "+f.Values["text"])
	}
	want := []string{
		"policy-rule-names-interface: 100: from all iif eth1 lookup 7",
		"setting-differs: net.ipv4.conf.eth1.rp_filter = 1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("caveats (-want +got):\n%s", diff)
	}
}

// A plain Docker host makes no difference between its own interface and others.
func TestNoCaveatsOfDocker(t *testing.T) {
	for _, name := range []string{"docker-20.10-publish-80", "docker-20.10-two-bridges", "docker-28-publish-8080", "docker-28-no-icc"} {
		s := machine()
		s.Choices, s.Sysctls = nil, nil
		s.Links = append(s.Links, host.Link{Name: "br-0123456789ab", Kind: "bridge", Addresses: nets("172.18.0.1/16")})
		for _, f := range client().Caveats(s, why.Variants{trace.Legacy: sample(t, name)}, trace.TCP)[1:] {
			t.Errorf("%s: %s: %s", name, f.Kind, f.Values["text"])
		}
	}
}

func TestUsed(t *testing.T) {
	s := machine()
	s.Neighbors = []host.Neighbor{{Addr: netip.MustParseAddr("203.0.113.9"), Interface: "eth0"}}
	s.Choices = append(s.Choices, host.Choice{Source: netip.MustParsePrefix("203.0.113.4/30")})
	rules := parse(t, "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING ! -s 203.0.113.12/32 -j DROP\nCOMMIT\n")
	got, err := free(trace.IPv4, used(s, []ruleset.Ruleset{rules}))
	// .0 is pw-1's, .4 a policy rule's, .8 a neighbour's, .12 a rule's.
	if err != nil || got.String() != "203.0.113.16/30" {
		t.Errorf("free is %v, %v", got, err)
	}
}
