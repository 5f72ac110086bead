package rebuild

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/why"
)

func TestMain(m *testing.M) { labtest.Main(m) }

var update = flag.Bool("update", false, "write the golden files anew")

// recorded are the rulesets that iptables-save printed beside real daemons.
const recorded = "../../ruleset/testdata"

func load(t testing.TB, path string) File {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return File{Name: filepath.Base(path), Text: string(text)}
}

// ask is a request as one types it: "203.0.113.5 tcp 192.168.23.149:80".
func ask(from, proto, to string) Request {
	protos := map[string]trace.Proto{"tcp": trace.TCP, "udp": trace.UDP, "icmp": trace.ICMP, "icmpv6": trace.ICMPv6}
	r := Request{Target: why.Target{Proto: protos[proto]}}
	r.From, _ = netip.ParseAddr(from)
	r.Target.Addr, _ = netip.ParseAddrPort(to)
	return r
}

// golden compares what is shown with a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// describe is a plan as text, without the ruleset.
func describe(p Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "from %s (%s)\n", p.From, p.Source)
	for _, n := range p.Topology.Nodes {
		fmt.Fprintf(&b, "%s %s\n", n.Kind, n.Name)
		for _, i := range p.Topology.Interfaces(n.Name) {
			b.WriteString("  " + describeInterface(i) + "\n")
		}
		for _, r := range n.Routes {
			fmt.Fprintf(&b, "  route %s\n", r)
		}
		for _, s := range n.Sysctls {
			if s.Value != "0" {
				fmt.Fprintf(&b, "  %s = %s\n", s.Name, s.Value)
			}
		}
	}
	for _, s := range p.Topology.Services {
		fmt.Fprintf(&b, "service %s %s %s\n", s.Node, s.Protocol, s.Listen)
	}
	for _, c := range p.Commands {
		fmt.Fprintf(&b, "command %s: %s\n", c.Node, c.Line)
	}
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "note %s: %s\n", n.Kind, n)
	}
	return b.String()
}

func describeInterface(i lab.Interface) string {
	words := []string{i.Name}
	if i.IsBridge {
		words = append(words, "(bridge)")
	}
	for _, a := range i.Addresses {
		words = append(words, a.String())
	}
	if i.Bridge != "" {
		words = append(words, "in", i.Bridge)
	}
	if i.Peer.Node != "" {
		words = append(words, "to", i.Peer.Node)
	}
	if i.MTU != 0 {
		words = append(words, "mtu", fmt.Sprint(i.MTU))
	}
	if i.Down {
		words = append(words, "down")
	}
	return strings.Join(words, " ")
}

// TestInfer holds what is made of each recorded ruleset, with nothing else sent,
// to golden files: from outside to a published port or any other, to a
// container directly, and from another bridge.
func TestInfer(t *testing.T) {
	for file, requests := range map[string][]Request{
		"docker-20.10-publish-80": {
			ask("203.0.113.5", "tcp", "192.168.23.149:80"), ask("192.168.23.7", "tcp", "192.168.23.149:80"),
			ask("203.0.113.5", "tcp", "172.17.0.2:80"), ask("203.0.113.5", "udp", "192.168.23.149:80"),
			ask("172.17.0.3", "tcp", "172.17.0.2:80"), ask("172.17.0.2", "tcp", "192.168.23.149:80"),
			ask("127.0.0.1", "tcp", "192.168.23.149:80"), ask("203.0.113.5", "icmp", "192.168.23.149:0"),
			ask("127.0.0.1", "tcp", "127.0.0.1:80"),
		},
		"docker-20.10-publish-loopback-8080": {ask("203.0.113.5", "tcp", "192.168.23.149:8080"), ask("127.0.0.1", "tcp", "127.0.0.1:8080")},
		"docker-20.10-new-daemon":            {ask("203.0.113.5", "tcp", "192.168.23.149:22")},
		"docker-20.10-no-icc":                {ask("172.20.0.3", "tcp", "172.20.0.2:80")},
		"docker-20.10-internal-network":      {ask("203.0.113.5", "tcp", "172.19.0.2:80"), ask("172.18.0.2", "tcp", "172.19.0.2:80")},
		"docker-20.10-two-bridges":           {ask("172.18.0.2", "tcp", "172.17.0.2:80")},
		"docker-28-publish-8080": {
			ask("203.0.113.5", "tcp", "198.51.100.10:8080"), ask("203.0.113.5", "tcp", "192.0.2.2:80"), ask("172.17.0.2", "tcp", "192.0.2.2:80"),
		},
		"docker-28-publish-loopback-8080":   {ask("203.0.113.5", "tcp", "198.51.100.10:8080"), ask("203.0.113.5", "tcp", "127.0.0.1:8080")},
		"docker-28-publish-nat-unprotected": {ask("203.0.113.5", "tcp", "192.0.2.2:80")},
		"docker-28-publish-routed":          {ask("203.0.113.5", "tcp", "192.0.2.2:80")},
		"docker-28-internal-network":        {ask("172.17.0.2", "tcp", "192.0.2.2:80")},
		"docker-28-no-icc":                  {ask("192.0.2.3", "tcp", "192.0.2.2:80")},
		"docker-28-new-daemon":              {ask("203.0.113.5", "tcp", "198.51.100.10:443")},
	} {
		t.Run(file, func(t *testing.T) {
			var b strings.Builder
			for _, r := range requests {
				fmt.Fprintf(&b, "=== %s -> %s %s\n", r.From, r.Target.Proto, r.Target.Addr)
				p, err := New(Mail{Ruleset: load(t, filepath.Join(recorded, file+".rules"))}, r)
				if err != nil {
					fmt.Fprintf(&b, "error: %v\n", err)
					continue
				}
				b.WriteString(describe(p))
			}
			golden(t, file, b.String())
		})
	}
}
