package difftest

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/assemble"
	"packetwalk/trace/ruleset"
)

var (
	full     = flag.Bool("full", false, "compare 300 random rulesets instead of 30")
	seed     = flag.Uint64("seed", 0, "compare the one ruleset that this seed makes, or as many from it on as -rulesets says")
	rulesets = flag.Int("rulesets", 0, "how many rulesets to compare")
)

func TestMain(m *testing.M) { labtest.Main(m) }

// seeds are the first seed and the number of seeds that the flags ask for.
func seeds() (first uint64, count int) {
	first, count = 1, 30
	if *full {
		count = 300
	}
	if *seed != 0 {
		first, count = *seed, 1
	}
	if *rulesets > 0 {
		count = *rulesets
	}
	return first, count
}

func TestAgreesWithTheKernel(t *testing.T) {
	labtest.NeedIptables(t, "nft")
	all := tally{}
	first, count := seeds()
	for s := first; s < first+uint64(count); s++ {
		name := fmt.Sprintf("seed=%d", s)
		ok := t.Run(name, func(t *testing.T) { all.add(compareRuleset(t, s)) })
		if !ok {
			t.Logf("rerun it with: go test ./trace/difftest -seed %d", s)
		}
	}
	t.Logf("%d rulesets: %s", count, all)
	if count >= 300 && !t.Failed() {
		all.check(t)
	}
}

// packetsPerRuleset is how many packets are sent through each ruleset, beside their answers.
const packetsPerRuleset = 16

// compareRuleset loads the ruleset of a seed into a lab of its own, so that the
// seed alone decides what happens, sends packets through it, and compares the
// two accounts of each.
func compareRuleset(t *testing.T, seed uint64) tally {
	r := newRand(seed)
	rules := [2]string{randomRules(r, trace.IPv4), randomRules(r, trace.IPv6)}
	l := build(t)
	g := newGun(t, l)
	err := load(l, rules)
	if errors.Is(err, errRefused) {
		labtest.Skip(t, err.Error())
	}
	if err != nil {
		t.Fatalf("%v\n%s%s", err, rules[0], rules[1])
	}
	saved := save(t, l)
	w, tracer := start(t, l, g)
	var numbers map[ruleKey]int
	must(t, l.Node("router").Do(func() error {
		numbers = ruleNumbers(t)
		return nil
	}))
	c := newComparison(saved, numbers, assemble.Node(tracer.Probed()))
	w.settle(t)
	w.taken()
	for n := range packetsPerRuleset {
		s := randomShot(t, r, families[r.IntN(2)].family, n+1)
		must(t, g.send(s))
		w.settle(t)
		events, messages := w.taken()
		c.shots = append(c.shots, s)
		c.addEvents(n, events)
		c.addMessages(n, messages)
	}
	if lost := tracer.Lost(); lost != 0 {
		t.Fatalf("%d events were lost", lost)
	}
	problems := c.problems()
	if problems != "" {
		t.Errorf("\n%s\nrules:\n%s%s", problems, rules[0], rules[1])
	}
	return c.tally
}

// comparison holds the two accounts of what came through one ruleset.
type comparison struct {
	rules     map[trace.Family]ruleset.Ruleset // as iptables-save writes them
	numbers   map[ruleKey]int
	assembler *assemble.Assembler
	now       time.Time
	shots     []shot
	// windows says which shot a packet belongs to.
	windows map[trace.Identity]int
	kernel  map[packetKey][]line
	// passages are those that the kernel has begun to tell of, by its number. The end
	// of a sentinel's may come with the next shot: its beginning was waited for.
	passages map[uint32]passage
	faults   []string
	tally    tally
}

func newComparison(rules map[trace.Family]ruleset.Ruleset, numbers map[ruleKey]int, probed assemble.Node) *comparison {
	return &comparison{
		rules: rules, numbers: numbers, now: time.Unix(0, 0), windows: map[trace.Identity]int{}, kernel: map[packetKey][]line{}, passages: map[uint32]passage{}, tally: tally{},
		assembler: assemble.New(assemble.Config{Nodes: map[string]assemble.Node{"router": probed}}),
	}
}

// addEvents hands the events of one shot to the assembler, and then lets so
// much time pass that nothing is left open.
func (c *comparison) addEvents(window int, events []trace.Event) {
	for _, e := range events {
		c.now = c.now.Add(time.Microsecond)
		c.windows[e.Packet.Identity] = window
		c.assembler.Add(e, c.now)
		if k := e.Probe.Kind; k == trace.Matched || k == trace.Unmatched {
			c.tally["told "+k.String()]++
		}
	}
	c.now = c.now.Add(time.Minute)
	c.assembler.Tick(c.now)
}

// passage is a packet's way through a base chain.
type passage struct {
	key  packetKey
	hook trace.Hook
	skip bool
}

// addMessages reads the kernel's account of one shot.
func (c *comparison) addMessages(window int, messages []message) {
	for _, m := range messages {
		if m.packet != nil {
			hook, ok := trace.HookOf(m.Chain)
			if !ok {
				c.faults = append(c.faults, fmt.Sprintf("the kernel's trace begins in chain %s/%s", m.Table, m.Chain))
			}
			p := passage{keyOf(*m.packet, window), hook, beside(*m.packet)}
			c.passages[m.ID] = p
			if !p.skip {
				c.kernel[p.key] = append(c.kernel[p.key], entering(hook, trace.Table(m.Table), m.packet.Src, m.packet.Dst))
			}
		}
		p, ok := c.passages[m.ID]
		if l, is := c.lineOf(m, p.hook); is && !p.skip {
			if !ok {
				c.faults = append(c.faults, fmt.Sprintf("the kernel's trace of a packet lacks its beginning: %s", l))
				continue
			}
			c.kernel[p.key] = append(c.kernel[p.key], l)
		}
	}
}

// beside says whether a packet has nothing to do with the test: sentinels, and
// what machines multicast on their own.
func beside(p trace.Packet) bool { return p.Proto == sentinelProto || p.Dst.Addr().IsMulticast() }

// lineOf is what a message says, if it says something that packetwalk reports.
func (c *comparison) lineOf(m message, hook trace.Hook) (l line, ok bool) {
	l = line{hook: hook, table: trace.Table(m.Table), chain: m.Chain, verdict: verdictOf(m.Verdict), target: m.Target}
	switch {
	case m.Type == unix.NFT_TRACETYPE_POLICY:
		l.policy, l.verdict = true, verdictOf(int32(m.Policy))
		return l, true
	case m.Handle == 0: // no rule: the end of the chain, which in a base chain the policy follows
		_, base := trace.HookOf(m.Chain)
		l.verdict = trace.Return
		return l, !base
	}
	l.rule, ok = c.numbers[ruleKey{m.Family, m.Table, m.Handle}]
	if !ok {
		c.faults = append(c.faults, fmt.Sprintf("the kernel names a rule that is not in its list: %s/%s, handle %d", m.Table, m.Chain, m.Handle))
	}
	return l, ok && l.rule != probeNumber
}

// problems says where the two accounts differ. It is empty where they agree.
func (c *comparison) problems() string {
	c.assembler.Finish()
	walks := map[packetKey][]trace.Walk{}
	for _, w := range c.assembler.Take(c.now.Add(time.Hour), true) {
		if window := c.windows[w.Packet.Identity]; !beside(w.Packet) {
			key := keyOf(w.Packet, window)
			walks[key] = append(walks[key], w)
		}
	}
	keys := slices.Collect(maps.Keys(walks))
	for k := range c.kernel {
		if _, ok := walks[k]; !ok {
			keys = append(keys, k)
		}
	}
	for i, s := range c.shots {
		if !slices.ContainsFunc(keys, func(k packetKey) bool { return k.window == i }) {
			c.faults = append(c.faults, fmt.Sprintf("packet %d: %s\nnobody has seen it", i+1, s.about))
		}
	}
	slices.SortFunc(keys, func(a, b packetKey) int { return a.window - b.window })
	for _, k := range keys {
		c.compare(k, walks[k])
	}
	return strings.Join(c.faults, "\n")
}

// rule is the text that iptables-save gives a rule.
func (c *comparison) rule(f trace.Family, l line) string {
	chain, _ := c.rules[f].Chain(l.table, l.chain)
	if l.rule > len(chain.Rules) {
		return ""
	}
	return chain.Rules[l.rule-1].Text
}

func (c *comparison) compare(k packetKey, walks []trace.Walk) {
	var lines []line
	for _, w := range walks {
		lines = append(lines, linesOf(w)...)
	}
	for _, l := range lines {
		if l.rule > 0 {
			if r := c.rule(k.family, l); r != l.text {
				c.faults = append(c.faults, fmt.Sprintf("packetwalk says that rule %s is %q, iptables-save says %q", l, l.text, r))
			}
		}
	}
	d := difference(lines, c.kernel[k])
	if n := packets(c.kernel[k]); d == "" && len(walks) > n {
		d = fmt.Sprintf("  %d walks where the kernel saw %d packets\n", len(walks), n)
	}
	if d != "" {
		c.faults = append(c.faults, fmt.Sprintf("packet %d: %s\n%+v (+ packetwalk, - kernel):\n%s", k.window+1, c.shots[k.window].about, k, d))
	}
	c.tally.count(k, lines)
}

// tally counts what was compared.
type tally map[string]int

func (t tally) count(k packetKey, lines []line) {
	t["packets"]++
	t[k.family.String()]++
	for _, l := range lines {
		t["lines"]++
		name := string(l.verdict)
		if l.policy {
			name = "policy " + name
		}
		t[name]++
	}
}

func (t tally) add(other tally) {
	for k, n := range other {
		t[k] += n
	}
}

func (t tally) String() string {
	var words []string
	for _, k := range slices.Sorted(maps.Keys(t)) {
		words = append(words, fmt.Sprintf("%s %d", k, t[k]))
	}
	return strings.Join(words, ", ")
}

// check sees that a full run has met everything that it is meant to compare.
func (t tally) check(tb testing.TB) {
	for _, v := range []trace.Verdict{
		trace.Accept, trace.Drop, trace.Reject, trace.Jump, trace.Goto, trace.Return, trace.Continue,
		trace.DNAT, trace.SNAT, trace.Masquerade, trace.Redirect, trace.Netmap, "NFQUEUE", "TPROXY", "SYNPROXY", "policy ACCEPT", "policy DROP", "told matched", "told unmatched",
	} {
		if t[string(v)] == 0 {
			tb.Errorf("no packet has met %s", v)
		}
	}
}
