package filter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// world is the addresses of the lab in one family.
type world struct {
	family                         trace.Family
	client, hostA, hostB, server   netip.Addr
	bits                           int
	pool                           pool
	tool, save, restore, icmp, own string
}

func worldOf(family trace.Family, variant string) world {
	c := lab.Command(variant)
	if family == trace.IPv6 {
		return world{
			family: family, bits: 64, tool: c.Iptables6, save: c.Save6, restore: c.Restore6, icmp: "icmp6", own: "-s 2000::/3",
			client: netip.MustParseAddr("2001:db8:1::7"), hostA: netip.MustParseAddr("2001:db8:1::1"),
			hostB: netip.MustParseAddr("2001:db8:2::1"), server: netip.MustParseAddr("2001:db8:2::2"),
			pool: pool{
				hosts:  []string{"2001:db8:1::7", "2001:db8:1::1", "2001:db8:2::1", "2001:db8:2::2", "2001:db8:3::1"},
				nets:   []string{"2001:db8::/32", "2001:db8:1::/64", "2001:db8:2::/64", "2001:db8:1::4/126"},
				ports:  []int{53, 80, 5353, 8080, 40001},
				protos: []string{"tcp", "udp", "icmp6", "ip6"},
			},
		}
	}
	return world{
		family: family, bits: 24, tool: c.Iptables, save: c.Save, restore: c.Restore, icmp: "icmp", own: "-s 128.0.0.0/1",
		client: netip.MustParseAddr("192.0.2.7"), hostA: netip.MustParseAddr("192.0.2.1"),
		hostB: netip.MustParseAddr("198.51.100.1"), server: netip.MustParseAddr("198.51.100.2"),
		pool: pool{
			hosts:  []string{"192.0.2.7", "192.0.2.1", "198.51.100.1", "198.51.100.2", "203.0.113.1"},
			nets:   []string{"192.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24", "192.0.2.4/30"},
			ports:  []int{53, 80, 5353, 8080, 40001},
			protos: []string{"tcp", "udp", "icmp", "ip"},
		},
	}
}

// topology is a client and a server with a host between them that translates
// destinations one way, sources the other, and leaves some ports untracked.
func topology(worlds ...world) lab.Topology {
	t := lab.Topology{
		Nodes: []lab.Node{{Name: "client", Kind: lab.Machine}, {Name: "host", Kind: lab.Host}, {Name: "server", Kind: lab.Machine}},
		Links: []lab.Link{
			{Ends: [2]lab.End{{Node: "client", Interface: "eth0"}, {Node: "host", Interface: "eth0"}}},
			{Ends: [2]lab.End{{Node: "host", Interface: "eth1"}, {Node: "server", Interface: "eth0"}}},
		},
	}
	host := &t.Nodes[1]
	for _, w := range worlds {
		for i, a := range []netip.Addr{w.client, w.hostA, w.hostB, w.server} {
			end := &t.Links[i/2].Ends[i%2]
			end.Addresses = append(end.Addresses, netip.PrefixFrom(a, w.bits))
		}
		t.Nodes[0].Routes = append(t.Nodes[0].Routes, lab.Route{Destination: netip.PrefixFrom(w.server, w.bits).Masked(), Via: w.hostA})
		t.Nodes[2].Routes = append(t.Nodes[2].Routes, lab.Route{Destination: netip.PrefixFrom(w.client, w.bits).Masked(), Via: w.hostB})

		forwarding, tool, any := "net.ipv4.ip_forward", "iptables", netip.IPv4Unspecified()
		if w.family == trace.IPv6 {
			forwarding, tool, any = "net.ipv6.conf.all.forwarding", "ip6tables", netip.IPv6Unspecified()
		}
		host.Sysctls = append(host.Sysctls, lab.Sysctl{Name: forwarding, Value: "1"})
		for _, rule := range []string{
			"-t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination " + netip.AddrPortFrom(w.server, 80).String(),
			"-t nat -A PREROUTING -p udp --dport 5353 -j DNAT --to-destination " + netip.AddrPortFrom(w.server, 53).String(),
			"-t nat -A PREROUTING -p udp --dport 5354 -j DNAT --to-destination " + netip.AddrPortFrom(w.server, 99).String(),
			"-t nat -A POSTROUTING -s " + w.server.String() + " -o eth0 -j SNAT --to-source " + w.hostA.String(),
			"-t raw -A PREROUTING -p tcp -m multiport --ports 7000 -j CT --notrack",
			"-t raw -A PREROUTING -p udp -m multiport --ports 7001 -j CT --notrack",
		} {
			host.Rules = append(host.Rules, tool+" "+rule)
		}
		t.Services = append(t.Services,
			lab.Service{Node: "server", Protocol: lab.TCPEcho, Listen: netip.AddrPortFrom(any, 80)},
			lab.Service{Node: "server", Protocol: lab.UDPEcho, Listen: netip.AddrPortFrom(any, 53)},
			lab.Service{Node: "server", Protocol: lab.TCPEcho, Listen: netip.AddrPortFrom(any, 7000)},
			lab.Service{Node: "server", Protocol: lab.UDPEcho, Listen: netip.AddrPortFrom(any, 7001)},
			lab.Service{Node: "host", Protocol: lab.TCPEcho, Listen: netip.AddrPortFrom(any, 9000)},
			lab.Service{Node: "client", Protocol: lab.TCPEcho, Listen: netip.AddrPortFrom(any, 9100)},
		)
		t.Clients = append(t.Clients, lab.Client{Name: w.icmp, Node: "client", Protocol: lab.Ping, To: netip.AddrPortFrom(w.server, 0)})
	}
	return t
}

// flow is a connection through the host.
type flow struct {
	name   string
	node   string // the opener's
	proto  trace.Proto
	opener tuple
	// trackless says that connection tracking does not know the packets: they
	// are untracked, or invalid.
	trackless bool
	// reply is what the other direction looks like when it comes to the host,
	// before any NAT is undone.
	reply tuple
}

func (w world) flows() []flow {
	at := netip.AddrPortFrom
	direct := func(name, node string, p trace.Proto, src, dst netip.AddrPort) flow {
		return flow{name: name, node: node, proto: p, opener: tuple{src, dst}, reply: tuple{dst, src}}
	}
	trackless := func(f flow) flow {
		f.trackless = true
		return f
	}
	translated := func(name, node string, p trace.Proto, opener, reply tuple) flow {
		return flow{name: name, node: node, proto: p, opener: opener, reply: reply}
	}
	icmp := trace.ICMP
	if w.family == trace.IPv6 {
		icmp = trace.ICMPv6
	}
	return []flow{
		translated("TCP through DNAT", "client", trace.TCP, tuple{at(w.client, 40001), at(w.hostA, 8080)}, tuple{at(w.server, 80), at(w.client, 40001)}),
		translated("UDP through DNAT", "client", trace.UDP, tuple{at(w.client, 40002), at(w.hostA, 5353)}, tuple{at(w.server, 53), at(w.client, 40002)}),
		translated("TCP through SNAT", "server", trace.TCP, tuple{at(w.server, 8080), at(w.client, 9100)}, tuple{at(w.client, 9100), at(w.hostA, 8080)}),
		direct("ping", "client", icmp, at(w.client, 0), at(w.server, 0)),
		direct("TCP", "client", trace.TCP, at(w.client, 40004), at(w.server, 80)),
		direct("UDP between equal ports", "client", trace.UDP, at(w.client, 53), at(w.server, 53)),
		trackless(direct("untracked TCP", "client", trace.TCP, at(w.client, 40001), at(w.server, 7000))),
		trackless(direct("untracked UDP", "client", trace.UDP, at(w.client, 5353), at(w.server, 7001))),
		trackless(direct(unsolicited, "client", icmp, at(w.client, 0), at(w.server, 0))),
		direct("TCP to the host", "client", trace.TCP, at(w.client, 80), at(w.hostA, 9000)),
	}
}

// unsolicited is the flow of one echo reply that nobody asked for: it is INVALID.
const unsolicited = "unsolicited echo reply"

// sendReply sends an echo reply (RFC 792, RFC 4443) with the identifier 0. The
// kernel fills in the checksum of ICMPv6, that of ICMP is its complement.
func (f flow) sendReply(ctx context.Context) error {
	network, message := "ip4:icmp", []byte{0, 0, 0xff, 0xff, 0, 0, 0, 0}
	if f.proto == trace.ICMPv6 {
		network, message = "ip6:ipv6-icmp", []byte{129, 0, 0, 0, 0, 0, 0, 0}
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, f.opener.dst.Addr().String())
	if err != nil {
		return err
	}
	_, err = conn.Write(message)
	return errors.Join(err, conn.Close())
}

// carries says whether a filter's text lets the flow's protocol through.
func (f flow) carries(text string) bool {
	for _, term := range strings.Split(text, " and ") {
		switch term {
		case "tcp", "udp", "icmp", "icmp6":
			if term != protoNames[f.proto] {
				return false
			}
		}
	}
	return !strings.Contains(text, "port") || f.proto == trace.TCP || f.proto == trace.UDP
}

// send opens the connection, sends a byte there and back, and breaks it off: no
// packet follows later.
func (f flow) send(ctx context.Context, l *lab.Lab) error {
	if f.name == unsolicited {
		return l.Node(f.node).Do(func() error { return f.sendReply(ctx) })
	}
	if f.proto != trace.TCP && f.proto != trace.UDP {
		_, err := l.Send(ctx, protoNames[f.proto])
		return err
	}
	dialer := net.Dialer{Timeout: 5 * time.Second}
	dialer.SetMultipathTCP(false)
	network := "tcp"
	if dialer.LocalAddr = net.TCPAddrFromAddrPort(f.opener.src); f.proto == trace.UDP {
		network, dialer.LocalAddr = "udp", net.UDPAddrFromAddrPort(f.opener.src)
	}
	return l.Node(f.node).Do(func() error {
		conn, err := dialer.DialContext(ctx, network, f.opener.dst.String())
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		if tcp, ok := conn.(*net.TCPConn); ok {
			if err := tcp.SetLinger(0); err != nil {
				return err
			}
		}
		if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			return err
		}
		if _, err := conn.Write([]byte{'x'}); err != nil {
			return err
		}
		_, err = io.ReadFull(conn, make([]byte, 1))
		return err
	})
}

// place is a base chain of the host with test chains.
type place struct {
	table trace.Table
	chain string
	use   Use
}

var places = []place{
	{trace.Raw, "PREROUTING", BeforeConntrack},
	{trace.Mangle, "PREROUTING", AfterConntrack},
	{trace.Mangle, "POSTROUTING", AfterConntrack},
	{trace.NAT, "POSTROUTING", InNAT},
}

// subject is a filter under test; own are the matches that its alternatives are put together with.
type subject struct {
	text string
	own  []string
}

// script makes, at every place, a chain for each filter: its alternatives
// counting, its alternatives once more returning, and a rule that counts what is
// left. So a packet that matches exactly one adds one to the first and nothing
// to the last.
func (w world) script(t *testing.T, subjects []subject) string {
	var b strings.Builder
	for _, p := range places {
		fmt.Fprintf(&b, "*%s\n:TEST-%s -\n", p.table, p.chain)
		// Neighbour discovery and multicast listener reports come when they like.
		fmt.Fprintf(&b, "-I %s -j TEST-%s\n", p.chain, p.chain)
		if w.family == trace.IPv6 {
			for _, noise := range []int{133, 134, 135, 136, 143} {
				fmt.Fprintf(&b, "-I %s -p ipv6-icmp -m icmp6 --icmpv6-type %d -j ACCEPT\n", p.chain, noise)
			}
		}
		for i, s := range subjects {
			chain := fmt.Sprintf("F-%s-%d", p.chain, i)
			fmt.Fprintf(&b, ":%s -\n-A TEST-%s -j %s\n", chain, p.chain, chain)
			alternatives := must(t, s.text).Narrow(p.use, s.own)
			for _, target := range []string{"", " -j RETURN"} {
				for _, words := range alternatives {
					fmt.Fprintf(&b, "-A %s %s%s\n", chain, ruleset.Join(words), target)
				}
			}
			fmt.Fprintf(&b, "-A %s\n", chain)
		}
		if p.table == trace.Raw {
			fmt.Fprintf(&b, "-A TEST-%s -i eth0\n-A TEST-%s -i eth1\n", p.chain, p.chain)
		}
		b.WriteString("COMMIT\n")
	}
	return b.String()
}

// run runs a program on the host.
func run(l *lab.Lab, input, program string, args ...string) (string, error) {
	var out bytes.Buffer
	err := l.Node("host").Do(func() error {
		cmd := exec.Command(program, args...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &out
		return cmd.Run()
	})
	return out.String(), err
}

// counters reads the packet counters of every rule when they have come to rest.
func counters(t *testing.T, l *lab.Lab, w world) map[string][]uint64 {
	t.Helper()
	var before string
	for range 50 {
		text, err := run(l, "", w.save, "-c")
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		text = strings.Join(slices.DeleteFunc(strings.Split(text, "\n"), func(s string) bool { return strings.HasPrefix(s, "#") }), "\n")
		if text != before {
			before = text
			continue
		}
		rules, err := ruleset.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string][]uint64{}
		for _, table := range rules.Tables {
			for _, c := range table.Chains {
				for _, r := range c.Rules {
					key := string(table.Name) + "/" + c.Name
					out[key] = append(out[key], r.Packets)
				}
			}
		}
		return out
	}
	t.Fatal("the counters do not come to rest")
	return nil
}

// tally is what a flow did to the test chain of a filter.
type tally struct{ seen, matched, rest uint64 }

func tallyOf(before, after map[string][]uint64, p place, i int) tally {
	key := fmt.Sprintf("%s/F-%s-%d", p.table, p.chain, i)
	var out tally
	rules := len(after[key])
	for r := range rules {
		n := after[key][r] - before[key][r]
		switch {
		case r == rules-1:
			out.rest = n
		case r < rules/2:
			out.matched += n
		}
	}
	test := fmt.Sprintf("%s/TEST-%s", p.table, p.chain)
	out.seen = after[test][i] - before[test][i]
	return out
}

func TestWordsInTheKernel(t *testing.T) {
	for _, variant := range []string{"nft", "legacy"} {
		t.Run(variant, func(t *testing.T) {
			labtest.NeedIptables(t, variant)
			worlds := []world{worldOf(trace.IPv4, variant), worldOf(trace.IPv6, variant)}
			l := labtest.Build(t, topology(worlds...), variant)
			for _, w := range worlds {
				t.Run(w.family.String(), func(t *testing.T) { checkInKernel(t, l, w) })
			}
		})
	}
}

// pieces cuts an iptables-restore script into some with a few hundred lines of a
// table each: nf_tables takes a table's lines as one message, and an ordinary
// user's socket has no room for a large one (net.core.wmem_max).
func pieces(script string) []string {
	const most = 300
	var all []string
	table, lines := "", []string(nil)
	flush := func() {
		if len(lines) > 0 {
			all = append(all, table+"\n"+strings.Join(lines, "\n")+"\nCOMMIT\n")
		}
		lines = nil
	}
	for line := range strings.Lines(script) {
		switch line = strings.TrimSpace(line); {
		case strings.HasPrefix(line, "*"):
			table = line
		case line == "COMMIT":
			flush()
		case line != "":
			if lines = append(lines, line); len(lines) == most {
				flush()
			}
		}
	}
	return all
}

func checkInKernel(t *testing.T, l *lab.Lab, w world) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	subjects := w.subjects(rand.New(rand.NewPCG(seed, 0)))
	for _, piece := range pieces(w.script(t, subjects)) {
		if out, err := run(l, piece, w.restore, "--noflush", "-w"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	after := counters(t, l, w)
	for _, f := range w.flows() {
		before := after
		if err := f.send(t.Context(), l); err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
		after = counters(t, l, w)
		for _, p := range places {
			for i, s := range subjects {
				got := tallyOf(before, after, p, i)
				want := got.seen
				if p.use == BeforeConntrack {
					want = f.wantRaw(s, before, after)
				} else if !f.carriesWith(s) || !f.belongs(s.text) {
					want = 0
				}
				if got.matched != want || got.rest != got.seen-want || got.seen == 0 && p.chain == "PREROUTING" {
					t.Errorf("%s, %q with %q, %s/%s: of %d packets the alternatives counted %d, and %d matched none; want %d",
						f.name, s.text, s.own, p.table, p.chain, got.seen, got.matched, got.rest, want)
				}
			}
		}
	}
	checkErrors(t, l, w, subjects)
}

// answered are filters for the flow of checkErrors, and how many of its two
// packets, a datagram and the ICMP error that answers it, each of them means.
func (w world) answered() map[string]uint64 {
	return map[string]uint64{
		"udp and dst port 5354 and src host " + w.client.String(): 2,
		"port 5354": 2,
		w.icmp:      1,
		w.icmp + " and src host " + w.client.String(): 1,
		w.icmp + " and host " + w.server.String():     0,
		"udp and port 99": 0,
		"tcp":             0,
	}
}

// checkErrors looks at a connection that is answered with an ICMP error, which
// belongs to the connection behind connection tracking.
func checkErrors(t *testing.T, l *lab.Lab, w world, subjects []subject) {
	t.Helper()
	f := flow{node: "client", proto: trace.UDP, opener: tuple{netip.AddrPortFrom(w.client, 40010), netip.AddrPortFrom(w.hostA, 5354)}}
	before := counters(t, l, w)
	if err := f.send(t.Context(), l); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("asking a closed port: %v, want that it is refused", err)
	}
	after := counters(t, l, w)
	answered := w.answered()
	for i, s := range subjects {
		want, ok := answered[s.text]
		if !ok || s.own != nil {
			continue
		}
		for _, p := range []place{{trace.Mangle, "PREROUTING", AfterConntrack}, {trace.Mangle, "POSTROUTING", AfterConntrack}} {
			if got := tallyOf(before, after, p, i); got != (tally{2, want, 2 - want}) {
				t.Errorf("%q, %s: %+v, want 2 packets, of which %d match", s.text, p.chain, got, want)
			}
		}
	}
}

// subjects are random filters, and those of answered.
func (w world) subjects(r *rand.Rand) []subject {
	var out []subject
	for len(out) < 32 {
		text := w.pool.random(r)
		if _, err := Parse(text); err != nil {
			continue
		}
		s := subject{text: text}
		if len(out)%2 == 1 {
			s.own = strings.Fields(w.own + " -p tcp -m tcp --dport 1:65535")
		}
		out = append(out, s)
	}
	for text := range w.answered() {
		out = append(out, subject{text: text})
	}
	return out
}

// carriesWith says whether the filter and the matches beside it let the flow's protocol through.
func (f flow) carriesWith(s subject) bool {
	return f.carries(s.text) && (s.own == nil || f.proto == trace.TCP)
}

// belongs says whether the terms hold for the connection: where it is not
// tracked, nobody knows who opened it.
func (f flow) belongs(text string) bool {
	return holds(text, f.opener) || f.trackless && holds(text, f.reply)
}

// wantRaw is the number of the flow's packets that a filter means in
// raw/PREROUTING, where each direction goes by its own addresses.
func (f flow) wantRaw(s subject, before, after map[string][]uint64) uint64 {
	if !f.carriesWith(s) {
		return 0
	}
	const test = "raw/TEST-PREROUTING"
	n := len(after[test])
	fromClient, fromServer := after[test][n-2]-before[test][n-2], after[test][n-1]-before[test][n-1]
	opener, reply := fromClient, fromServer
	if f.node == "server" {
		opener, reply = fromServer, fromClient
	}
	var want uint64
	for _, d := range []struct {
		seen tuple
		n    uint64
	}{{f.opener, opener}, {f.reply, reply}} {
		if holds(s.text, d.seen) || holds(s.text, tuple{d.seen.dst, d.seen.src}) {
			want += d.n
		}
	}
	return want
}
