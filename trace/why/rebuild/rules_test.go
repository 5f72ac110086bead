package rebuild

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packetwalk/lab"
	"packetwalk/trace"
)

func TestParseDestination(t *testing.T) {
	addr := func(s string) netip.Addr { a, _ := netip.ParseAddr(s); return a }
	for text, want := range map[string]destination{
		"172.17.0.2:80":              {addr("172.17.0.2"), addr("172.17.0.2"), portRange{80, 80}},
		"172.17.0.2":                 {addr("172.17.0.2"), addr("172.17.0.2"), portRange{}},
		"172.17.0.2-172.17.0.4:1-9":  {addr("172.17.0.2"), addr("172.17.0.4"), portRange{1, 9}},
		"172.17.0.2:8000-8010/9000":  {addr("172.17.0.2"), addr("172.17.0.2"), portRange{8000, 8010}},
		":8080":                      {ports: portRange{8080, 8080}},
		"[fd00::2]:80":               {addr("fd00::2"), addr("fd00::2"), portRange{80, 80}},
		"fd00::2":                    {addr("fd00::2"), addr("fd00::2"), portRange{}},
		"[fd00::2-fd00::4]:80":       {addr("fd00::2"), addr("fd00::4"), portRange{80, 80}},
		"[fd00::2]-[fd00::4]:80-81":  {addr("fd00::2"), addr("fd00::4"), portRange{80, 81}},
		"[fd00::2]":                  {addr("fd00::2"), addr("fd00::2"), portRange{}},
		"172.17.0.4-172.17.0.2:80":   {},
		"172.17.0.2:99999":           {},
		"nowhere":                    {},
		"[fd00::2":                   {},
		"172.17.0.2-fd00::2":         {},
		"172.17.0.2:80-70000":        {},
		"172.17.0.2-172.17.0.3-more": {},
	} {
		got, ok := parseDestination(text)
		if !ok {
			got = destination{}
		}
		if ok != (want != destination{}) || got != want {
			t.Errorf("%q: %+v, %t; want %+v", text, got, ok, want)
		}
	}
}

func TestPortsFor(t *testing.T) {
	for name, test := range map[string]struct {
		ports portRange
		want  []uint16
	}{
		"stays": {portRange{}, []uint16{80}},
		"one":   {portRange{8080, 8080}, []uint16{8080}},
		"some":  {portRange{79, 81}, []uint16{79, 80, 81}},
		"end":   {portRange{65534, 65535}, []uint16{65534, 65535}},
	} {
		if diff := cmp.Diff(test.want, (dnat{destination: destination{ports: test.ports}}).portsFor(80)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got := (dnat{destination: destination{ports: portRange{1, 60000}}}).portsFor(30000); len(got) != maxPorts+1 || got[maxPorts] != 30000 {
		t.Errorf("of a wide range: %v", got)
	}
}

// TestInference infers from rules that other programs make, and people.
func TestInference(t *testing.T) {
	nat := func(lines ...string) string {
		chains := ":PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n"
		for _, l := range lines {
			if f := strings.Fields(l); !strings.Contains(chains, ":"+f[1]+" ") {
				chains += ":" + f[1] + " - [0:0]\n"
			}
		}
		return "*nat\n" + chains + strings.Join(lines, "\n") + "\nCOMMIT\n"
	}
	listing := File{Name: "addr.txt", Text: "2: eth0: <UP,LOWER_UP> mtu 1500\n inet 192.168.1.5/24\n3: cni0: <UP,LOWER_UP> mtu 1450\n inet 10.244.0.1/24\n4: br0: <UP,LOWER_UP> mtu 1500\n inet 10.9.0.1/24\n5: eth1: <UP,LOWER_UP> mtu 1500 master br0\n"}
	filter := func(lines string) string {
		return "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n" + lines + "COMMIT\n"
	}
	for name, test := range map[string]struct {
		mail    Mail
		request Request
	}{
		"forward-to-lan": {
			Mail{Ruleset: File{"r", nat(
				"-A PREROUTING -i wan0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.0.0.5:80",
				"-A POSTROUTING -s 10.0.0.0/24 ! -o lan0 -j MASQUERADE")}},
			ask("203.0.113.5", "tcp", "198.51.100.10:8080"),
		},
		"redirect": {
			Mail{Ruleset: File{"r", nat("-A PREROUTING -i eth+ -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 3128")}},
			ask("203.0.113.5", "tcp", "198.51.100.10:80"),
		},
		"to-loopback": {
			Mail{Ruleset: File{"r", nat("-A PREROUTING -p tcp -m multiport --dports 80,443 -j DNAT --to-destination 127.0.0.1")}},
			ask("203.0.113.5", "tcp", "198.51.100.10:443"),
		},
		"kubernetes": {
			Mail{Ruleset: File{"r", nat(
				"-A PREROUTING -j KUBE-SERVICES", "-A OUTPUT -j KUBE-SERVICES",
				"-A KUBE-SERVICES -d 10.96.0.10/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-WEB",
				"-A KUBE-SERVICES -d 10.96.0.11/32 -p tcp -m tcp --dport 81 -j KUBE-SVC-OTHER",
				"-A KUBE-SVC-WEB -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-1",
				"-A KUBE-SVC-WEB -j KUBE-SEP-2", "-A KUBE-SVC-OTHER -j KUBE-SEP-3",
				"-A KUBE-SEP-1 -p tcp -m tcp -j DNAT --to-destination 10.244.0.7:8080",
				"-A KUBE-SEP-2 -p tcp -m tcp -j DNAT --to-destination 10.244.0.8:8080",
				"-A KUBE-SEP-3 -p tcp -m tcp -j DNAT --to-destination 10.244.0.9:8081")}, Addresses: listing},
			ask("192.168.1.77", "tcp", "10.96.0.10:80"),
		},
		"kubernetes-from-host": {
			Mail{Ruleset: File{"r", nat("-A OUTPUT -j KUBE-SERVICES", "-A KUBE-SERVICES -d 10.96.0.10/32 -j KUBE-SVC-WEB",
				"-A KUBE-SVC-WEB -p tcp -m tcp -j DNAT --to-destination 10.244.0.7:8080")}, Addresses: listing},
			ask("192.168.1.5", "tcp", "10.96.0.10:80"),
		},
		"several-at-one-interface": {
			Mail{Ruleset: File{"r", nat("-A PREROUTING -d 192.168.1.5/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 192.168.1.20-192.168.1.21")}, Addresses: listing},
			ask("192.168.1.77", "tcp", "192.168.1.5:80"),
		},
		"bridge-to-the-world": {Mail{Ruleset: File{"r", filter("")}, Addresses: listing}, ask("10.9.0.7", "tcp", "10.9.0.1:22")},
		"libvirt": {
			Mail{Ruleset: File{"r", filter("-A FORWARD -d 192.168.122.0/24 -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -s 192.168.122.0/24 -i virbr0 -j ACCEPT\n-A FORWARD -o virbr0 -j REJECT --reject-with icmp-port-unreachable\n")}},
			ask("203.0.113.5", "tcp", "192.168.122.50:22"),
		},
		"out-of-the-host":    {Mail{Ruleset: File{"r", filter("")}, Addresses: listing}, ask("192.168.1.5", "tcp", "198.51.100.7:443")},
		"out-of-a-container": {Mail{Ruleset: File{"r", filter("")}, Addresses: listing}, ask("10.244.0.7", "udp", "198.51.100.7:53")},
		"ipv6": {
			Mail{Ruleset: File{"r", filter("") + strings.ReplaceAll(nat(
				"-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination [fd00:17::2]:80",
				"-A POSTROUTING -s fd00:17::/64 ! -o docker0 -j MASQUERADE"), "", "")}},
			ask("2001:db8::5", "tcp", "[2001:db8:1::9]:80"),
		},
		"small-network": {Mail{Ruleset: File{"r", filter("")}, Addresses: File{"a", "2: eth0: <UP,LOWER_UP> mtu 1500\n inet 203.0.113.4/31\n"}}, ask("203.0.113.77", "tcp", "203.0.113.4:22")},
		"lone-address":  {Mail{Ruleset: File{"r", filter("")}, Addresses: File{"a", "2: eth0: <UP,LOWER_UP> mtu 1500\n inet 203.0.113.4/32\n"}}, ask("203.0.113.77", "tcp", "203.0.113.4:22")},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := New(test.mail, test.request)
			if err != nil {
				golden(t, "rules-"+name, "error: "+err.Error()+"\n")
				return
			}
			golden(t, "rules-"+name, describe(p))
		})
	}
}

// TestFamilies holds that tables of both families in one text are told apart.
func TestFamilies(t *testing.T) {
	const (
		empty = "*raw\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"
		four  = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -s 10.0.0.1/32 -j DROP\nCOMMIT\n"
		six   = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -s fd00::1/128 -j DROP\nCOMMIT\n"
		ping6 = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p ipv6-icmp -j DROP\nCOMMIT\n"
		head4 = "# Generated by iptables-save v1.8.9 (nf_tables) on Mon\n"
		head6 = "# Generated by ip6tables-save v1.8.9 (nf_tables) on Mon\n"
		foot  = "# Completed on Mon\n"
	)
	for name, test := range map[string]struct{ text, want string }{
		"one":              {four, "ipv4/filter"},
		"two":              {four + six, "ipv4/filter ipv6/filter"},
		"other way round":  {six + four, "ipv6/filter ipv4/filter"},
		"nothing told":     {empty, "ipv4/raw"},
		"nothing twice":    {empty + empty, "ipv4/raw ipv6/raw"},
		"follows the last": {six + empty + four, "ipv6/filter ipv6/raw ipv4/filter"},
		"protocol":         {ping6, "ipv6/filter"},
		"header":           {head6 + empty + foot + head4 + empty + foot, "ipv6/raw ipv4/raw"},
		"header, CRLF":     {strings.ReplaceAll(head6+empty+foot, "\n", "\r\n"), "ipv6/raw"},
		"byte order mark":  {"\ufeff" + four, "ipv4/filter"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := readRuleset(File{"rules.txt", test.text}, &notes{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, table := range l.tables {
				got = append(got, table.family.String()+"/"+string(table.name))
			}
			if s := strings.Join(got, " "); s != test.want {
				t.Errorf("%s, want %s", s, test.want)
			}
		})
	}
}

// TestHeader holds what is read of what iptables-save says of itself.
func TestHeader(t *testing.T) {
	const body = "*raw\n:OUTPUT ACCEPT [0:0]\n[3:4] -A OUTPUT -m comment --comment \"-t nat --modprobe=x\" -j LOG --log-prefix \"-M \"\nCOMMIT\n# Completed on Mon\n"
	for header, want := range map[string]string{
		"# Generated by iptables-save v1.8.9 (nf_tables) on Mon": "nft",
		"# Generated by iptables-nft-save v1.8.9 (nf_tables)":    "nft",
		"# Generated by iptables-save v1.8.9 on Mon":             "legacy",
		"# Generated by xtables-save v1.8.2 on Mon":              "legacy",
	} {
		var n notes
		text := header + "\n# Table `filter' is incompatible, use 'nft' tool.\n" + body
		l, err := readRuleset(File{"rules.txt", text}, &n)
		if err != nil || l.variant != want {
			t.Errorf("%s: %q, %v; want %s", header, l.variant, err, want)
		}
		if len(n.all) != 1 || n.all[0].Kind != UnseenRules || n.all[0].Line != 2 {
			t.Errorf("%s: notes %v", header, n.all)
		}
	}
	l, err := readRuleset(File{"rules.txt", body}, &notes{})
	if err == nil {
		if want := (lab.Ruleset{IPv4: "*raw\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -m comment --comment \"-t nat --modprobe=x\" -j LOG --log-prefix \"-M \"\nCOMMIT\n"}); l.ruleset() != want {
			t.Errorf("%q, want %q", l.ruleset(), want)
		}
		if r := l.of(trace.IPv4); len(r) != 1 || r[0].line != 3 || r[0].table != trace.Raw {
			t.Errorf("rules %+v", r)
		}
	} else {
		t.Error(err)
	}
}
