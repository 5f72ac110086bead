package main

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"packetwalk/lab"
	"packetwalk/scenarios"
)

// BenchmarkFirstWalk compares two ways to one request in the lab of
// publish-port, run by turns: ours, from the start of the program to the first
// complete walk printed, and a shell script's that builds the same lab with ip
// netns, ip and iptables, makes the request without any tracing, and tears the
// lab down. The ratio of the medians should stay below 1.
func BenchmarkFirstWalk(b *testing.B) {
	if _, err := exec.LookPath("busybox"); err != nil {
		b.Skip("busybox, the script's server and client, is missing: apt-get install busybox-static")
	}
	dir := b.TempDir()
	program := filepath.Join(dir, "packetwalk")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	s, err := scenarios.Load("publish-port")
	if err != nil {
		b.Fatal(err)
	}
	script := filepath.Join(dir, "by-hand.sh")
	if err := os.WriteFile(script, []byte(byHand(s.Topology)), 0o644); err != nil {
		b.Fatal(err)
	}
	var ours, theirs []time.Duration
	for b.Loop() {
		ours = append(ours, timeFirstWalk(b, program))
		theirs = append(theirs, timeScript(b, script))
	}
	ms := func(d time.Duration) float64 { return d.Seconds() * 1000 }
	b.ReportMetric(ms(median(ours)), "packetwalk-ms")
	b.ReportMetric(ms(median(theirs)), "script-ms")
	b.ReportMetric(float64(median(ours))/float64(median(theirs)), "ratio")
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// timeFirstWalk runs the program and takes the time until it has printed a walk.
func timeFirstWalk(b *testing.B, program string) time.Duration {
	b.Helper()
	cmd := exec.Command(program, "run", "publish-port", "--json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for line := ""; !strings.Contains(line, `"type":"walk"`); {
		if line, err = lines.ReadString('\n'); err != nil {
			b.Fatalf("no walk was printed: %v", err)
		}
	}
	took := time.Since(begin)
	if _, err := io.Copy(io.Discard, lines); err != nil {
		b.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	return took
}

// timeScript runs the script in namespaces that are ready for it, so that only
// its own work counts.
func timeScript(b *testing.B, script string) time.Duration {
	b.Helper()
	args := []string{"--mount", "--net", "--propagation", "private"}
	if os.Geteuid() != 0 {
		args = append(args, "--user", "--map-root-user")
	}
	cmd := exec.Command("unshare", append(args, "sh", "-c", `mount -t tmpfs tmpfs /run && echo ready && read go && exec sh "$0"`, script)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		b.Fatalf("making namespaces: %q, %v", line, err)
	}
	begin := time.Now()
	if _, err := io.WriteString(in, "go\n"); err != nil {
		b.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Since(begin)
}

// byHand writes the shell script for a topology with one HTTP service and one
// HTTP client.
func byHand(t lab.Topology) string {
	var s strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&s, format+"\n", args...) }
	addresses := func(node, device string, prefixes []netip.Prefix) {
		for _, p := range prefixes {
			line("ip -n %s addr add %s dev %s", node, p, device)
		}
	}
	line("set -e")
	for _, n := range t.Nodes {
		line("ip netns add %s", n.Name)
		line("ip -n %s link set lo up", n.Name)
		for _, br := range n.Bridges {
			line("ip -n %s link add %s type bridge", n.Name, br.Name)
			addresses(n.Name, br.Name, br.Addresses)
			line("ip -n %s link set %s up", n.Name, br.Name)
		}
		for _, c := range n.Sysctls {
			line("ip netns exec %s sysctl -qw %s=%s", n.Name, c.Name, c.Value)
		}
	}
	for _, l := range t.Links {
		line("ip link add %s netns %s type veth peer name %s netns %s", l.Ends[0].Interface, l.Ends[0].Node, l.Ends[1].Interface, l.Ends[1].Node)
		for _, e := range l.Ends {
			if e.Bridge != "" {
				line("ip -n %s link set %s master %s", e.Node, e.Interface, e.Bridge)
			}
			addresses(e.Node, e.Interface, e.Addresses)
			line("ip -n %s link set %s up", e.Node, e.Interface)
		}
	}
	for _, n := range t.Nodes {
		for _, r := range n.Routes {
			line("ip -n %s route add default via %s", n.Name, r.Via)
		}
		for _, rule := range n.Rules {
			line("ip netns exec %s %s", n.Name, rule)
		}
	}
	service, client := t.Services[0], t.Clients[0]
	line("mkdir /run/www && printf %%s '%s' >/run/www/index.html", service.Reply)
	line("ip netns exec %s busybox httpd -f -p %d -h /run/www & server=$!", service.Node, service.Listen.Port())
	line("until ip netns exec %s busybox wget -q -O /dev/null http://%s/ 2>/dev/null; do :; done", client.Node, client.To)
	line("kill $server")
	for _, n := range t.Nodes {
		line("ip netns del %s", n.Name)
	}
	return s.String()
}
