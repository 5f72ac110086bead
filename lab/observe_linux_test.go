package lab_test

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
)

// byValue compares addresses, which hide their fields.
var byValue = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}, netip.AddrPort{})

// observe is the lab's network as it is now.
func observe(t testing.TB, l *lab.Lab) lab.Topology {
	t.Helper()
	o, err := l.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// in runs commands in a node, as one would type them, one a line.
func in(t testing.TB, l *lab.Lab, node, commands string) {
	t.Helper()
	for line := range strings.Lines(strings.TrimSpace(commands)) {
		if err := try(l, node, line); err != nil {
			t.Fatalf("%s: %s: %v", node, strings.TrimSpace(line), err)
		}
	}
}

// try runs one command in a node.
func try(l *lab.Lab, node, command string) error {
	words := strings.Fields(command)
	return l.Node(node).Do(func() error {
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

// odd is a lab with what topologies seldom have.
func odd() lab.Topology {
	t := published()
	addrs := func(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }
	t.Nodes = append(t.Nodes, lab.Node{Name: "c2", Kind: lab.Container, LoopbackDown: true})
	t.Links = append(t.Links, lab.Link{Ends: [2]lab.End{
		{Node: "host", Interface: "veth1", Down: true, MTU: 1400},
		{Node: "c2", Interface: "eth0", Addresses: addrs("172.17.0.3/16"), Down: true},
	}}, lab.Link{Ends: [2]lab.End{
		{Node: "host", Interface: "v0", Addresses: addrs("10.8.0.1/24")},
		{Node: "host", Interface: "v1", Addresses: addrs("fd08::1/64")},
	}})
	return t
}

// What was just built is observed as it was described.
func TestObserveBuilt(t *testing.T) {
	labtest.NeedIptables(t, "")
	for name, topology := range map[string]lab.Topology{"published": published(), "odd": odd()} {
		t.Run(name, func(t *testing.T) {
			l := labtest.Build(t, topology, "")
			if err := l.Check(t.Context()); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(topology, observe(t, l), byValue); diff != "" {
				t.Errorf("(-described +observed):\n%s", diff)
			}
		})
	}
}

func TestObserveChanged(t *testing.T) {
	labtest.NeedIptables(t, "")
	l := labtest.Build(t, published(), "")
	in(t, l, "host", `
		ip link set docker0 down
		ip link add br0 type bridge
		ip link set br0 up
		ip link add veth9 type veth peer name veth9-c
		ip link set veth9-c netns c1
		ip link set veth9 master br0 up
		ip route add 10.77.0.0/16 via 192.168.23.1
		sysctl -qw net.ipv4.ip_forward=0
		ip link del ens33
		ip addr add 10.5.5.5/32 dev lo`)
	in(t, l, "c1", "ip addr add 10.1.2.3/24 dev veth9-c")
	o := observe(t, l)
	want := []lab.Bridge{{Name: "docker0", Addresses: published().Nodes[1].Bridges[0].Addresses, Down: true}, {Name: "br0"}}
	if diff := cmp.Diff(want, o.Nodes[1].Bridges, byValue); diff != "" {
		t.Errorf("bridges (-want +got):\n%s", diff)
	}
	devices := []lab.Device{
		{Name: "lo", Kind: "loopback", Addresses: []netip.Prefix{netip.MustParsePrefix("10.5.5.5/32")}},
	}
	if diff := cmp.Diff(devices, o.Nodes[1].Devices, byValue); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
	links := []lab.Link{published().Links[1], {Ends: [2]lab.End{
		{Node: "host", Interface: "veth9", Bridge: "br0"},
		{Node: "c1", Interface: "veth9-c", Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/24")}, Down: true},
	}}}
	if diff := cmp.Diff(links, o.Links, byValue); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	if got := o.Nodes[1].Sysctls[0].Value; got != "0" {
		t.Errorf("ip_forward is %s", got)
	}
	if got := o.Nodes[1].Routes; len(got) != 0 {
		t.Errorf("routes %v, though their link is gone", got)
	}
	s := o.Segments()
	if s[lab.Port{Node: "c1", Interface: "veth9-c"}] != s[lab.Port{Node: "host", Interface: "br0"}] {
		t.Errorf("segments %v", s)
	}
}

// The names of nodes work in the lab as those of "ip netns add" do.
func TestNames(t *testing.T) {
	labtest.NeedIptables(t, "")
	l := labtest.Build(t, published(), "")
	in(t, l, "host", `
		ip netns exec c1 ip addr show eth0
		ip link add moved type veth peer name stays
		ip link set moved netns client
		ip netns add foo
		ip netns exec foo ip link set lo up
		ip link add inner type veth peer name outer netns foo`)
	o := observe(t, l)
	moved := lab.Link{Ends: [2]lab.End{{Node: "client", Interface: "moved", Down: true}, {Node: "host", Interface: "stays", Down: true}}}
	if diff := cmp.Diff(append(published().Links, moved), o.Links, byValue); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]lab.Device{{Name: "inner", Kind: "veth", Down: true}}, o.Nodes[1].Devices); diff != "" {
		t.Errorf("devices of host (-want +got):\n%s", diff)
	}
	in(t, l, "host", "ip netns del foo")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ip", "netns", "ls").Output(); err != nil || len(out) > 0 {
		t.Errorf("ip netns ls = %q, %v behind the end of the lab", out, err)
	}
}
