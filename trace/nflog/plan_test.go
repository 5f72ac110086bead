package nflog

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packetwalk/trace"
	"packetwalk/trace/filter"
	"packetwalk/trace/ruleset"
)

var update = flag.Bool("update", false, "write the golden files anew")

func parse(t testing.TB, text string) ruleset.Ruleset {
	t.Helper()
	r, err := ruleset.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func publishedRules(t testing.TB) ruleset.Ruleset {
	t.Helper()
	text, err := os.ReadFile("testdata/publish-80.rules")
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(text))
}

func TestPlanGolden(t *testing.T) {
	got := NewPlan(Subject{
		Rules: publishedRules(t), Present: Presence{trace.NAT: {"PREROUTING": true}, trace.Filter: {}},
		Tables: []trace.Table{trace.Raw, trace.Mangle, trace.NAT, trace.Filter}, Run: "run", Group: 5, Next: 100,
	}).Script()
	const golden = "testdata/publish-80.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-golden +planned), run with -update to accept:\n%s", diff)
	}
}

// simulate does to a list of rules what iptables-restore does with the lines of one table.
func simulate(t *testing.T, chains map[string][]string, script string) {
	t.Helper()
	for _, line := range strings.Split(script, "\n") {
		words, err := ruleset.Words(line)
		if err != nil {
			t.Fatal(err)
		}
		if len(words) < 2 {
			continue
		}
		chain := words[1]
		switch words[0] {
		case "-A":
			chains[chain] = append(chains[chain], ruleset.Join(words[2:]))
		case "-I":
			n, err := strconv.Atoi(words[2])
			if err != nil || n < 1 || n > len(chains[chain])+1 {
				t.Fatalf("%q: the chain has %d rules", line, len(chains[chain]))
			}
			chains[chain] = slices.Insert(chains[chain], n-1, ruleset.Join(words[3:]))
		case "-D":
			i := slices.Index(chains[chain], ruleset.Join(words[2:]))
			if i < 0 {
				t.Fatalf("%q: no such rule", line)
			}
			chains[chain] = slices.Delete(chains[chain], i, i+1)
		}
	}
}

// filterTable is a filter table that rules are changed in, in memory.
type filterTable struct {
	t      *testing.T
	names  []string // user-defined chains
	chains map[string][]string
	filter filter.Filter
	ask    bool
}

func (f *filterTable) ruleset() ruleset.Ruleset {
	f.t.Helper()
	text := "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n"
	for _, n := range f.names {
		text += ":" + n + " - [0:0]\n"
	}
	for _, n := range append([]string{"INPUT", "FORWARD", "OUTPUT"}, f.names...) {
		for _, r := range f.chains[n] {
			text += "-A " + n + " " + r + "\n"
		}
	}
	return parse(f.t, text+"COMMIT\n")
}

// probed says what stands in a chain: its rules, and the probes of the run.
func (f *filterTable) probed(plan *Plan, chain string) []string {
	f.t.Helper()
	var got []string
	for _, rule := range f.chains[chain] {
		prefix, ok := probePrefix(parseRule(f.t, rule))
		switch {
		case !ok:
			got = append(got, "rule")
		case prefix.Run != "run":
			got = append(got, "probe of another")
		default:
			p := plan.Probes[prefix.Probe]
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s %d %s %s", p.Kind, p.Rule, p.Verdict, p.Target)))
		}
	}
	return got
}

// parseRule reads a rule without its chain.
func parseRule(t *testing.T, text string) ruleset.Rule {
	t.Helper()
	c, _ := parse(t, "*filter\n:X - [0:0]\n-A X "+text+"\nCOMMIT\n").Chain(trace.Filter, "X")
	return c.Rules[0]
}

// plan plans for the table as it is, after an earlier plan if there is one, and
// carries the plan out.
func (f *filterTable) plan(before *Plan) *Plan {
	f.t.Helper()
	s := Subject{Rules: f.ruleset(), Tables: []trace.Table{trace.Filter}, Run: "run", Group: 5, Ask: f.ask, Filter: f.filter}
	if before != nil {
		s.Next, s.Known = before.Next, before.Matches
	}
	p := NewPlan(s)
	simulate(f.t, f.chains, p.Script())
	return p
}

func newFilterTable(t *testing.T) *filterTable {
	return &filterTable{t: t, names: []string{"EMPTY", "WEB"}, chains: map[string][]string{
		"FORWARD": {
			`-j NFLOG --nflog-group 7 --nflog-prefix packetwalk:other:1:`,
			`-i eth0 -j WEB`,
			`-j NFLOG --nflog-group 7 --nflog-prefix packetwalk:other:2:`,
			`-m limit --limit 5/sec -j ACCEPT`,
			`-m comment --comment "a \"b\"" -j DROP`,
		},
		"WEB": {`-p tcp -m tcp --dport 80 -g EMPTY`, `-m recent --name x --set`},
	}}
}

// Wherever the edits put the probes, each must stand where its kind belongs,
// and taking them out must leave what was there.
func TestPlanPlacesProbes(t *testing.T) {
	f := newFilterTable(t)
	before := f.ruleset().String()
	plan := f.plan(nil)
	for chain, want := range map[string][]string{
		"FORWARD": {
			"enter 0", "probe of another",
			"match 1 JUMP WEB", "rule", "probe of another",
			"reach 2 ACCEPT", "rule", "passed 2 ACCEPT",
			"match 3 DROP", "rule", "end 0",
		},
		"EMPTY": {"enter 0"},
		"WEB": {
			"enter 0", "match 1 GOTO EMPTY", "rule",
			"match 2 CONTINUE", "rule", "end 0",
		},
	} {
		if diff := cmp.Diff(want, f.probed(plan, chain)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", chain, diff)
		}
	}
	if again := f.plan(plan); !again.Empty() {
		t.Errorf("a plan for what is in place already:\n%s", again.Script())
	}
	simulate(t, f.chains, Removal(f.ruleset(), func(run string) bool { return run == "run" }))
	if diff := cmp.Diff(before, f.ruleset().String()); diff != "" {
		t.Errorf("after the removal (-before +after):\n%s", diff)
	}
}

// However others change the rules meanwhile, the next plan puts every probe
// where a first plan would have, and leaves alone what can stay.
func TestPlanFollowsChanges(t *testing.T) {
	chosen, err := filter.Parse("tcp port 80") // several probes for one
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		f := newFilterTable(t)
		if seed%2 == 1 {
			f.filter = chosen
		}
		f.ask = seed%4 >= 2
		plan := f.plan(nil)
		for range 4 {
			for range 1 + random.IntN(3) {
				f.change(random)
			}
			plan = f.plan(plan)
			if again := f.plan(plan); !again.Empty() {
				t.Fatalf("seed %d: a plan for what is in place already:\n%s", seed, again.Script())
			}
			fresh := &filterTable{t: t, names: f.names, chains: map[string][]string{}, filter: f.filter, ask: f.ask}
			for name, rules := range f.chains {
				fresh.chains[name] = slices.DeleteFunc(slices.Clone(rules), func(r string) bool { return strings.Contains(r, "packetwalk:run:") })
			}
			first := fresh.plan(nil)
			for _, chain := range []string{"INPUT", "FORWARD", "OUTPUT", "EMPTY", "WEB"} {
				// Where among the probes of others ours stand is nobody's concern.
				notOther := func(all []string) []string {
					return slices.DeleteFunc(all, func(s string) bool { return s == "probe of another" })
				}
				if diff := cmp.Diff(notOther(fresh.probed(first, chain)), notOther(f.probed(plan, chain))); diff != "" {
					t.Fatalf("seed %d, %s (-first plan +followed):\n%s", seed, chain, diff)
				}
			}
		}
	}
}

// change inserts or deletes a rule that is not ours at a random place.
func (f *filterTable) change(random *rand.Rand) {
	chain := []string{"INPUT", "FORWARD", "EMPTY", "WEB"}[random.IntN(4)]
	rules := f.chains[chain]
	if i := random.IntN(len(rules) + 1); i == len(rules) || random.IntN(2) == 0 || strings.Contains(rules[i], "packetwalk:run:") {
		rule := fmt.Sprintf("-s 192.0.2.%d -j DROP", random.IntN(200))
		if random.IntN(4) == 0 {
			rule = "-m limit --limit 1/sec -j " + []string{"RETURN", "LOG"}[random.IntN(2)]
		}
		f.chains[chain] = slices.Insert(rules, i, rule)
	} else {
		f.chains[chain] = slices.Delete(rules, i, i+1)
	}
}

// What a trace sees of a ruleset is what there is without traces.
func TestVisible(t *testing.T) {
	rules := parse(t, "*raw\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j NFLOG --nflog-prefix \"packetwalk:other:1:\" --nflog-group 7\n"+
		"-A OUTPUT -m comment --comment \"packetwalk:other:2:\" -j TRACE\n"+
		"-A OUTPUT -j NFLOG --nflog-prefix mine --nflog-group 7\n"+
		"-A OUTPUT -j TRACE\n-A OUTPUT -m comment --comment mine -j TRACE\n"+
		"-A OUTPUT -m comment --comment \"packetwalk:other:2:\" -j ACCEPT\nCOMMIT\n")
	before := rules.String()
	output, _ := Visible(rules).Chain(trace.Raw, "OUTPUT")
	var got []string
	for _, r := range output.Rules {
		got = append(got, r.Text)
	}
	want := []string{
		"-A OUTPUT -j NFLOG --nflog-prefix mine --nflog-group 7", "-A OUTPUT -j TRACE", "-A OUTPUT -m comment --comment mine -j TRACE",
		`-A OUTPUT -m comment --comment "packetwalk:other:2:" -j ACCEPT`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("visible rules (-want +got):\n%s", diff)
	}
	if rules.String() != before {
		t.Error("Visible changed its argument")
	}
}

func TestEmptyChainsNeedOneProbe(t *testing.T) {
	plan := NewPlan(Subject{Variant: trace.NFTables, Tables: []trace.Table{trace.Raw}})
	if len(plan.Probes) != 2 {
		t.Fatalf("%d probes in an empty raw table, want one each for PREROUTING and OUTPUT", len(plan.Probes))
	}
	for _, p := range plan.Probes {
		if p.Kind != trace.Enter || !p.Last || p.Policy != trace.Accept || p.Variant != trace.NFTables {
			t.Errorf("probe %+v, want one that enters and ends a chain with policy ACCEPT", p)
		}
	}
}

func TestEffect(t *testing.T) {
	for text, want := range map[string]string{
		"-A X -j ACCEPT": "ACCEPT ", "-A X -j DROP": "DROP ", "-A X -j RETURN": "RETURN ",
		"-A X -j REJECT --reject-with icmp-port-unreachable": "REJECT ",
		"-A X -j Y": "JUMP Y", "-A X -g Y": "GOTO Y", "-A X": "CONTINUE ",
		"-A X -j LOG": "CONTINUE LOG", "-A X -j MARK --set-xmark 0x1/0xffffffff": "CONTINUE MARK",
		"-A X -j DNAT --to-destination 192.0.2.1": "DNAT ", "-A X -j FUTURE": "FUTURE ",
	} {
		rules := parse(t, "*filter\n:X - [0:0]\n:Y - [0:0]\n"+text+"\nCOMMIT\n")
		c, _ := rules.Chain(trace.Filter, "X")
		verdict, target := effect(c.Rules[0], c.Rules[0].Target == "Y")
		if got := string(verdict) + " " + target; got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestPrefix(t *testing.T) {
	for _, id := range []int{0, 1, 35, 36, 1 << 30} {
		want := Prefix{strings.Repeat("z", maxRun), id, MadeTable}
		text := want.String()
		if len(text) > 63 {
			t.Errorf("prefix %q has %d characters, NFLOG takes 63", text, len(text))
		}
		if got, ok := ParsePrefix(text); !ok || got != want {
			t.Errorf("ParsePrefix(%q) = %v, %v", text, got, ok)
		}
	}
	for _, p := range []string{
		"", "web: ", "packetwalk:", "packetwalk:abc", "packetwalk:abc:1", "packetwalk::1:", "packetwalk:abc:-1:", "packetwalk:abc:!:", "packetwalk:abc:1:x",
	} {
		if _, ok := ParsePrefix(p); ok {
			t.Errorf("ParsePrefix(%q) took somebody else's prefix for ours", p)
		}
	}
}

func FuzzParsePrefix(f *testing.F) {
	f.Add("packetwalk:abc:1:t")
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := ParsePrefix(text)
		if !ok {
			return
		}
		if again, ok := ParsePrefix(p.String()); !ok || again != p {
			t.Fatalf("%q reads as %v, its own writing as %v", text, p, again)
		}
	})
}

// Packets are counted where they begin: all that come in and go out, less those
// that the machine has sent to itself.
func TestPlanCounts(t *testing.T) {
	rules := parse(t, "*nat\n:PREROUTING ACCEPT\nCOMMIT\n")
	f, err := filter.Parse("udp port 53")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		change func(*Subject)
		table  trace.Table
	}{
		{"every packet", func(*Subject) {}, trace.Raw},
		{"those of a filter", func(s *Subject) { s.Filter = f }, trace.Mangle},
		{"without connection tracking", func(s *Subject) { s.Filter, s.Careful, s.Rules = f, true, ruleset.Ruleset{} }, trace.Raw},
		{"where others track connections", func(s *Subject) { s.Filter, s.Careful, s.Tracked, s.Rules = f, true, true, ruleset.Ruleset{} }, trace.Mangle},
	} {
		s := Subject{Rules: rules, Tables: trace.Tables(), Run: "run", Count: true}
		test.change(&s)
		got := map[string]int{}
		for _, p := range NewPlan(s).Probes {
			if p.Counts != 0 {
				got[fmt.Sprintf("%s/%s %s %d", p.Table, p.Chain, p.Kind, p.Counts)]++
			}
		}
		for place := range got {
			got[place] = 1 // a filter has several of each
		}
		want := map[string]int{}
		for _, place := range []string{"PREROUTING enter 1", "PREROUTING tally -1", "OUTPUT enter 1"} {
			want[string(test.table)+"/"+place] = 1
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
		s.Count = false
		for _, p := range NewPlan(s).Probes {
			if p.Counts != 0 {
				t.Errorf("%s: a probe counts though nobody asked: %+v", test.name, p)
			}
		}
	}
}
