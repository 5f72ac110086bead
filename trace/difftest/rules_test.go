package difftest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"packetwalk/trace"
)

// generator makes the rules of one address family.
type generator struct {
	*rand.Rand
	family trace.Family
	// chains are the user-defined chains of the table that is being written.
	chains []userChain
}

// userChain is a chain that base chains may jump to.
type userChain struct {
	name string
	// hooks are those that its packets may come from: the kernel refuses a
	// target where one of them does not allow it.
	hooks []trace.Hook
	// depth orders the chains: a chain jumps to deeper ones only, so that there is no loop.
	depth int
}

// place is where a rule stands.
type place struct {
	table trace.Table
	hooks []trace.Hook
	depth int // -1 in a base chain
}

// only says whether packets come from no other hooks than these.
func (p place) only(hooks ...trace.Hook) bool {
	return !slices.ContainsFunc(p.hooks, func(h trace.Hook) bool { return !slices.Contains(hooks, h) })
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// pick chooses one of several.
func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// text is four or six, as the family has it.
func (g *generator) text(four, six string) string {
	if g.family == trace.IPv6 {
		return six
	}
	return four
}

// randomRules is the input of iptables-restore, or of ip6tables-restore, for all tables.
func randomRules(r *rand.Rand, family trace.Family) string {
	g := generator{Rand: r, family: family}
	var b strings.Builder
	for _, table := range trace.Tables() {
		g.table(&b, table)
	}
	return b.String()
}

func (g *generator) table(b *strings.Builder, table trace.Table) {
	fmt.Fprintf(b, "*%s\n", table)
	for _, h := range trace.HooksOf(table) {
		fmt.Fprintf(b, ":%s %s [0:0]\n", h, g.policy(table))
	}
	g.chains = nil
	for i := range g.IntN(5) {
		c := userChain{name: fmt.Sprintf("USER%d", i), hooks: g.hooksFor(table), depth: i}
		g.chains = append(g.chains, c)
		fmt.Fprintf(b, ":%s - [0:0]\n", c.name)
	}
	for _, h := range trace.HooksOf(table) {
		for range g.IntN(6) {
			fmt.Fprintf(b, "-A %s %s\n", h, g.rule(place{table, []trace.Hook{h}, -1}))
		}
	}
	for _, c := range g.chains {
		for range g.IntN(5) {
			fmt.Fprintf(b, "-A %s %s\n", c.name, g.rule(place{table, c.hooks, c.depth}))
		}
	}
	b.WriteString("COMMIT\n")
}

func (g *generator) policy(table trace.Table) trace.Verdict {
	drops := map[trace.Table]int{trace.Raw: 3, trace.Mangle: 5, trace.Filter: 25, trace.Security: 10}[table]
	if g.IntN(100) < drops {
		return trace.Drop
	}
	return trace.Accept
}

// hooksFor chooses which base chains may jump to a chain. In the nat table
// hardly two of them allow the same targets.
func (g *generator) hooksFor(table trace.Table) []trace.Hook {
	if table == trace.NAT {
		return pick(g.Rand, []trace.Hook{trace.Prerouting, trace.Output}, []trace.Hook{trace.Postrouting}, []trace.Hook{trace.Input})
	}
	return trace.HooksOf(table)
}

// rule is a rule without its chain. One of five does something to the packets
// that it counts, and lets them go on.
func (g *generator) rule(p place) string {
	to := g.target(p)
	counted := g.IntN(5) == 0
	if counted {
		to = g.passing(p)
	}
	words := g.matches(p, to.proto)
	if counted {
		words = append(words, g.stateful(p))
	}
	if to.target != "" {
		words = append(words, to.target)
	}
	return strings.Join(words, " ")
}

// matches is what a rule asks for: a protocol where the target needs one, and
// up to three more things.
func (g *generator) matches(p place, proto string) []string {
	var words []string
	if i := g.interfaces(p); i != "" && g.IntN(4) == 0 {
		words = append(words, i)
	}
	if g.IntN(4) == 0 {
		words = append(words, g.address())
	}
	if proto == "" && g.IntN(2) == 0 {
		proto = pick(g.Rand, "tcp", "udp", g.text("icmp", "ipv6-icmp"))
	}
	if proto != "" {
		words = append(words, "-p "+strings.TrimSuffix(proto, " --syn"))
		words = append(words, g.ofProtocol(proto)...)
	}
	if len(words) == 0 || g.IntN(3) == 0 {
		words = append(words, g.module(p))
	}
	if g.IntN(6) == 0 {
		words = append(words, g.stateful(p))
	}
	return words
}

func (g *generator) not() string { return pick(g.Rand, "", "", "! ") }

func (g *generator) interfaces(p place) string {
	var options []string
	if p.only(trace.Prerouting, trace.Input, trace.Forward) {
		options = append(options, "-i ")
	}
	if p.only(trace.Forward, trace.Output, trace.Postrouting) {
		options = append(options, "-o ")
	}
	if len(options) == 0 {
		return ""
	}
	return g.not() + pick(g.Rand, options...) + pick(g.Rand, "c0", "s0", "lo")
}

func (g *generator) address() string {
	net := pick(g.Rand, g.text("10.0.1.0/24", "fd00:1::/64"), g.text("10.0.2.0/24", "fd00:2::/64"),
		g.text("10.0.2.2", "fd00:2::2"), g.text("10.0.9.0/24", "fd00:9::/64"), g.text("10.0.0.0/8", "fd00::/16"))
	return g.not() + pick(g.Rand, "-s ", "-d ") + net
}

func (g *generator) ofProtocol(proto string) []string {
	switch proto {
	case "tcp --syn":
		return []string{"-m tcp --tcp-flags SYN,RST SYN"}
	case "icmp":
		return pick(g.Rand, nil, []string{"-m icmp --icmp-type echo-request"}, []string{"-m icmp ! --icmp-type echo-reply"})
	case "ipv6-icmp":
		return pick(g.Rand, nil, []string{"-m icmp6 --icmpv6-type echo-request"}, []string{"-m icmp6 ! --icmpv6-type echo-reply"})
	}
	switch g.IntN(5) {
	case 0:
		return []string{"-m " + proto + " " + g.not() + "--dport " + pick(g.Rand, "80", "53", "1:1024")}
	case 1:
		return []string{"-m " + proto + " " + g.not() + "--sport " + pick(g.Rand, "2001", "2000:2002")}
	case 2:
		return []string{"-m multiport " + g.not() + pick(g.Rand, "--dports 80,443", "--dports 53,2000:3000", "--ports 80,2001", "--sports 2000,2002")}
	}
	return nil
}

// module is a match that looks and changes nothing.
func (g *generator) module(p place) string {
	options := []string{
		"-m mark " + g.not() + "--mark " + pick(g.Rand, "0x1", "0x2/0xf", "0x0"),
		"-m comment --comment " + pick(g.Rand, "plain", `"with -j DROP in it"`, `"quote \" and blank"`),
		"-m length --length " + pick(g.Rand, "0:60", "61:65535"),
		"-m addrtype --dst-type " + pick(g.Rand, "LOCAL", "UNICAST"),
		g.text("-m ttl --ttl-gt 32", "-m hl --hl-gt 32"),
		"-m string --algo bm --hex-string |0101|",
	}
	if p.only(trace.Prerouting) && p.table != trace.NAT {
		options = append(options, "-m rpfilter", "-m rpfilter --invert")
	}
	if p.only(trace.Output, trace.Postrouting) {
		options = append(options, "-m owner --uid-owner 0")
	}
	if p.table != trace.Raw {
		options = append(options,
			"-m conntrack --ctstate "+pick(g.Rand, "NEW", "ESTABLISHED", "RELATED,ESTABLISHED", "INVALID", "UNTRACKED", "DNAT", "SNAT"),
			"-m connmark "+g.not()+"--mark "+pick(g.Rand, "0x1", "0x2/0xf", "0x0"),
			"-m conntrack --ctdir "+pick(g.Rand, "ORIGINAL", "REPLY"),
			"-m connbytes --connbytes 1: --connbytes-dir both --connbytes-mode packets")
	}
	return pick(g.Rand, options...)
}

// stateful is a match that must not be run twice.
func (g *generator) stateful(p place) string {
	name := fmt.Sprintf("n%d", g.IntN(1000000))
	options := []string{
		"-m limit --limit 1/hour --limit-burst " + pick(g.Rand, "1", "2", "5"),
		"-m limit --limit 1/hour --limit-burst " + pick(g.Rand, "1", "2", "5"),
		"-m statistic --mode nth --every 2 --packet " + pick(g.Rand, "0", "1"),
		"-m recent --name " + pick(g.Rand, name, "shared") + " --rsource " + pick(g.Rand, "--set", "! --set", "--update", "--rcheck", "--remove"),
		"-m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 2 --hashlimit-mode srcip --hashlimit-name " + name,
		"-m quota --quota " + pick(g.Rand, "100", "1000"),
	}
	if p.table != trace.Raw {
		options = append(options, "-m connlimit --connlimit-above 1 --connlimit-mask "+g.text("32", "128"))
	}
	return pick(g.Rand, options...)
}
