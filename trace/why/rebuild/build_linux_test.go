package rebuild

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

var variants = []string{"nft", "legacy"}

// build builds a plan in a lab that ends with the test.
func build(t *testing.T, p *Plan, variant string) *lab.Lab {
	t.Helper()
	labtest.NeedIptables(t, variant)
	l, err := p.Build(t.Context(), lab.Options{Iptables: variant})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// plan is a plan of a recorded ruleset, with a client for the request.
func plan(t *testing.T, m Mail, r Request) *Plan {
	t.Helper()
	p, err := New(m, r)
	if err != nil {
		t.Fatal(err)
	}
	c := lab.Client{Name: "ask", Node: p.From, Protocol: lab.TCPEcho, To: r.Target.Addr, Wait: 4 * time.Second}
	switch r.Target.Proto {
	case trace.UDP:
		c.Protocol = lab.UDPEcho
	case trace.ICMP, trace.ICMPv6:
		c.Protocol = lab.Ping
	}
	p.Topology.Clients = []lab.Client{c}
	return &p
}

// TestSameBridge holds that the rules of a network without communication between
// its containers are kept where bridged packets come to iptables.
func TestSameBridge(t *testing.T) {
	labtest.NeedIptables(t, "")
	if _, err := os.Stat("/proc/sys/net/bridge/bridge-nf-call-iptables"); err != nil {
		labtest.Skip(t, "br_netfilter is not loaded")
	}
	for file, drop := range map[string]string{
		"docker-20.10-no-icc": "-A FORWARD -i br3 -o br3 -j DROP", "docker-28-no-icc": "-A DOCKER-FORWARD -i bridge1 -o bridge1 -j DROP",
	} {
		request := ask("172.20.0.3", "tcp", "172.20.0.2:80")
		if file == "docker-28-no-icc" {
			request = ask("192.0.2.3", "tcp", "192.0.2.2:81")
		}
		t.Run(file, func(t *testing.T) {
			p := plan(t, Mail{Ruleset: load(t, filepath.Join(recorded, file+".rules"))}, request)
			expect(p, "silent")
			l := build(t, p, "")
			if got := outcome(t, l); got != "silent" {
				t.Errorf("the request was %s", got)
			}
			if !counted(in(t, l, p.Host, "iptables-save -c"), drop) {
				t.Errorf("no packet was counted at %q", drop)
			}
		})
	}
}

// expect shortens the wait for an answer where none is expected.
func expect(p *Plan, want string) {
	if want == "silent" {
		p.Topology.Clients[0].Wait = 400 * time.Millisecond
	}
}

// in runs a command in a node and gives what it printed.
func in(t *testing.T, l *lab.Lab, node, command string) string {
	t.Helper()
	r, err := l.Run(t.Context(), node, command)
	if err != nil || r.Exit != 0 {
		t.Fatalf("%s: %s: exit %d, %v: %s", node, command, r.Exit, err, r.Output)
	}
	return string(r.Output)
}

// rulesOf are the tables of a text without counters, in the order of their
// names; those that hold nothing are left out.
func rulesOf(t *testing.T, text string) map[trace.Table][]string {
	t.Helper()
	rs, err := ruleset.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	all := map[trace.Table][]string{}
	for _, table := range rs.Tables {
		var lines []string
		for _, c := range table.Chains {
			if !c.Base() || c.Policy != trace.Accept || len(c.Rules) > 0 {
				lines = append(lines, ":"+c.Name+" "+string(c.Policy))
			}
			for _, r := range c.Rules {
				lines = append(lines, r.Text)
			}
		}
		if lines != nil {
			all[table.Name] = lines
		}
	}
	return all
}

// TestBuild asks every recorded ruleset for real: what its rules say has to
// happen, and the host's iptables-save has to be the one that was mailed.
func TestBuild(t *testing.T) {
	const refused = "ECONNREFUSED"
	seen := map[string]bool{}
	for _, test := range []struct {
		file    string
		request Request
		want    string // "answered", "silent" or the errno
		count   string // the rule that has to have counted the packet
	}{
		{"docker-20.10-publish-80", ask("203.0.113.5", "tcp", "192.168.23.149:80"), "answered", "172.17.0.2:80"},
		{"docker-20.10-publish-80", ask("192.168.23.7", "tcp", "192.168.23.149:80"), "answered", "172.17.0.2:80"},
		{"docker-20.10-publish-80", ask("203.0.113.5", "tcp", "172.17.0.2:80"), "answered", "-A DOCKER -d 172.17.0.2/32"},
		{"docker-20.10-publish-80", ask("203.0.113.5", "tcp", "172.17.0.2:81"), "silent", ":FORWARD DROP"},
		{"docker-20.10-publish-80", ask("203.0.113.5", "udp", "192.168.23.149:80"), refused, ""},
		{"docker-20.10-publish-80", ask("203.0.113.5", "icmp", "192.168.23.149:0"), "answered", ""},
		{"docker-20.10-publish-80", ask("127.0.0.1", "tcp", "192.168.23.149:80"), "answered", "172.17.0.2:80"},
		{"docker-20.10-publish-80", ask("127.0.0.1", "tcp", "127.0.0.1:80"), "answered", ""},
		{"docker-20.10-publish-loopback-8080", ask("203.0.113.5", "tcp", "192.168.23.149:8080"), refused, ""},
		{"docker-20.10-publish-loopback-8080", ask("127.0.0.1", "tcp", "127.0.0.1:8080"), "answered", ""},
		{"docker-20.10-new-daemon", ask("203.0.113.5", "tcp", "192.168.23.149:22"), "answered", ""},
		{"docker-20.10-internal-network", ask("203.0.113.5", "tcp", "172.19.0.2:80"), "silent", "! -s 172.19.0.0/16"},
		{"docker-20.10-internal-network", ask("172.18.0.2", "tcp", "172.19.0.2:80"), "silent", "! -s 172.19.0.0/16"},
		{"docker-20.10-two-bridges", ask("172.18.0.2", "tcp", "172.17.0.2:80"), "silent", "-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP"},
		{"docker-28-publish-8080", ask("203.0.113.5", "tcp", "198.51.100.10:8080"), "answered", "--to-destination 192.0.2.2:80"},
		{"docker-28-publish-8080", ask("203.0.113.5", "tcp", "192.0.2.2:80"), "silent", "-A PREROUTING -d 192.0.2.2/32 ! -i bridge1 -j DROP"},
		{"docker-28-publish-8080", ask("172.17.0.2", "tcp", "192.0.2.2:80"), "silent", "-A PREROUTING -d 192.0.2.2/32 ! -i bridge1 -j DROP"},
		{"docker-28-publish-loopback-8080", ask("203.0.113.5", "tcp", "198.51.100.10:8080"), refused, ""},
		{"docker-28-publish-nat-unprotected", ask("203.0.113.5", "tcp", "192.0.2.2:80"), "answered", "-A DOCKER ! -i bridge1 -o bridge1 -j ACCEPT"},
		{"docker-28-publish-routed", ask("203.0.113.5", "tcp", "192.0.2.2:80"), "answered", "-A DOCKER -d 192.0.2.2/32"},
		{"docker-28-publish-routed", ask("203.0.113.5", "tcp", "192.0.2.2:81"), "silent", "-A DOCKER ! -i bridge1 -o bridge1 -j DROP"},
		{"docker-28-internal-network", ask("172.17.0.2", "tcp", "192.0.2.2:80"), "silent", "! -s 192.0.2.0/24"},
		{"docker-28-new-daemon", ask("203.0.113.5", "tcp", "198.51.100.10:443"), "answered", ""},
	} {
		// With legacy tables once for each text, and where the raw table decides.
		which := variants
		if seen[test.file] && !strings.Contains(test.count, "PREROUTING") {
			which = variants[:1]
		}
		seen[test.file] = true
		for _, variant := range which {
			name := strings.Join([]string{test.file, test.request.From.String(), test.request.Target.Proto.String(), test.request.Target.Addr.String(), variant}, " ")
			t.Run(name, func(t *testing.T) {
				file := load(t, filepath.Join(recorded, test.file+".rules"))
				p := plan(t, Mail{Ruleset: file}, test.request)
				expect(p, test.want)
				l := build(t, p, variant)
				saved := in(t, l, p.Host, lab.Command(variant).Save)
				if diff := cmp.Diff(rulesOf(t, file.Text), rulesOf(t, saved)); diff != "" {
					t.Errorf("the ruleset (-mailed +rebuilt):\n%s", diff)
				}
				if got := outcome(t, l); got != test.want {
					t.Errorf("the request was %s, want %s\n%s", got, test.want, describe(*p))
				}
				if test.count != "" && !counted(in(t, l, p.Host, lab.Command(variant).Save+" -c"), test.count) {
					t.Errorf("no packet was counted at %q", test.count)
				}
			})
		}
	}
}

// outcome sends the request: "answered", "silent", or the errno.
func outcome(t *testing.T, l *lab.Lab) string {
	t.Helper()
	_, err := l.Send(t.Context(), "ask")
	switch {
	case err == nil:
		return "answered"
	case errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "no answer came in time"):
		return "silent"
	case strings.Contains(err.Error(), "refused"):
		return "ECONNREFUSED"
	case strings.Contains(err.Error(), "no route to host"):
		return "EHOSTUNREACH"
	}
	return err.Error()
}

// counted says whether a rule or policy with this text has counted a packet.
func counted(saved, text string) bool {
	for line := range strings.Lines(saved) {
		if strings.Contains(line, text) && !strings.Contains(line, "[0:0]") {
			return true
		}
	}
	return false
}

// TestRefused holds that rules which iptables here does not know are left out,
// each with its line, and the others are there.
func TestRefused(t *testing.T) {
	const text = `*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:WEB - [0:0]
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A INPUT -m set --match-set nobody src -j DROP
-A INPUT -p tcp -m tcp --dport 80 -j WEB
-A WEB -m nosuchmatch --of this -j DROP
-A WEB -j NOSUCHTARGET
-A WEB -s 198.51.100.0/24 -j DROP
COMMIT
`
	for _, variant := range variants {
		t.Run(variant, func(t *testing.T) {
			p := plan(t, Mail{Ruleset: File{"rules.txt", text}}, ask("203.0.113.5", "tcp", "192.168.23.149:80"))
			l := build(t, p, variant)
			var left []int
			for _, n := range p.Notes {
				if n.Kind == RuleLeftOut {
					left = append(left, n.Line)
					if n.File != "rules.txt" || n.Values["why"] == "" {
						t.Errorf("note %+v", n)
					}
				}
			}
			if diff := cmp.Diff([]int{7, 9, 10}, left); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
			want := map[trace.Table][]string{trace.Filter: {
				":INPUT ACCEPT", "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT", "-A INPUT -p tcp -m tcp --dport 80 -j WEB",
				":WEB ", "-A WEB -s 198.51.100.0/24 -j DROP",
			}}
			if diff := cmp.Diff(want, rulesOf(t, in(t, l, p.Host, lab.Command(variant).Save))); diff != "" {
				t.Errorf("the ruleset (-want +rebuilt):\n%s", diff)
			}
			if got := outcome(t, l); got != "answered" {
				t.Errorf("the request was %s", got)
			}
		})
	}
}

// TestRefusedMany holds that thousands of rules with sets that are not here are
// left out with a few tries, and each is noted.
func TestRefusedMany(t *testing.T) {
	labtest.NeedIptables(t, "")
	var text strings.Builder
	text.WriteString("*filter\n:INPUT ACCEPT [0:0]\n")
	for i := range 2000 {
		fmt.Fprintf(&text, "-A INPUT -m set --match-set set%d src -j DROP\n-A INPUT -s 10.0.%d.%d/32 -j DROP\n", i%3, i/250, i%250)
	}
	text.WriteString("COMMIT\n")
	p := plan(t, Mail{Ruleset: File{"rules.txt", text.String()}}, ask("203.0.113.5", "tcp", "192.168.23.149:80"))
	if err := p.Fit(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	left := slices.DeleteFunc(slices.Clone(p.Notes), func(n Note) bool { return n.Kind != RuleLeftOut })
	if len(left) != 2000 || left[1999].Line != 2+3999 {
		t.Fatalf("%d rules left out, the last one %+v", len(left), left[len(left)-1])
	}
	n, _ := p.Topology.Node(p.Host)
	if got := strings.Count(n.Ruleset.IPv4, "-A INPUT"); got != 2000 {
		t.Errorf("%d rules are left", got)
	}
}

// TestCircle holds that a table whose chains jump in a circle, which the kernel
// refuses, is left out with a word, and the others are there.
func TestCircle(t *testing.T) {
	const text = "*filter\n:INPUT DROP [0:0]\n:A - [0:0]\n:B - [0:0]\n-A INPUT -j A\n-A A -j B\n-A B -j A\nCOMMIT\n*raw\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j ACCEPT\nCOMMIT\n"
	for _, variant := range variants {
		t.Run(variant, func(t *testing.T) {
			p := plan(t, Mail{Ruleset: File{"rules.txt", text}}, ask("203.0.113.5", "tcp", "192.168.23.149:80"))
			l := build(t, p, variant)
			if !slices.ContainsFunc(p.Notes, func(n Note) bool { return n.Kind == TableLeftOut && n.Values["table"] == "filter" }) {
				t.Errorf("notes %v", p.Notes)
			}
			want := map[trace.Table][]string{trace.Raw: {":OUTPUT ACCEPT", "-A OUTPUT -j ACCEPT"}}
			if diff := cmp.Diff(want, rulesOf(t, in(t, l, p.Host, lab.Command(variant).Save))); diff != "" {
				t.Errorf("the ruleset (-want +rebuilt):\n%s", diff)
			}
		})
	}
}

// TestListed rebuilds a host from what ip printed there, and compares what ip
// prints of the rebuilt one.
func TestListed(t *testing.T) {
	labtest.NeedIptables(t, "")
	if _, err := exec.LookPath("ip"); err != nil {
		labtest.Skip(t, "iproute2 is not installed")
	}
	mail := Mail{
		Ruleset:   load(t, filepath.Join(recorded, "docker-20.10-publish-80.rules")),
		Addresses: listed(t, "full.addr"), Routes: joined("routes", listed(t, "all.route"), listed(t, "text.rule")),
	}
	p := plan(t, mail, ask("203.0.113.5", "tcp", "192.168.23.149:80"))
	l := build(t, p, "")
	for _, n := range p.Notes {
		if n.LeftOut() {
			t.Errorf("left out: %s", n)
		}
	}
	compare := func(what, recorded, command string) {
		t.Helper()
		if diff := cmp.Diff(plainLines(recorded), plainLines(in(t, l, p.Host, command))); diff != "" {
			t.Errorf("%s (-mailed +rebuilt):\n%s", what, diff)
		}
	}
	// The kernel tells the state of a link up to a second after its carrier, and
	// only then the state of the bridge above it.
	addresses := plainLines(listed(t, "brief.addr").Text)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if slices.Equal(addresses, plainLines(in(t, l, p.Host, "ip -br addr"))) {
			break
		}
	}
	compare("addresses", listed(t, "brief.addr").Text, "ip -br addr")
	compare("routes", listed(t, "all.route").Text, "ip route show table all")
	compare("policy rules", listed(t, "text.rule").Text, "ip rule")
	// The rule "not to 10.0.0.0/8 prohibit" comes before the main table.
	if got := outcome(t, l); got != "silent" {
		t.Errorf("the request was %s", got)
	}
	in(t, l, p.Host, "ip rule del pref 1002")
	if got := outcome(t, l); got != "answered" {
		t.Errorf("without the rule, the request was %s", got)
	}
}

// plainLines are the lines of a listing that a rebuilt host has to have, too, in a
// stable order: without link-local addresses, the numbers of other ends, the
// peers of addresses, who has made a route, and what comes of forwarding IPv6.
func plainLines(text string) []string {
	var lines []string
	for l := range strings.Lines(strings.ReplaceAll(text, "\n\tnexthop", " nexthop")) {
		var words []string
		for _, w := range strings.Fields(l) {
			name, _, _ := strings.Cut(w, "@")
			words = append(words, name)
		}
		line := strings.NewReplacer(" proto dhcp", "", " proto kernel", "", " peer 10.8.0.2", "").Replace(strings.Join(words, " "))
		if i := strings.Index(line, " fe80:"); i >= 0 && !strings.Contains(line, " dev ") {
			line = line[:i]
		}
		if !strings.Contains(line, "fe80:") && !strings.HasPrefix(line, "multicast") && !strings.HasPrefix(line, "anycast") {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}

// TestListedFaults asks hosts whose routes or interfaces have a fault, which the
// rebuilt ones have to have.
func TestListedFaults(t *testing.T) {
	labtest.NeedIptables(t, "")
	rules := load(t, filepath.Join(recorded, "docker-20.10-publish-80.rules"))
	addresses, routes := listed(t, "article.addr"), listed(t, "article.route")
	down := addresses
	down.Text = strings.Replace(down.Text, "ens33: <BROADCAST,MULTICAST,UP,LOWER_UP>", "ens33: <BROADCAST,MULTICAST>", 1)
	for name, test := range map[string]struct {
		mail Mail
		want string
	}{
		"nothing":       {Mail{rules, addresses, routes}, "answered"},
		"no routes":     {Mail{rules, addresses, File{}}, "answered"},
		"no addresses":  {Mail{rules, File{}, routes}, "answered"},
		"blackhole":     {Mail{rules, addresses, joined("routes", routes, File{Text: "blackhole 203.0.113.0/24\n"})}, "silent"},
		"no way back":   {Mail{rules, addresses, without(routes, "default")}, "silent"},
		"no bridge":     {Mail{rules, addresses, without(routes, "172.17.0.0/16")}, "silent"},
		"link down":     {Mail{rules, down, File{}}, "EHOSTUNREACH"},
		"other table":   {Mail{rules, addresses, joined("routes", routes, File{Text: "blackhole default table vpn\n100:\tfrom all iif docker0 lookup vpn\n"})}, "silent"},
		"odd interface": {Mail{rules, listed(t, "odd.addr"), listed(t, "odd.route")}, "silent"},
	} {
		t.Run(name, func(t *testing.T) {
			p := plan(t, test.mail, ask("203.0.113.5", "tcp", "192.168.23.149:80"))
			expect(p, test.want)
			l := build(t, p, "")
			for _, n := range p.Notes {
				if n.Kind == CommandRefused {
					t.Error(n)
				}
			}
			if got := outcome(t, l); got != test.want {
				t.Errorf("the request was %s, want %s\n%s", got, test.want, describe(*p))
			}
		})
	}
}

// TestBuildIPv6 rebuilds a host of both families, and asks by IPv6.
func TestBuildIPv6(t *testing.T) {
	const six = `*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d ::1/128 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s fd00:17::/64 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination [fd00:17::2]:80
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -d fd00:17::2/128 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
COMMIT
`
	four := load(t, filepath.Join(recorded, "docker-20.10-publish-80.rules")).Text
	for _, variant := range variants {
		for to, want := range map[string]string{"[2001:db8:1::9]:80": "answered", "[fd00:17::2]:80": "answered", "[fd00:17::2]:81": "silent"} {
			t.Run(variant+" "+to, func(t *testing.T) {
				p := plan(t, Mail{Ruleset: File{"both.rules", four + six}}, ask("2001:db8::5", "tcp", to))
				expect(p, want)
				l := build(t, p, variant)
				names := lab.Command(variant)
				for command, text := range map[string]string{names.Save: four, names.Save6: six} {
					if diff := cmp.Diff(rulesOf(t, text), rulesOf(t, in(t, l, p.Host, command))); diff != "" {
						t.Errorf("%s (-mailed +rebuilt):\n%s", command, diff)
					}
				}
				if got := outcome(t, l); got != want {
					t.Errorf("the request was %s, want %s\n%s", got, want, describe(*p))
				}
			})
		}
	}
}
