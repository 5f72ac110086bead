package rebuild

import (
	"context"
	"errors"
	"path/filepath"
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
	c := lab.Client{Name: "ask", Node: p.From, Protocol: lab.TCPEcho, To: r.Target.Addr, Wait: 400 * time.Millisecond}
	switch r.Target.Proto {
	case trace.UDP:
		c.Protocol = lab.UDPEcho
	case trace.ICMP, trace.ICMPv6:
		c.Protocol = lab.Ping
	}
	p.Topology.Clients = []lab.Client{c}
	return &p
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
	refused := "ECONNREFUSED"
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
		for _, variant := range variants {
			name := strings.Join([]string{test.file, test.request.From.String(), test.request.Target.Proto.String(), test.request.Target.Addr.String(), variant}, " ")
			t.Run(name, func(t *testing.T) {
				file := load(t, filepath.Join(recorded, test.file+".rules"))
				p := plan(t, Mail{Ruleset: file}, test.request)
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
