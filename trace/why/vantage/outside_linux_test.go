package vantage_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/host"
	"packetwalk/trace/nflog"
	"packetwalk/trace/why"
	"packetwalk/trace/why/inquire"
	"packetwalk/trace/why/vantage"
)

// The test binary plays a program that is killed, and its guard.
const (
	roleEnv     = "PACKETWALK_TEST_ROLE" // "outside", "asker" or "guard"
	runEnv      = "PACKETWALK_TEST_RUN"
	backendsEnv = "PACKETWALK_TEST_BACKENDS"
	targetEnv   = "PACKETWALK_TEST_TARGET"
)

func TestMain(m *testing.M) {
	play := map[string]func() error{"outside": holdOutside, "asker": askUntilKilled, "guard": guard}[os.Getenv(roleEnv)]
	if play == nil {
		labtest.Main(m)
		return
	}
	if err := play(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// holdOutside makes an outside client, says so and waits.
func holdOutside() error {
	o, err := vantage.NewOutside(context.Background(), here(), trace.IPv4, nil)
	if err != nil {
		return err
	}
	fmt.Println(o.Interface)
	select {}
}

func here() host.Place { return host.Place{Name: "host", Namespace: nflog.Here{}} }

// askUntilKilled traces a question from outside, says so and waits.
func askUntilKilled() error {
	machine := vantage.Here()
	target := why.Target{Proto: trace.TCP, Addr: netip.MustParseAddrPort(os.Getenv(targetEnv))}
	s, err := vantage.Open(context.Background(), machine, "").Scene(context.Background(), vantage.Origin{Kind: vantage.FromOutside}, target)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	s.Options = nflog.Options{
		Report: func(err error) { fmt.Fprintln(os.Stderr, err) },
		Guard: func(run string, backends []nflog.Backend) []string {
			var all []string
			for _, b := range backends {
				all = append(all, b.Command)
			}
			return []string{"/usr/bin/env", roleEnv + "=guard", runEnv + "=" + run, backendsEnv + "=" + strings.Join(all, " "), self}
		},
	}
	q, err := inquire.Open(context.Background(), s.Scene)
	if err != nil {
		return err
	}
	if _, err := q.Ask(context.Background(), why.Question{Target: target, From: s.From}); err != nil {
		return err
	}
	fmt.Println(s.Outside.Interface)
	select {}
}

func guard() error {
	var backends []nflog.Backend
	for _, command := range strings.Fields(os.Getenv(backendsEnv)) {
		backends = append(backends, nflog.Backend{Family: trace.IPv4, Command: command})
	}
	return nflog.Guard(context.Background(), os.Stdin, os.Getenv(runEnv), backends)
}

// topology is a host that publishes a container's port, and forwards.
func topology() lab.Topology {
	prefix := func(p string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(p)} }
	sysctls := []lab.Sysctl{
		{Name: "net.ipv4.conf.all.rp_filter", Value: "1"}, {Name: "net.ipv4.ip_forward", Value: "1"}, {Name: "net.ipv6.conf.all.forwarding", Value: "1"},
	}
	return lab.Topology{
		Nodes: []lab.Node{
			{Name: "host", Kind: lab.Host, Sysctls: sysctls, Bridges: []lab.Bridge{{Name: "docker0", Addresses: append(prefix("172.17.0.1/16"), prefix("fd00:17::1/64")...)}}, Rules: []string{
				"iptables -t nat -A PREROUTING -p tcp --dport 8080 -m addrtype --dst-type LOCAL -j DNAT --to-destination 172.17.0.2:80",
				"iptables -A FORWARD -i pw-+ -s 203.0.113.0/30 -j DROP", // a network to stay away from
			}},
			{Name: "c1", Kind: lab.Container, Routes: []lab.Route{
				{Via: netip.MustParseAddr("172.17.0.1")}, {Via: netip.MustParseAddr("fd00:17::1")},
			}},
		},
		Links: []lab.Link{{Ends: [2]lab.End{
			{Node: "host", Interface: "veth1", Bridge: "docker0"}, {Node: "c1", Interface: "eth0", Addresses: append(prefix("172.17.0.2/16"), prefix("fd00:17::2/64")...)},
		}}},
		Services: []lab.Service{
			{Node: "c1", Protocol: lab.HTTP, Listen: netip.MustParseAddrPort("0.0.0.0:80"), Reply: "hello"},
			{Node: "c1", Protocol: lab.HTTP, Listen: netip.MustParseAddrPort("[::]:80"), Reply: "hello"},
		},
	}
}

// outside makes a client outside of a lab's host.
func outside(t *testing.T, l *lab.Lab, family trace.Family) *vantage.Outside {
	t.Helper()
	backends := []nflog.Backend{{Family: trace.IPv4, Command: lab.Command("").Iptables}}
	rules, err := nflog.Rulesets(t.Context(), l.Node("host"), backends)
	if err != nil {
		t.Fatal(err)
	}
	o, err := vantage.NewOutside(t.Context(), host.Place{Name: "host", Namespace: l.Node("host")}, family, rules)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	return o
}

func TestOutsideReachesWhatIsPublished(t *testing.T) {
	labtest.NeedIptables(t, "")
	l := labtest.Build(t, topology(), "")
	before := settled(t, l.Node("host"))
	for target, family := range map[string]trace.Family{"": trace.IPv4, "172.17.0.2:80": trace.IPv4, "[fd00:17::2]:80": trace.IPv6} {
		t.Run(target, func(t *testing.T) {
			o := outside(t, l, family)
			if o.Address.String() == "203.0.113.2" {
				t.Error("the client has an address that a rule names")
			}
			to := netip.AddrPortFrom(o.Gateway, 8080) // any address of the host
			if target != "" {
				to = netip.MustParseAddrPort(target)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			r, err := lab.Request(ctx, o, lab.Client{Node: "outside", Protocol: lab.HTTP, To: to})
			if err != nil || string(r.Body) != "hello" || r.Local.Addr() != o.Address {
				t.Errorf("the answer is %q, to %v: %v", r.Body, r.Local, err)
			}
			for range 2 {
				if err := o.Close(); err != nil {
					t.Error(err)
				}
			}
			if diff := cmp.Diff(before, dump(t, l.Node("host"))); diff != "" {
				t.Errorf("the host (-before +after):\n%s", diff)
			}
			s, err := host.Read(t.Context(), host.Place{Name: "host", Namespace: l.Node("host")}, nil, host.Options{Addresses: []netip.Addr{o.Address}})
			if err != nil || len(s.Connections) > 0 {
				t.Errorf("connections of the client are left: %v, %v", s.Connections, err)
			}
			if err := o.Do(func() error { return nil }); err == nil {
				t.Error("the client that was removed can still be entered")
			}
		})
	}
}

func TestTwoOutside(t *testing.T) {
	labtest.NeedIptables(t, "")
	l := labtest.Build(t, topology(), "")
	a, b := outside(t, l, trace.IPv4), outside(t, l, trace.IPv4)
	if a.Address == b.Address || a.Interface == b.Interface {
		t.Errorf("both clients are %v", a.Client)
	}
}

// The kernel takes everything away when the process that made it is killed.
func TestKilled(t *testing.T) {
	for _, role := range []string{"outside", "asker"} {
		t.Run(role, func(t *testing.T) {
			labtest.NeedIptables(t, "")
			l := labtest.Build(t, topology(), "")
			n := l.Node("host")
			before := settled(t, n)
			for range 2 {
				name, kill := start(t, n, role)
				if during := strings.Join(dump(t, n), "\n"); !strings.Contains(during, name) {
					t.Errorf("there is no %s:\n%s", name, during)
				}
				kill()
				var after []string
				eventually(t, "the host to be as before", func() bool {
					after = dump(t, n)
					return slices.Equal(before, after)
				})
				if diff := cmp.Diff(before, after); diff != "" {
					t.Fatalf("the host (-before +after the kill):\n%s", diff)
				}
			}
		})
	}
}

// start starts this program in a node to play a role, and waits for its word,
// which is the name of the interface.
func start(t *testing.T, n *lab.Namespace, role string) (name string, kill func()) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleEnv+"="+role, targetEnv+"=172.17.0.2:80")
	cmd.Stderr = os.Stderr
	var word string
	err := n.Do(func() error {
		out, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		word, err = bufio.NewReader(out).ReadString('\n')
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", role, errors.Join(err, cmd.Wait()))
	}
	return strings.TrimSpace(word), func() {
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // the error says that it was killed
	}
}

// counted is what packets change, and comments with the time of day.
var counted = regexp.MustCompile(`(?m)\[\d+:\d+\]|packets \d+ bytes \d+|^#.*\n`)

// dump is what a host has that an outside client could change.
func dump(t *testing.T, n *lab.Namespace) []string {
	t.Helper()
	var b strings.Builder
	for _, line := range []string{
		"ip link", "ip address", "ip route show table all", "ip -6 route show table all", "ip rule", "ip -6 rule", "ip neighbor show dev docker0 nud permanent",
		"ip maddress", "iptables-nft-save", "iptables-legacy-save", "nft list ruleset", "sysctl -e -a -r ^net\\.(ipv4|ipv6)\\.(conf|neigh|ip_forward)",
	} {
		words := strings.Fields(line)
		if _, err := exec.LookPath(words[0]); err != nil {
			labtest.Skip(t, words[0]+" is missing: apt-get install iproute2 iptables nftables procps")
		}
		var out []byte
		err := n.Do(func() (err error) {
			out, err = exec.Command(words[0], words[1:]...).Output()
			return err
		})
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		fmt.Fprintf(&b, "$ %s\n%s", line, counted.ReplaceAllString(string(out), ""))
	}
	return strings.Split(b.String(), "\n")
}

// settled is dump once the kernel has done what it does by itself with new
// interfaces: they have link-local addresses, and have found these to be unique.
func settled(t *testing.T, n *lab.Namespace) []string {
	t.Helper()
	var now []string
	tentative := func(line string) bool { return strings.Contains(line, "tentative") }
	eventually(t, "the host to settle", func() bool {
		was := now
		now = dump(t, n)
		return slices.Equal(was, now) && !slices.ContainsFunc(now, tentative)
	})
	return now
}

// eventually asks until the answer is yes: what is waited for happens in the
// kernel, which does not tell.
func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !yes(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("waited 20 s for %s", what)
			return
		}
	}
}
