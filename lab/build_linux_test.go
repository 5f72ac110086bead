package lab_test

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
)

// TestBuildFails sees that a failing step is named, and that nothing is left
// of what was made before it.
func TestBuildFails(t *testing.T) {
	labtest.NeedIptables(t, "")
	prefix, at := netip.MustParsePrefix, netip.MustParseAddrPort
	tests := map[string]struct {
		spoil      func(*lab.Topology)
		node, want string
	}{
		"rule": {
			func(t *lab.Topology) { t.Nodes[1].Rules = append(t.Nodes[1].Rules, "iptables -A FORWARD -j NOWHERE") },
			"host", `setting rules: running "iptables -A FORWARD -j NOWHERE": `,
		},
		"rule of another command": {
			func(t *lab.Topology) { t.Nodes[1].Rules = append(t.Nodes[1].Rules, "iptables -F NOWHERE") },
			"host", `setting rules: running "iptables -F NOWHERE": `,
		},
		"sysctl": {
			func(t *lab.Topology) { t.Nodes[2].Sysctls = []lab.Sysctl{{Name: "net.ipv4.nothing", Value: "1"}} },
			"c1", `setting sysctl net.ipv4.nothing to "1": this kernel has no such sysctl`,
		},
		"sysctl value": {
			func(t *lab.Topology) { t.Nodes[2].Sysctls = []lab.Sysctl{{Name: "net.ipv4.ip_forward", Value: "x"}} },
			"c1", `setting sysctl net.ipv4.ip_forward to "x"`,
		},
		"route": {
			func(t *lab.Topology) { t.Nodes[2].Routes = append(t.Nodes[2].Routes, t.Nodes[2].Routes[0]) },
			"c1", "adding route default via 172.17.0.1: file exists",
		},
		"service": {
			func(t *lab.Topology) { t.Services[0].Listen = at("10.9.9.9:80") },
			"c1", "starting the http service on 10.9.9.9:80",
		},
		"address": {
			func(t *lab.Topology) {
				t.Links[1].Ends[1].Addresses = append(t.Links[1].Ends[1].Addresses, prefix("fd00::2/64"))
				t.Nodes[2].Sysctls = []lab.Sysctl{{Name: "net.ipv6.conf.eth0.disable_ipv6", Value: "1"}}
			},
			"c1", "adding address fd00::2/64 to eth0",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			topology := published()
			test.spoil(&topology)
			before := descriptors(t)
			l, err := lab.Build(t.Context(), topology, lab.Options{})
			if err == nil {
				_ = l.Close()
				t.Fatal("Build succeeded")
			}
			var failed *lab.StepError
			if !errors.As(err, &failed) || failed.Node != test.node || !strings.Contains(err.Error(), test.node+": "+test.want) {
				t.Errorf("Build = %v, want %q in it", err, test.node+": "+test.want)
			}
			awaitCount(t, "descriptors", before, func() int { return descriptors(t) })
		})
	}
}

func TestBuildRefusesFaults(t *testing.T) {
	topology := published()
	topology.Clients[0].Node = "nobody"
	_, err := lab.Build(t.Context(), topology, lab.Options{})
	if faults := lab.Faults(err); len(faults) != 1 || faults[0].Path != "clients[0].node" {
		t.Errorf("Build = %v", err)
	}
}

func TestBuildRefusesVariant(t *testing.T) {
	if _, err := lab.Build(t.Context(), published(), lab.Options{Iptables: "new"}); err == nil {
		t.Error("Build knows a variant of iptables called new")
	}
}

func TestIptablesMissing(t *testing.T) {
	labtest.Need(t)
	t.Setenv("PATH", t.TempDir())
	_, err := lab.Build(t.Context(), published(), lab.Options{})
	var missing *lab.MissingError
	if !errors.As(err, &missing) || missing.Fix != "sudo apt-get install iptables" {
		t.Errorf("Build = %v", err)
	}
}

func TestClose(t *testing.T) {
	labtest.NeedIptables(t, "")
	files, goroutines := descriptors(t), runtime.NumGoroutine()
	l, err := lab.Build(t.Context(), published(), lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := l.Node("host").Do(func() error { return nil }); err == nil {
		t.Error("a closed lab still has a node to run in")
	}
	awaitCount(t, "descriptors", files, func() int { return descriptors(t) })
	awaitCount(t, "goroutines", goroutines, runtime.NumGoroutine)
}

// descriptors counts the open files and sockets of this process: any of them
// can keep a network namespace alive.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// awaitCount waits for a count to come down again: the netlink package closes
// its subscriptions in the background and tells nobody.
func awaitCount(t *testing.T, what string, want int, count func() int) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for count() > want {
		if time.Now().After(deadline) {
			t.Fatalf("%d %s are left, there were %d", count(), what, want)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestCheck(t *testing.T) {
	labtest.NeedIptables(t, "")
	run := func(args ...string) func(*lab.Lab, string) error {
		return func(l *lab.Lab, node string) error {
			return l.Node(node).Do(func() error { return exec.Command(args[0], args[1:]...).Run() })
		}
	}
	tests := map[string]struct {
		node  string
		spoil func(l *lab.Lab, node string) error
		want  string
	}{
		"rule":   {"host", run("iptables", "-t", "nat", "-F", "DOCKER"), "checking chain nat/DOCKER: the rule"},
		"chain":  {"host", run("iptables", "-t", "mangle", "-X", "MARKS"), "checking chain mangle/MARKS: "},
		"policy": {"host", run("iptables", "-P", "FORWARD", "ACCEPT"), "checking chain filter/FORWARD: its policy is not DROP"},
		"link": {"c1", func(l *lab.Lab, node string) error {
			return l.Node(node).Do(func() error { return netlink.LinkDel(named("eth0")) })
		}, "looking for eth0: it is not there"},
		"link down": {"client", func(l *lab.Lab, node string) error {
			return l.Node(node).Do(func() error { return netlink.LinkSetDown(named("eth0")) })
		}, "checking eth0: it is down"},
		"port": {"host", func(l *lab.Lab, node string) error {
			return l.Node(node).Do(func() error { return netlink.LinkSetNoMaster(named("veth0")) })
		}, "checking veth0: it is no port of bridge docker0"},
		"address": {"host", func(l *lab.Lab, node string) error {
			return l.Node(node).Do(func() error {
				addr, err := netlink.ParseAddr("172.17.0.1/16")
				if err != nil {
					return err
				}
				return netlink.AddrDel(named("docker0"), addr)
			})
		}, "checking docker0: it lacks the address 172.17.0.1/16"},
		"route": {"c1", func(l *lab.Lab, node string) error {
			return l.Node(node).Do(func() error { return netlink.RouteDel(&netlink.Route{Gw: []byte{172, 17, 0, 1}}) })
		}, "looking for route default via 172.17.0.1: it is not there"},
		"sysctl": {"host", func(l *lab.Lab, node string) error {
			return l.Node(node).Do(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0) })
		}, `looking whether sysctl net.ipv4.ip_forward is "1": it is "0"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			topology := published()
			topology.Nodes[1].Rules = append(topology.Nodes[1].Rules, "iptables -t mangle -N MARKS")
			l := labtest.Build(t, topology, "")
			for range 2 {
				if err := l.Check(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := test.spoil(l, test.node); err != nil {
				t.Fatal(err)
			}
			err := l.Check(t.Context())
			if want := test.node + ": " + test.want; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Check = %v, want %q in it", err, want)
			}
		})
	}
}

// named finds an interface of the calling thread's network namespace. One that
// is not there has number 0, which no request accepts.
func named(name string) netlink.Link {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return &netlink.Device{}
	}
	return link
}

// TestCheckIgnoresOthers sees that rules which others add, such as probes, are no fault.
func TestCheckIgnoresOthers(t *testing.T) {
	labtest.NeedIptables(t, "")
	l := labtest.Build(t, published(), "")
	err := l.Node("host").Do(func() error {
		return exec.Command("iptables", "-I", "FORWARD", "-j", "NFLOG", "--nflog-group", "7").Run()
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Check(t.Context()); err != nil {
		t.Error(err)
	}
}
