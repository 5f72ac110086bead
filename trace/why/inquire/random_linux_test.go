package inquire_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace/why"
)

var (
	full       = flag.Bool("full", false, "ask in every step of every scenario")
	randomLabs = flag.Int("random", 30, "how many random labs are broken and asked about")
	randomSeed = flag.Uint64("seed", 1, "seed of the first random lab; the next have the numbers behind it")
)

// TestRandomFaults breaks labs with random addresses, ports and names by one
// fault each, and holds the culprit to it.
func TestRandomFaults(t *testing.T) {
	t.Parallel()
	if raced {
		*randomLabs = min(*randomLabs, 5)
	}
	for i := range *randomLabs {
		seed := *randomSeed + uint64(i)
		r := newRandomLab(seed)
		t.Run(fmt.Sprintf("%d-%s-%s", seed, r.fault.name, r.variant), func(t *testing.T) {
			t.Parallel()
			labtest.NeedIptables(t, r.variant)
			r.try(t)
		})
	}
}

// randomLab is a host that publishes a port of a container, with one fault.
type randomLab struct {
	rng     *rand.Rand
	variant string
	fault   fault

	client, host, box           string // names of nodes
	outside, bridge             string // interfaces of the host
	veth                        string // the host's end of the container's link
	clientAddr, hostAddr        netip.Addr
	gateway, boxAddr, spareAddr netip.Addr // in the container's network
	outsideNet, boxNet          netip.Prefix
	port, inner                 uint16
	nat, own, early             string // names of chains
	topology                    lab.Topology
}

// fault is one way to break the lab.
type fault struct {
	name why.Name // the cause that is to be found; empty for a healthy lab
	// edit changes the lab before it is built, run breaks it afterwards.
	edit func(*randomLab)
	run  func(*randomLab) []command
	// culprit is part of what is to be blamed: fields that are empty may be anything.
	culprit func(*randomLab) why.Culprit
}

func newRandomLab(seed uint64) *randomLab {
	r := &randomLab{rng: rand.New(rand.NewPCG(seed, 5))}
	r.variant = pick(r, "nft", "legacy")
	r.fault = faults[r.rng.IntN(len(faults))]
	r.client, r.host, r.box = r.name(), r.name(), r.name()
	r.outside, r.bridge, r.veth = "e"+r.name(), "b"+r.name(), "v"+r.name()
	r.nat, r.own, r.early = strings.ToUpper(r.name()), strings.ToUpper(r.name()), strings.ToUpper(r.name())
	r.outsideNet = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, r.byte(), r.byte(), 0}), 24)
	r.boxNet = netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16 + r.byte()%16, r.byte(), 0}), 24)
	r.hostAddr, r.clientAddr = in(r.outsideNet, 1), in(r.outsideNet, 2+r.rng.IntN(200))
	r.gateway, r.boxAddr, r.spareAddr = in(r.boxNet, 1), in(r.boxNet, 2+r.rng.IntN(100)), in(r.boxNet, 150+r.rng.IntN(100))
	r.port, r.inner = r.somePort(), r.somePort()
	for r.inner == r.port {
		r.inner = r.somePort()
	}
	r.topology = r.build()
	if r.fault.edit != nil {
		r.fault.edit(r)
	}
	return r
}

func pick[T any](r *randomLab, all ...T) T { return all[r.rng.IntN(len(all))] }

func (r *randomLab) byte() byte { return byte(r.rng.IntN(250)) }

func (r *randomLab) somePort() uint16 { return uint16(80 + r.rng.IntN(20000)) }

// name is one that no other part of the lab is likely to have.
func (r *randomLab) name() string {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	var b strings.Builder
	for range 5 {
		b.WriteByte(letters[r.rng.IntN(len(letters))])
	}
	return b.String()
}

// in is the nth address of a network.
func in(p netip.Prefix, n int) netip.Addr {
	b := p.Addr().As4()
	b[3] = byte(n)
	return netip.AddrFrom4(b)
}

func (r *randomLab) build() lab.Topology {
	eth := "eth0"
	return lab.Topology{
		Nodes: []lab.Node{
			{Name: r.client, Kind: lab.Machine},
			{
				Name: r.host, Kind: lab.Host, Rules: r.rules(), Sysctls: []lab.Sysctl{{Name: "net.ipv4.ip_forward", Value: "1"}},
				Bridges: []lab.Bridge{{Name: r.bridge, Addresses: []netip.Prefix{netip.PrefixFrom(r.gateway, 24)}}},
			},
			{Name: r.box, Kind: lab.Container, Routes: []lab.Route{{Via: r.gateway}}},
		},
		Links: []lab.Link{
			{Ends: [2]lab.End{
				{Node: r.client, Interface: eth, Addresses: []netip.Prefix{netip.PrefixFrom(r.clientAddr, 24)}},
				{Node: r.host, Interface: r.outside, Addresses: []netip.Prefix{netip.PrefixFrom(r.hostAddr, 24)}},
			}},
			{Ends: [2]lab.End{
				{Node: r.host, Interface: r.veth, Bridge: r.bridge},
				{Node: r.box, Interface: eth, Addresses: []netip.Prefix{netip.PrefixFrom(r.boxAddr, 24)}},
			}},
		},
		Services: []lab.Service{{Node: r.box, Protocol: lab.HTTP, Listen: netip.AddrPortFrom(netip.IPv4Unspecified(), r.inner), Reply: "Hello.\n"}},
	}
}

// rules publish the port as Docker does, in chains of random names, among rules
// that do nothing to the request.
func (r *randomLab) rules() []string {
	rules := []string{
		"-t nat -N " + r.nat, "-N " + r.nat, "-N " + r.own, "-t mangle -N " + r.early,
		"-t mangle -A PREROUTING -j " + r.early,
		"-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j " + r.nat,
		"-t nat -A POSTROUTING -s " + r.boxNet.String() + " ! -o " + r.bridge + " -j MASQUERADE",
		r.dnat("-p tcp", r.boxAddr, r.inner),
		"-P FORWARD DROP",
		"-A FORWARD -j " + r.own,
		"-A FORWARD -o " + r.bridge + " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
		"-A FORWARD -o " + r.bridge + " -j " + r.nat,
		"-A FORWARD -i " + r.bridge + " ! -o " + r.bridge + " -j ACCEPT",
		r.accept(),
	}
	for range r.rng.IntN(4) {
		rules = append(rules, r.harmless())
	}
	for i := range rules {
		rules[i] = "iptables " + rules[i]
	}
	return rules
}

func (r *randomLab) dnat(match string, to netip.Addr, port uint16) string {
	return fmt.Sprintf("-t nat -A %s ! -i %s %s --dport %d -j DNAT --to-destination %s:%d", r.nat, r.bridge, match, r.port, to, port)
}

func (r *randomLab) accept() string {
	return fmt.Sprintf("-A %s -d %s/32 ! -i %s -o %s -p tcp --dport %d -j ACCEPT", r.nat, r.boxAddr, r.bridge, r.bridge, r.inner)
}

// harmless is a rule that does not change what becomes of the request.
func (r *randomLab) harmless() string {
	other := fmt.Sprintf("-p tcp --dport %d", 30000+r.rng.IntN(1000))
	return pick(r,
		"-A "+r.own+" "+other+" -j DROP", "-A "+r.own+" -s 203.0.113.0/24 -j REJECT", "-A "+r.own+" -p udp -j DROP",
		"-t mangle -A "+r.early+" "+other+" -j MARK --set-mark 7", "-t mangle -A "+r.early+" -j RETURN",
		"-A INPUT "+other+" -j DROP", "-t raw -A PREROUTING "+other+" -j DROP",
	)
}

func (r *randomLab) node(name string) *lab.Node {
	i := slices.IndexFunc(r.topology.Nodes, func(n lab.Node) bool { return n.Name == name })
	return &r.topology.Nodes[i]
}

// replaceRule puts another rule of the host in the place of one; none where new is empty.
func (r *randomLab) replaceRule(old, new string) {
	n := r.node(r.host)
	i := slices.Index(n.Rules, "iptables "+old)
	if new == "" {
		n.Rules = slices.Delete(n.Rules, i, i+1)
		return
	}
	n.Rules[i] = "iptables " + new
}

func (r *randomLab) onHost(format string, args ...any) []command {
	return []command{{Node: r.host, Run: fmt.Sprintf(format, args...)}}
}

// try builds the lab, breaks it, asks, and mends it where the answer says how.
func (r *randomLab) try(t *testing.T) {
	l := labtest.Build(t, r.topology, r.variant)
	c := causeCase{From: r.client, Target: netip.AddrPortFrom(r.hostAddr, r.port).String()}
	if r.fault.run != nil {
		for _, b := range r.fault.run(r) {
			c.carryOut(t, l, r.variant, b)
		}
	}
	a := c.ask(t, l, r.variant)
	if a.Cause != r.fault.name || a.Reachable != (r.fault.name == "") {
		t.Fatalf("the answer is %q (reachable: %v), want %q; %s", a.Cause, a.Reachable, r.fault.name, describe(a))
	}
	if r.fault.culprit != nil {
		r.compare(t, a, r.fault.culprit(r))
	}
	if len(a.Fix.Commands) == 0 {
		return
	}
	for _, run := range a.Fix.Commands {
		c.carryOut(t, l, r.variant, command{Node: a.Fix.Node, Run: run})
	}
	if again := c.ask(t, l, r.variant); !again.Reachable {
		t.Errorf("after %q: %s; %s", a.Fix.Commands, again.Cause, describe(again))
	}
}

// compare holds the culprit to the fields that are known.
func (r *randomLab) compare(t *testing.T, a why.Answer, want why.Culprit) {
	t.Helper()
	got := a.Culprit
	if got == nil {
		t.Fatalf("nothing is blamed, want %+v; %s", want, describe(a))
	}
	if got.Kind != want.Kind || got.Node != want.Node || want.Chain != "" && got.Chain != want.Chain ||
		want.Table != "" && got.Table != want.Table || want.Rule != 0 && got.Rule != want.Rule || !strings.Contains(got.Text, want.Text) {
		t.Errorf("%+v is blamed, want %+v; %s", *got, want, describe(a))
	}
}
