package dropped_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/dropped"
)

func TestMain(m *testing.M) {
	if os.Getenv(watchEnv) != "" {
		watchForever()
	}
	labtest.Main(m)
}

// watch begins a watch that ends with the test. An ordinary user can have none,
// and that is no lack of the machine's.
func watch(t testing.TB) *dropped.Watcher {
	t.Helper()
	w, err := dropped.Watch()
	var lack *dropped.Unavailable
	switch {
	case errors.As(err, &lack) && labtest.OrdinaryUser():
		t.Skip(err)
	case errors.As(err, &lack):
		labtest.Skip(t, err.Error())
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// topology is a client and a server with a router in between.
func topology() lab.Topology {
	addr := netip.MustParsePrefix
	gateway := func(v4, v6 string) []lab.Route {
		return []lab.Route{{Via: netip.MustParseAddr(v4)}, {Destination: addr("::/0"), Via: netip.MustParseAddr(v6)}}
	}
	// No address is tentative for its first seconds.
	sure := func(device string) lab.Sysctl {
		return lab.Sysctl{Name: "net.ipv6.conf." + device + ".accept_dad", Value: "0"}
	}
	end := []lab.Sysctl{sure("eth0")}
	router := []lab.Sysctl{sure("c0"), sure("s0"), {Name: "net.ipv4.ip_forward", Value: "1"}, {Name: "net.ipv6.conf.all.forwarding", Value: "1"}}
	return lab.Topology{
		Nodes: []lab.Node{
			{Name: "client", Kind: lab.Machine, Routes: gateway("10.0.1.1", "fd00:1::1"), Sysctls: end},
			{Name: "router", Kind: lab.Host, Sysctls: router},
			{Name: "server", Kind: lab.Machine, Routes: gateway("10.0.2.1", "fd00:2::1"), Sysctls: end},
		},
		Links: []lab.Link{
			{Ends: [2]lab.End{
				{Node: "client", Interface: "eth0", Addresses: []netip.Prefix{addr("10.0.1.2/24"), addr("fd00:1::2/64")}},
				{Node: "router", Interface: "c0", Addresses: []netip.Prefix{addr("10.0.1.1/24"), addr("fd00:1::1/64")}},
			}},
			{Ends: [2]lab.End{
				{Node: "router", Interface: "s0", Addresses: []netip.Prefix{addr("10.0.2.1/24"), addr("fd00:2::1/64")}},
				{Node: "server", Interface: "eth0", Addresses: []netip.Prefix{addr("10.0.2.2/24"), addr("fd00:2::2/64")}},
			}},
		},
		Services: []lab.Service{
			{Node: "server", Protocol: lab.TCPEcho, Listen: netip.MustParseAddrPort("0.0.0.0:80")},
			{Node: "server", Protocol: lab.UDPEcho, Listen: netip.MustParseAddrPort("0.0.0.0:53")},
			{Node: "server", Protocol: lab.HTTP, Listen: netip.MustParseAddrPort("0.0.0.0:8080"), Reply: "hello"},
		},
	}
}

// fault is what is wrong in a lab, and what the kernel says of it.
type fault struct {
	name string
	// setup are commands, each with the node that it is run in.
	setup    [][2]string
	protocol lab.Protocol
	to       string
	// The kernel's word. Where it gives no reason, function is where it dropped it.
	reason, function, node, device string
}

var faults = []fault{
	{
		name: "nothing listens, TCP", protocol: lab.TCPEcho, to: "10.0.2.2:81",
		reason: "NO_SOCKET", function: "tcp_v4_rcv", node: "server", device: "eth0",
	},
	{
		name: "nothing listens, TCP over IPv6", protocol: lab.TCPEcho, to: "[fd00:2::2]:81",
		reason: "NO_SOCKET", function: "tcp_v6_rcv", node: "server", device: "eth0",
	},
	{
		name: "nothing listens, UDP", protocol: lab.UDPEcho, to: "10.0.2.2:81",
		reason: "NO_SOCKET", function: "__udp4_lib_rcv", node: "server", device: "eth0",
	},
	{
		name: "a rule of the router", setup: [][2]string{{"router", "iptables -A FORWARD -p udp --dport 53 -j DROP"}},
		protocol: lab.UDPEcho, to: "10.0.2.2:53", reason: "NETFILTER_DROP", node: "router", device: "c0",
	},
	{
		name: "a rule that rejects", setup: [][2]string{{"router", "iptables -A FORWARD -p tcp --dport 80 -j REJECT"}},
		protocol: lab.TCPEcho, to: "10.0.2.2:80", reason: "NETFILTER_DROP", node: "router", device: "c0",
	},
	{
		name: "a rule for ping", setup: [][2]string{{"server", "iptables -A INPUT -p icmp -j DROP"}},
		protocol: lab.Ping, to: "10.0.2.2:0", reason: "NETFILTER_DROP", node: "server", device: "eth0",
	},
	{
		// No interface is known yet: the namespace is that of the socket.
		name: "the sender's own rule", setup: [][2]string{{"client", "iptables -A OUTPUT -p udp -j DROP"}},
		protocol: lab.UDPEcho, to: "10.0.2.2:53", reason: "NETFILTER_DROP", node: "client",
	},
	{
		name: "a rule against the reply", setup: [][2]string{{"server", "iptables -A OUTPUT -p udp --sport 53 -j DROP"}},
		protocol: lab.UDPEcho, to: "10.0.2.2:53", reason: "NETFILTER_DROP", node: "server",
	},
	{
		name: "an address behind NAT", setup: [][2]string{
			{"router", "iptables -t nat -A PREROUTING -p udp --dport 5353 -j DNAT --to-destination 10.0.2.2:54"}},
		protocol: lab.UDPEcho, to: "10.0.1.1:5353", reason: "NO_SOCKET", function: "__udp4_lib_rcv", node: "server", device: "eth0",
	},
	{
		// The router has to have told its MAC before: such a router answers no ARP either.
		name: "reverse path filter", setup: [][2]string{
			{"client", "busybox ping -c 1 -w 5 10.0.1.1"},
			{"router", "sysctl -qw net.ipv4.conf.c0.rp_filter=1; ip route add 10.0.1.2 dev s0"}},
		protocol: lab.UDPEcho, to: "10.0.2.2:53", reason: "IP_RPFILTER", node: "router", device: "c0",
	},
	{
		name: "the loopback network", setup: [][2]string{
			{"server", "iptables -t nat -A PREROUTING -p udp --dport 53 -j DNAT --to-destination 127.0.0.1"}},
		protocol: lab.UDPEcho, to: "10.0.2.2:53", reason: "IP_LOCALNET", node: "server", device: "eth0",
	},
	{
		name: "no route", protocol: lab.UDPEcho, to: "10.0.9.9:53",
		reason: "IP_INNOROUTES", node: "router", device: "c0",
	},
	{
		name: "no route, IPv6", protocol: lab.UDPEcho, to: "[fd00:9::9]:53",
		reason: "IP_INNOROUTES", node: "router", device: "c0",
	},
	{
		name: "forwarding is off", setup: [][2]string{{"router", "sysctl -qw net.ipv4.ip_forward=0"}},
		protocol: lab.UDPEcho, to: "10.0.2.2:53", reason: "IP_INADDRERRORS", function: "ip_error", node: "router", device: "c0",
	},
	{
		name: "forwarding is off, IPv6", setup: [][2]string{{"router", "sysctl -qw net.ipv6.conf.all.forwarding=0"}},
		protocol: lab.UDPEcho, to: "[fd00:2::2]:53", reason: "IP_INADDRERRORS", function: "ip6_forward", node: "router", device: "c0",
	},
	{
		name: "a blackhole", setup: [][2]string{{"router", "ip route add blackhole 10.0.2.2"}},
		protocol: lab.UDPEcho, to: "10.0.2.2:53", reason: "NOT_SPECIFIED", function: "ip_error", node: "router", device: "c0",
	},
	{
		name: "the TTL ends", setup: [][2]string{{"client", "sysctl -qw net.ipv4.ip_default_ttl=1"}},
		protocol: lab.UDPEcho, to: "10.0.2.2:53", reason: "IP_INHDR", function: "ip_forward", node: "router", device: "c0",
	},
	{
		name: "nobody has the address", protocol: lab.UDPEcho, to: "10.0.2.99:53",
		reason: "NEIGH_FAILED", function: "neigh_invalidate", node: "router", device: "s0",
	},
}

func TestFaults(t *testing.T) {
	for _, variant := range []string{"nft", "legacy"} {
		t.Run(variant, func(t *testing.T) {
			labtest.NeedIptables(t, variant)
			w := watch(t)
			l := labtest.Build(t, topology(), variant)
			base, err := l.Snapshot(t.Context())
			must(t, err)
			for i, f := range faults {
				if variant == "legacy" && f.reason != "NETFILTER_DROP" {
					continue // nothing is different there
				}
				t.Run(f.name, func(t *testing.T) {
					f.try(t, w, l, uint16(40000+i))
					must(t, l.Restore(t.Context(), base))
				})
			}
		})
	}
}

// try breaks the lab, sends a packet, and holds the kernel's word on it to what
// it should be.
func (f fault) try(t *testing.T, w *dropped.Watcher, l *lab.Lab, port uint16) {
	for _, s := range f.setup {
		r, err := l.Run(t.Context(), s[0], s[1])
		must(t, err)
		if r.Exit != 0 {
			t.Fatalf("%s: %s", s[1], r.Output)
		}
	}
	begin := time.Now()
	flow := ask(t, l, lab.Client{Protocol: f.protocol, To: netip.MustParseAddrPort(f.to), From: port})
	// In front of the NAT and behind it.
	flows := []dropped.Flow{flow}
	for _, to := range []string{"10.0.2.2:54", "127.0.0.1:53"} {
		flows = append(flows, dropped.Flow{Proto: flow.Proto, Src: flow.Src, Dst: netip.MustParseAddrPort(to)})
	}
	events := await(t, w, begin, flows)
	for _, e := range events {
		if got := nodeOf(t, l, e); e.Reason != f.reason && !(e.Vague() && old(t)) || got != f.node || e.Interface != f.device {
			t.Errorf("%q in %s at %s of %s; want %q at %s of %s", e.Reason, e.Location, e.Interface, got, f.reason, f.device, f.node)
		}
		if f.function != "" && e.Location != f.function {
			t.Errorf("dropped in %s; want %s", e.Location, f.function)
		}
		if e.Time.Before(begin) || e.Time.After(time.Now()) {
			t.Errorf("dropped at %v, between %v and now", e.Time, begin)
		}
	}
}

// ask sends a request, and gives its addresses. With TCP it is one that is
// refused; of the others none is waited for.
func ask(t *testing.T, l *lab.Lab, c lab.Client) dropped.Flow {
	t.Helper()
	wait := 100 * time.Millisecond
	if c.Protocol == lab.TCPEcho {
		wait = 10 * time.Second // whoever has given up drops what comes back
	}
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	_, _ = lab.Request(ctx, l.Node("client"), c) // most of the requests fail, each in its own way
	return flowOf(c)
}

// flowOf are the addresses of a request by the client.
func flowOf(c lab.Client) dropped.Flow {
	src := netip.MustParseAddr("10.0.1.2")
	if c.To.Addr().Is6() {
		src = netip.MustParseAddr("fd00:1::2")
	}
	f := dropped.Flow{Src: netip.AddrPortFrom(src, c.From), Dst: c.To}
	switch c.Protocol {
	case lab.UDPEcho:
		f.Proto = trace.UDP
	case lab.Ping:
		f.Proto, f.Src = trace.ICMP, netip.AddrPortFrom(src, 0)
	default:
		f.Proto = trace.TCP
	}
	return f
}

// await gives the drops of the flows. A packet that waits for an address is given
// up after three seconds.
func await(t *testing.T, w *dropped.Watcher, begin time.Time, flows []dropped.Flow) []dropped.Event {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		all, whole := w.Since(begin)
		events := dropped.Of(all, flows)
		switch {
		case !whole:
			t.Fatal("something is missing")
		case len(events) > 0:
			return events
		case time.Now().After(deadline):
			t.Fatalf("the kernel has dropped no packet of %v; it has dropped %+v", flows, all)
		}
	}
}

// nodeOf is the node whose namespace a packet was dropped in.
func nodeOf(t *testing.T, l *lab.Lab, e dropped.Event) string {
	t.Helper()
	for _, n := range l.Topology().Nodes {
		if namespace(t, l.Node(n.Name)) == e.Namespace {
			return n.Name
		}
	}
	return ""
}

func namespace(t *testing.T, n *lab.Namespace) (id uint64) {
	t.Helper()
	must(t, n.Do(func() (err error) {
		id, err = dropped.NamespaceID()
		return err
	}))
	return id
}

// old says whether the kernel is older than the one whose reasons these are.
func old(t *testing.T) bool {
	t.Helper()
	var name unix.Utsname
	must(t, unix.Uname(&name))
	var major, minor int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	return major < 6 || major == 6 && minor < 18
}

// TestTooBig sends a datagram that may not be cut up and does not fit.
func TestTooBig(t *testing.T) {
	labtest.Need(t)
	w := watch(t)
	l := labtest.Build(t, topology(), "")
	r, err := l.Run(t.Context(), "router", "ip link set s0 mtu 1300")
	must(t, err)
	if r.Exit != 0 {
		t.Fatalf("%s", r.Output)
	}
	begin := time.Now()
	from, to := netip.MustParseAddrPort("10.0.1.2:43000"), netip.MustParseAddrPort("10.0.2.2:53")
	must(t, l.Node("client").Do(func() error {
		// Go's own sockets leave the Don't Fragment bit set as long as they know no smaller MTU.
		c, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(from), net.UDPAddrFromAddrPort(to))
		if err != nil {
			return err
		}
		_, err = c.Write(make([]byte, 1400))
		return errors.Join(err, c.Close())
	}))
	for _, e := range await(t, w, begin, []dropped.Flow{{Proto: trace.UDP, Src: from, Dst: to}}) {
		if e.Reason != "PKT_TOO_BIG" && !(e.Vague() && old(t)) || e.Packet.Length != 1428 || nodeOf(t, l, e) != "router" {
			t.Errorf("%+v", e)
		}
	}
}

// TestHealthy sends requests that succeed: the kernel's word must accuse nobody.
func TestHealthy(t *testing.T) {
	labtest.Need(t)
	w := watch(t)
	l := labtest.Build(t, topology(), "")
	begin := time.Now()
	var flows []dropped.Flow
	for i, c := range []lab.Client{
		{Protocol: lab.TCPEcho, To: netip.MustParseAddrPort("10.0.2.2:80")},
		{Protocol: lab.HTTP, To: netip.MustParseAddrPort("10.0.2.2:8080")},
		{Protocol: lab.UDPEcho, To: netip.MustParseAddrPort("10.0.2.2:53")},
		{Protocol: lab.Ping, To: netip.MustParseAddrPort("10.0.2.2:0")},
		{Protocol: lab.Ping, To: netip.MustParseAddrPort("[fd00:2::2]:0")},
	} {
		c.From = uint16(41000 + i)
		_, err := lab.Request(t.Context(), l.Node("client"), c)
		must(t, err)
		flows = append(flows, flowOf(c))
	}
	events, whole := w.Since(begin)
	if found := dropped.Of(events, flows); len(found) > 0 || !whole {
		t.Errorf("whole %v, dropped %+v", whole, found)
	}
}

// TestSinceIsLater holds Since to its time.
func TestSinceIsLater(t *testing.T) {
	labtest.Need(t)
	w := watch(t)
	l := labtest.Build(t, topology(), "")
	nothing := netip.MustParseAddrPort("10.0.2.2:81")
	first := []dropped.Flow{ask(t, l, lab.Client{Protocol: lab.UDPEcho, To: nothing, From: 42001})}
	between := time.Now()
	second := []dropped.Flow{ask(t, l, lab.Client{Protocol: lab.UDPEcho, To: nothing, From: 42002})}
	events, _ := w.Since(between)
	if len(dropped.Of(events, first)) != 0 || len(dropped.Of(events, second)) != 1 {
		t.Errorf("since then: %+v", events)
	}
}

// TestOtherKernels has the kernel check what the program is on older ones.
func TestOtherKernels(t *testing.T) {
	labtest.Need(t)
	w := watch(t)
	for _, has := range []struct{ reason, receiver bool }{{false, false}, {true, false}} {
		if err := dropped.LoadFor(w, has.reason, has.receiver); err != nil {
			t.Errorf("reason %v, receiver %v: %v", has.reason, has.receiver, err)
		}
	}
}

// TestOrdinaryUser is refused, and told what lacks.
func TestOrdinaryUser(t *testing.T) {
	labtest.Need(t)
	if !labtest.OrdinaryUser() {
		t.Skip("root may watch")
	}
	w, err := dropped.Watch()
	var lack *dropped.Unavailable
	if !errors.As(err, &lack) || !strings.Contains(lack.Missing, "root") || w != nil {
		t.Errorf("%v, %v", w, err)
	}
}

// TestKilled kills a process that watches: its program must not go on.
func TestKilled(t *testing.T) {
	labtest.Need(t)
	if err := watch(t).Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), watchEnv+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var id uint32
	_, err = fmt.Fscan(out, &id)
	must(t, err)
	if p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id)); err != nil {
		t.Errorf("while it lives: %v", err)
	} else {
		must(t, p.Close())
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait() // says that it was killed
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
		if errors.Is(err, os.ErrNotExist) {
			return
		}
		must(t, err)
		must(t, p.Close())
		if time.Now().After(deadline) {
			t.Fatal("the program is still in the kernel")
		}
	}
}

// watchEnv makes the test binary watch, print its program's number, and wait.
const watchEnv = "DROPPED_TEST_WATCH"

func watchForever() {
	w, err := dropped.Watch()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	id, err := dropped.ProgramID(w)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(id)
	select {}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
