package host_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/host"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// byValue compares addresses, which hide their fields.
var byValue = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}, netip.AddrPort{})

func prefixes(all ...string) []netip.Prefix {
	var p []netip.Prefix
	for _, a := range all {
		p = append(p, netip.MustParsePrefix(a))
	}
	return p
}

// bridged is a host with a container on its bridge.
func bridged() lab.Topology {
	return lab.Topology{
		Nodes: []lab.Node{
			{Name: "host", Kind: lab.Host, Bridges: []lab.Bridge{{Name: "br0", Addresses: prefixes("10.0.0.1/24", "fd00::1/64")}}},
			{Name: "c1", Kind: lab.Container},
		},
		Links: []lab.Link{{Ends: [2]lab.End{
			{Node: "host", Interface: "v1", Bridge: "br0"},
			{Node: "c1", Interface: "eth0", Addresses: prefixes("10.0.0.2/24", "fd00::2/64")},
		}}},
	}
}

// in runs shell commands in a node.
func in(t testing.TB, l *lab.Lab, node, commands string) {
	t.Helper()
	r, err := l.Run(t.Context(), node, "set -e\n"+commands)
	if err == nil && r.Exit != 0 {
		t.Fatalf("%s: exit code %d: %s", node, r.Exit, r.Output)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// places are the nodes of a lab.
func places(l *lab.Lab, nodes ...string) []host.Place {
	var all []host.Place
	for _, n := range nodes {
		all = append(all, host.Place{Name: n, Namespace: l.Node(n)})
	}
	return all
}

// read looks at the first of some nodes, all of whose parts have to be seen.
func read(t testing.TB, l *lab.Lab, nodes ...string) host.State {
	t.Helper()
	all := places(l, nodes...)
	s, err := host.Read(t.Context(), all[0], all, host.Options{Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.2")}})
	if err != nil {
		t.Fatal(err)
	}
	if s.Unseen != nil {
		t.Errorf("%s: unseen: %v", nodes[0], s.Unseen)
	}
	return s
}

func diff(t testing.TB, what string, want, got any, o ...cmp.Option) {
	t.Helper()
	if d := cmp.Diff(want, got, append(o, byValue)...); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// changing leaves out what the kernel chooses anew with every lab: MACs, and the
// link-local addresses and numbers of links.
var changing = cmp.Options{
	cmpopts.IgnoreFields(host.Link{}, "Index", "MAC"),
	cmpopts.AcyclicTransformer("chosen", func(all []netip.Prefix) (chosen []netip.Prefix) {
		for _, p := range all {
			if !p.Addr().IsLinkLocalUnicast() {
				chosen = append(chosen, p)
			}
		}
		return chosen
	}),
}

func TestLinks(t *testing.T) {
	labtest.Need(t)
	l := labtest.Build(t, bridged(), "")
	in(t, l, "host", `
		bridge link set dev v1 isolated on hairpin on
		ip link add name x type veth peer name y
		ip link add gone type veth peer name elsewhere netns c1
		ip link set x mtu 1400 up master br0; ip link set y up`)
	in(t, l, "c1", "ip link set elsewhere name moved; ip link set eth0 down")
	lo := host.Link{Name: "lo", Kind: "loopback", Up: true, Carrier: true, MTU: 65536, Addresses: prefixes("127.0.0.1/8", "::1/128")}
	want := []host.Link{
		lo,
		{Name: "br0", Kind: "bridge", Up: true, Carrier: true, MTU: 1400, Addresses: prefixes("10.0.0.1/24", "fd00::1/64")},
		{Name: "v1", Kind: "veth", Up: true, MTU: 1500, Bridge: "br0", Isolated: true, Hairpin: true, State: "disabled", Peer: host.Port{Node: "c1", Interface: "eth0"}},
		{Name: "x", Kind: "veth", Up: true, Carrier: true, MTU: 1400, Bridge: "br0", State: "forwarding", Peer: host.Port{Node: "host", Interface: "y"}},
		{Name: "y", Kind: "veth", Up: true, Carrier: true, MTU: 1500, Peer: host.Port{Node: "host", Interface: "x"}},
		{Name: "gone", Kind: "veth", MTU: 1500, Peer: host.Port{Node: "c1", Interface: "moved"}},
	}
	byName := cmpopts.SortSlices(func(a, b host.Link) bool { return a.Name < b.Name })
	settled(t, func() bool { // the kernel takes a moment to report a carrier
		s := read(t, l, "host", "c1")
		v1, _ := s.Link("v1")
		x, _ := s.Link("x")
		return v1.State == "disabled" && x.State == "forwarding"
	})
	s := read(t, l, "host", "c1")
	diff(t, "links", want, s.Links, changing, byName)
	for _, link := range s.Links {
		if link.Index == 0 || link.Kind != "loopback" && link.MAC == "" {
			t.Errorf("%s has number %d and MAC %q", link.Name, link.Index, link.MAC)
		}
	}
	br0, _ := s.Link("br0")
	if !strings.HasPrefix(br0.Addresses[len(br0.Addresses)-1].String(), "fe80::") {
		t.Errorf("the link-local address is missing among %v", br0.Addresses)
	}
	gone, _ := read(t, l, "host").Link("gone")
	diff(t, "an end where nobody looked", host.Port{}, gone.Peer)
}

// settled waits until something holds.
func settled(t testing.TB, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatal("it did not come about within 10 s")
		}
		time.Sleep(20 * time.Millisecond) // the kernel tells of these things in many different ways
	}
}

func TestReadAll(t *testing.T) {
	labtest.Need(t)
	l := labtest.Build(t, bridged(), "")
	all, err := host.ReadAll(t.Context(), places(l, "host", "c1"), host.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range []string{"host", "c1"} {
		one := read(t, l, node, "host", "c1")
		diff(t, node, one.Links, all[node].Links)
		diff(t, node, one.Routes, all[node].Routes)
	}
	segments := host.Segments(all)
	want := map[host.Port]int{}
	for _, p := range []host.Port{{Node: "host", Interface: "br0"}, {Node: "host", Interface: "v1"}, {Node: "c1", Interface: "eth0"}} {
		want[p] = segments[p]
	}
	diff(t, "segments", want, segments)
	if n := segments[host.Port{Node: "host", Interface: "br0"}]; n != segments[host.Port{Node: "c1", Interface: "eth0"}] {
		t.Errorf("the bridge and the container do not hear each other: %v", segments)
	}
}

func TestRoutes(t *testing.T) {
	labtest.Need(t)
	l := labtest.Build(t, bridged(), "")
	in(t, l, "host", `
		ip route add default via 10.0.0.2 mtu 1300
		ip route add blackhole 10.99.0.0/24
		ip route add unreachable 10.98.0.0/24 metric 7
		ip route add prohibit 10.97.0.0/24 table 100
		ip route add throw 10.96.0.0/24
		ip route add 10.95.0.0/24 via 192.0.2.1 dev br0 onlink src 10.0.0.1
		ip route add 10.94.0.0/24 nexthop via 10.0.0.2 nexthop via 10.0.0.3
		ip route add 10.93.0.0/24 via inet6 fd00::2 dev br0
		ip -6 route add blackhole fd99::/64
		ip -6 route add default via fd00::2`)
	addr := netip.MustParseAddr
	want := []host.Route{
		{Table: 254, Type: "unicast", Destination: netip.MustParsePrefix("0.0.0.0/0"), Via: addr("10.0.0.2"), Interface: "br0", Scope: "global", MTU: 1300},
		{Table: 254, Type: "unicast", Destination: netip.MustParsePrefix("10.0.0.0/24"), Interface: "br0", Source: addr("10.0.0.1"), Scope: "link", Kernel: true},
		{Table: 254, Type: "unicast", Destination: netip.MustParsePrefix("10.93.0.0/24"), Via: addr("fd00::2"), Interface: "br0", Scope: "global"},
		{Table: 254, Type: "unicast", Destination: netip.MustParsePrefix("10.94.0.0/24"), Scope: "global", NextHop: []host.NextHop{{addr("10.0.0.2"), "br0"}, {addr("10.0.0.3"), "br0"}}},
		{Table: 254, Type: "unicast", Destination: netip.MustParsePrefix("10.95.0.0/24"), Via: addr("192.0.2.1"), Interface: "br0", Source: addr("10.0.0.1"), Scope: "global", OnLink: true},
		{Table: 254, Type: "throw", Destination: netip.MustParsePrefix("10.96.0.0/24"), Scope: "global"},
		{Table: 100, Type: "prohibit", Destination: netip.MustParsePrefix("10.97.0.0/24"), Scope: "global"},
		{Table: 254, Type: "unreachable", Destination: netip.MustParsePrefix("10.98.0.0/24"), Scope: "global", Metric: 7},
		{Table: 254, Type: "blackhole", Destination: netip.MustParsePrefix("10.99.0.0/24"), Scope: "global"},
		{Table: 255, Type: "local", Destination: netip.MustParsePrefix("10.0.0.1/32"), Interface: "br0", Source: addr("10.0.0.1"), Scope: "host", Kernel: true},
		{Table: 255, Type: "broadcast", Destination: netip.MustParsePrefix("10.0.0.255/32"), Interface: "br0", Source: addr("10.0.0.1"), Scope: "link", Kernel: true},
		{Table: 255, Type: "local", Destination: netip.MustParsePrefix("127.0.0.0/8"), Interface: "lo", Source: addr("127.0.0.1"), Scope: "host", Kernel: true},
		{Table: 255, Type: "local", Destination: netip.MustParsePrefix("127.0.0.1/32"), Interface: "lo", Source: addr("127.0.0.1"), Scope: "host", Kernel: true},
		{Table: 255, Type: "broadcast", Destination: netip.MustParsePrefix("127.255.255.255/32"), Interface: "lo", Source: addr("127.0.0.1"), Scope: "link", Kernel: true},
	}
	for i := range want {
		want[i].Family = trace.IPv4
	}
	six := []host.Route{
		{Table: 254, Type: "unicast", Destination: netip.MustParsePrefix("::/0"), Via: addr("fd00::2"), Interface: "br0", Scope: "global", Metric: 1024},
		{Table: 254, Type: "unicast", Destination: netip.MustParsePrefix("fd00::/64"), Interface: "br0", Scope: "global", Metric: 256, Kernel: true},
		{Table: 254, Type: "blackhole", Destination: netip.MustParsePrefix("fd99::/64"), Scope: "global", Interface: "lo", Metric: 1024},
		{Table: 255, Type: "local", Destination: netip.MustParsePrefix("::1/128"), Interface: "lo", Scope: "global", Kernel: true},
		{Table: 255, Type: "local", Destination: netip.MustParsePrefix("fd00::1/128"), Interface: "br0", Scope: "global", Kernel: true},
	}
	for i := range six {
		six[i].Family = trace.IPv6
	}
	notLinkLocal := cmpopts.IgnoreSliceElements(func(r host.Route) bool {
		a := r.Destination.Addr()
		return a.Is6() && (a.IsLinkLocalUnicast() || a.IsMulticast())
	})
	// Kernels before 5.14 take the first address of a network as one more of broadcast.
	notFirst := cmpopts.IgnoreSliceElements(func(r host.Route) bool {
		return r.Type == "broadcast" && (r.Destination.String() == "10.0.0.0/32" || r.Destination.String() == "127.0.0.0/32")
	})
	byDestination := cmpopts.SortSlices(func(a, b host.Route) bool {
		return a.Destination.String() < b.Destination.String()
	})
	diff(t, "routes", append(want, six...), read(t, l, "host").Routes, notLinkLocal, notFirst, byDestination)
}

func TestRoutesOfDownLinks(t *testing.T) {
	labtest.Need(t)
	l := labtest.Build(t, bridged(), "")
	in(t, l, "host", "sysctl -qw net.ipv4.conf.br0.ignore_routes_with_linkdown=1; ip link set v1 down")
	settled(t, func() bool {
		routes := read(t, l, "host").Routes
		i := slices.IndexFunc(routes, func(r host.Route) bool { return r.Destination == netip.MustParsePrefix("10.0.0.0/24") })
		return routes[i].Dead
	})
}

func TestChoices(t *testing.T) {
	labtest.Need(t)
	l := labtest.Build(t, bridged(), "")
	in(t, l, "host", `
		ip rule add prio 5 from 192.0.2.0/24 to 198.51.100.7 prohibit
		ip rule add prio 7 fwmark 0x1/0x3 iif br0 lookup 100
		ip rule add prio 9 not ipproto tcp dport 80 sport 1024 oif br0 blackhole
		ip rule add prio 11 dport 80-90 unreachable
		ip rule add prio 12 goto 20
		ip rule add prio 20 tos 0x10 lookup main suppress_prefixlength 0
		ip -6 rule add prio 6 from fd01::/64 lookup 101`)
	want := []host.Choice{
		{Table: 255, Type: "unicast"},
		{Priority: 5, Source: netip.MustParsePrefix("192.0.2.0/24"), Destination: netip.MustParsePrefix("198.51.100.7/32"), Type: "prohibit"},
		{Priority: 7, Mark: 1, Mask: 3, In: "br0", Table: 100, Type: "unicast"},
		{Priority: 9, Not: true, Protocol: trace.TCP, Port: 80, SourcePort: 1024, Out: "br0", Type: "blackhole"},
		{Priority: 11, More: true, Type: "unreachable"},
		{Priority: 12, Goto: 20},
		{Priority: 20, Table: 254, More: true, Type: "unicast"},
		{Priority: 32766, Table: 254, Type: "unicast"},
		{Priority: 32767, Table: 253, Type: "unicast"},
	}
	for i := range want {
		want[i].Family = trace.IPv4
	}
	want = append(want,
		host.Choice{Family: trace.IPv6, Table: 255, Type: "unicast"},
		host.Choice{Family: trace.IPv6, Priority: 6, Source: netip.MustParsePrefix("fd01::/64"), Table: 101, Type: "unicast"},
		host.Choice{Family: trace.IPv6, Priority: 32766, Table: 254, Type: "unicast"})
	diff(t, "rules", want, read(t, l, "host").Choices)
}

func TestNeighbors(t *testing.T) {
	labtest.Need(t)
	l := labtest.Build(t, bridged(), "")
	in(t, l, "host", `
		ip neigh add 10.0.0.8 dev br0 lladdr 02:00:00:00:00:08
		ip neigh add fd00::8 dev br0 lladdr 02:00:00:00:00:08 nud stale
		sysctl -qw net.ipv4.neigh.br0.mcast_solicit=1 net.ipv4.neigh.br0.retrans_time_ms=10`)
	send(t, l, "host", "udp4", "", "10.0.0.9:9") // nobody has that address
	want := []host.Neighbor{
		{Addr: netip.MustParseAddr("10.0.0.8"), Interface: "br0", State: "permanent", MAC: "02:00:00:00:00:08"},
		{Addr: netip.MustParseAddr("10.0.0.9"), Interface: "br0", State: "failed"},
		{Addr: netip.MustParseAddr("fd00::8"), Interface: "br0", State: "stale", MAC: "02:00:00:00:00:08"},
	}
	notNeeded := cmpopts.IgnoreSliceElements(func(n host.Neighbor) bool { return n.State == "noarp" }) // multicast
	settled(t, func() bool { return cmp.Equal(want, read(t, l, "host").Neighbors, notNeeded, byValue) })
}

// send sends a datagram from a node, or opens a connection that stays until the
// end of the test.
func send(t testing.TB, l *lab.Lab, node, network, from, to string) net.Conn {
	t.Helper()
	var d net.Dialer
	var conn net.Conn
	err := l.Node(node).Do(func() (err error) {
		if from != "" {
			if d.LocalAddr, err = net.ResolveUDPAddr(network, from); err != nil {
				return err
			}
		}
		if conn, err = d.DialContext(t.Context(), network, to); err != nil {
			return err
		}
		_, err = conn.Write([]byte("here"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestSysctls(t *testing.T) {
	labtest.Need(t)
	l := labtest.Build(t, bridged(), "")
	in(t, l, "host", `
		ip link add d0.7 type veth peer name d1
		printf 1 > /proc/sys/net/ipv4/conf/d0.7/route_localnet
		sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.br0.rp_filter=2 net.ipv4.icmp_echo_ignore_all=1`)
	have, other := read(t, l, "host").Sysctls, read(t, l, "c1").Sysctls
	for name, want := range map[string]string{
		"net.ipv4.ip_forward": "1", "net.ipv4.conf.br0.rp_filter": "2", "net.ipv4.icmp_echo_ignore_all": "1",
		"net.ipv4.conf.all.forwarding": "1", "net.ipv4.ip_local_port_range": "32768 60999",
		host.LinkSysctl("net.ipv4.conf.%s.route_localnet", "d0.7"): "1",
		"net.ipv6.conf.br0.disable_ipv6":                           "0",
	} {
		if have[name] != want {
			t.Errorf("%s is %q, want %q", name, have[name], want)
		}
	}
	if got := other["net.ipv4.ip_forward"]; got != "0" {
		t.Errorf("the other namespace's ip_forward is %q", got)
	}
	if v, ok := other["net.ipv4.conf.br0.rp_filter"]; ok {
		t.Errorf("a setting of an interface that is not there is %q", v)
	}
}

// A namespace that cannot be entered is an error.
func TestReadFails(t *testing.T) {
	labtest.Need(t)
	l, err := lab.Build(t.Context(), bridged(), lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	all := places(l, "host", "c1")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := host.Read(t.Context(), all[0], all, host.Options{}); err == nil || !strings.Contains(err.Error(), "looking at host: entering node host") {
		t.Errorf("reading a closed namespace: %v", err)
	}
}

// barred is a namespace that cannot be entered.
type barred struct{}

func (barred) Do(func() error) error { return errors.New("the door is shut") }

// What cannot be read is told, and the rest is there.
func TestUnseen(t *testing.T) {
	labtest.Need(t)
	l := labtest.Build(t, bridged(), "")
	others := append([]host.Place{{Name: "vault", Namespace: barred{}}}, places(l, "c1")...)
	s, err := host.Read(t.Context(), places(l, "host")[0], others, host.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[host.Part]string{host.Links: "looking for the far ends of veth pairs in vault: the door is shut"}
	diff(t, "unseen", want, s.Unseen)
	v1, _ := s.Link("v1")
	if want := (host.Port{Node: "c1", Interface: "eth0"}); v1.Peer != want || len(s.Routes) == 0 {
		t.Errorf("the far end of v1 is %v, want %v, and there are %d routes", v1.Peer, want, len(s.Routes))
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if _, err := host.Read(ctx, places(l, "host")[0], nil, host.Options{}); err == nil || err.Error() != "looking at host: enough" {
		t.Errorf("when there is no time left: %v", err)
	}
}
