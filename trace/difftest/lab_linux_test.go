package difftest

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

// families are the two, with the iptables command of each.
var families = []struct {
	family  trace.Family
	command string
}{{trace.IPv4, "iptables-nft"}, {trace.IPv6, "ip6tables-nft"}}

// topology is a client and a server with a router in between. The machines at
// the ends have no rules: the kernel alone answers, so that nothing has to be
// waited for but the kernel.
func topology() lab.Topology {
	net := func(n, host int) []netip.Prefix {
		return []netip.Prefix{
			netip.PrefixFrom(address(trace.IPv4, [2]int{n, host}), 24), netip.PrefixFrom(address(trace.IPv6, [2]int{n, host}), 64),
		}
	}
	routes := func(n int) []lab.Route {
		return []lab.Route{{Via: address(trace.IPv4, [2]int{n, 1})}, {Destination: netip.MustParsePrefix("::/0"), Via: address(trace.IPv6, [2]int{n, 1})}}
	}
	// Network 9 is nobody's: the server does not forward what it gets for it.
	nowhere := []lab.Route{
		{Destination: netip.MustParsePrefix("10.0.9.0/24"), Via: address(trace.IPv4, [2]int{2, 2})},
		{Destination: netip.MustParsePrefix("fd00:9::/64"), Via: address(trace.IPv6, [2]int{2, 2})},
	}
	// No answer is repeated, and none withheld because others were given lately.
	quiet := []lab.Sysctl{
		{Name: "net.ipv4.tcp_synack_retries", Value: "0"}, {Name: "net.ipv4.icmp_ratelimit", Value: "0"}, {Name: "net.ipv6.icmp.ratelimit", Value: "0"},
	}
	router := append([]lab.Sysctl{{Name: "net.ipv4.ip_forward", Value: "1"}, {Name: "net.ipv6.conf.all.forwarding", Value: "1"}}, quiet...)
	t := lab.Topology{
		Nodes: []lab.Node{
			{Name: "client", Kind: lab.Machine, Routes: routes(1), Sysctls: quiet},
			{Name: "router", Kind: lab.Host, Sysctls: router, Routes: nowhere},
			{Name: "server", Kind: lab.Machine, Routes: routes(2), Sysctls: quiet},
		},
		Links: []lab.Link{
			{Ends: [2]lab.End{{Node: "client", Interface: "eth0", Addresses: net(1, 2)}, {Node: "router", Interface: "c0", Addresses: net(1, 1)}}},
			{Ends: [2]lab.End{{Node: "router", Interface: "s0", Addresses: net(2, 1)}, {Node: "server", Interface: "eth0", Addresses: net(2, 2)}}},
		},
	}
	for _, node := range []string{"router", "server"} {
		for _, any := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
			t.Services = append(t.Services, lab.Service{Node: node, Protocol: lab.TCPEcho, Listen: netip.AddrPortFrom(any, 80)})
		}
	}
	return t
}

// build makes the lab, with everything about neighbours known in advance: a
// packet that waits for an address to be resolved would outlast its turn.
func build(t testing.TB) *lab.Lab {
	t.Helper()
	l := labtest.Build(t, topology(), "nft")
	for _, link := range l.Topology().Links {
		introduce(t, l, link.Ends[0], link.Ends[1])
		introduce(t, l, link.Ends[1], link.Ends[0])
	}
	must(t, l.Node("router").Do(switchOn))
	return l
}

// introduce tells one end of a link the addresses of the other.
func introduce(t testing.TB, l *lab.Lab, to, other lab.End) {
	t.Helper()
	var peer netlink.Link
	must(t, l.Node(other.Node).Do(func() (err error) {
		peer, err = netlink.LinkByName(other.Interface)
		return err
	}))
	must(t, l.Node(to.Node).Do(func() error {
		link, err := netlink.LinkByName(to.Interface)
		if err != nil {
			return err
		}
		for _, p := range other.Addresses {
			err = errors.Join(err, netlink.NeighSet(&netlink.Neigh{
				LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: p.Addr().AsSlice(), HardwareAddr: peer.Attrs().HardwareAddr,
			}))
		}
		return err
	}))
}

// resourceProblem is how iptables exits where the kernel refuses
// (RESOURCE_PROBLEM in include/xtables.h of iptables).
const resourceProblem = 4

// errRefused says that the kernel does not take a rule which iptables understands.
var errRefused = errors.New("the kernel refuses a rule")

// load gives the router its rules.
func load(l *lab.Lab, rules [2]string) error {
	return l.Node("router").Do(func() error {
		for i, f := range families {
			cmd := exec.Command(f.command+"-restore", "--wait")
			cmd.Stdin = strings.NewReader(rules[i])
			out, err := cmd.CombinedOutput()
			if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == resourceProblem {
				return fmt.Errorf("running %s-restore: %w: %s", f.command, errRefused, out)
			}
			if err != nil {
				return fmt.Errorf("running %s-restore: %w: %s", f.command, err, out)
			}
		}
		return nil
	})
}

// save reads the router's rules back.
func save(t testing.TB, l *lab.Lab) map[trace.Family]ruleset.Ruleset {
	t.Helper()
	rules := map[trace.Family]ruleset.Ruleset{}
	must(t, l.Node("router").Do(func() error {
		for _, f := range families {
			text, err := exec.Command(f.command + "-save").Output()
			if err != nil {
				return fmt.Errorf("running %s-save: %w", f.command, err)
			}
			if rules[f.family], err = ruleset.Parse(string(text)); err != nil {
				return err
			}
		}
		return nil
	}))
	return rules
}

// gun sends packets, all from one CPU: the kernel queues what arrives by CPU,
// and keeps the order in each queue.
type gun struct {
	sockets map[string][2]int // by node: of IPv4 and of IPv6
	shots   chan shot
	results chan error
}

func newGun(t testing.TB, l *lab.Lab) *gun {
	t.Helper()
	g := &gun{sockets: map[string][2]int{}, shots: make(chan shot), results: make(chan error)}
	for _, n := range l.Topology().Nodes {
		var fds [2]int
		must(t, l.Node(n.Name).Do(func() (err error) {
			// With this protocol number a packet is sent as it is, IP header and all (raw(7)).
			if fds[0], err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW); err != nil {
				return os.NewSyscallError("socket", err)
			}
			fds[1], err = unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
			return os.NewSyscallError("socket", err)
		}))
		g.sockets[n.Name] = fds
	}
	go g.run()
	t.Cleanup(func() {
		close(g.shots)
		<-g.results
		for _, fds := range g.sockets {
			_ = unix.Close(fds[0])
			_ = unix.Close(fds[1])
		}
	})
	return g
}

// run sends, on a thread of its own that ends with it.
func (g *gun) run() {
	runtime.LockOSThread()
	defer close(g.results)
	var all, one unix.CPUSet
	err := unix.SchedGetaffinity(0, &all)
	for cpu := 0; err == nil && one.Count() == 0; cpu++ {
		if all.IsSet(cpu) {
			one.Set(cpu)
			err = unix.SchedSetaffinity(0, &one)
		}
	}
	for s := range g.shots {
		result := os.NewSyscallError("sched_setaffinity", err)
		for _, p := range s.packets {
			result = errors.Join(result, g.fire(s, p))
		}
		g.results <- result
	}
}

func (g *gun) fire(s shot, packet []byte) error {
	fds := g.sockets[s.node]
	var err error
	if s.dst.Is4() {
		err = unix.Sendto(fds[0], packet, 0, &unix.SockaddrInet4{Addr: s.dst.As4()})
	} else {
		err = unix.Sendto(fds[1], packet, 0, &unix.SockaddrInet6{Addr: s.dst.As16()})
	}
	// The router's own rules may forbid its packets, or send them where it knows
	// no way: the sender hears of both.
	if s.node == "router" && (errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH)) {
		return nil
	}
	return os.NewSyscallError("sendto", err)
}

// send sends a packet and waits until the kernel has taken it.
func (g *gun) send(s shot) error {
	g.shots <- s
	return <-g.results
}
