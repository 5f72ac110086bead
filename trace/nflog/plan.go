// Package nflog is the tracing engine that stands on iptables' NFLOG target: it
// plans probe rules, inserts and removes them, and turns what they log into
// trace.Event values. Making walks of the events is left to package assemble.
package nflog

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

// Plan is the set of probes for one ruleset.
type Plan struct {
	// Run names the trace; it is part of every probe's log prefix.
	Run string
	// Group is the NFLOG group that the probes log to.
	Group uint16
	// First is the number of the first probe; the others follow it.
	First int
	// Probes holds what each probe means.
	Probes  []trace.Probe
	variant trace.Variant
	// present says what was there before.
	present Presence
	// rules are the probes as rules, in the order of Probes.
	rules []probeRule
	// edits are the iptables-restore lines of each table, in the order in which they have to run.
	edits map[trace.Table][]string
}

// probeRule is the rule that makes a probe: its own matches, or none, and the NFLOG target.
type probeRule struct {
	table trace.Table
	chain string
	match []string
}

// Presence says which tables and base chains exist without the probes. Those
// that do not come into being with a plan, and have to go with it. A nil
// Presence says that everything exists: legacy tables stay once they are there.
type Presence map[trace.Table]map[string]bool

// origin says what came into being for a probe in a base chain.
func (p Presence) origin(table trace.Table, chain string) Origin {
	if p == nil {
		return Existed
	}
	chains, ok := p[table]
	switch {
	case !ok:
		return MadeTable
	case !chains[chain]:
		return MadeChain
	}
	return Existed
}

// Origin says what came into being for a probe. It is part of the log prefix,
// so that another trace, or a clean-up after a dead one, knows it too.
type Origin string

// The origins.
const (
	Existed   Origin = ""
	MadeChain Origin = "c" // the base chain was made for probes
	MadeTable Origin = "t" // and so was its table
)

// Subject is what a plan is made for.
type Subject struct {
	Variant trace.Variant
	// Rules is the whole ruleset, other traces' probes included.
	Rules   ruleset.Ruleset
	Present Presence
	// Tables says which tables to probe.
	Tables []trace.Table
}

// NewPlan plans probes for every chain of every table, those tables and base
// chains included that are not present.
func NewPlan(s Subject, run string, group uint16, first int) *Plan {
	p := &Plan{Run: run, Group: group, First: first, variant: s.Variant, present: s.Present, edits: map[trace.Table][]string{}}

	for _, name := range s.Tables {
		table, _ := s.Rules.Table(name)
		isChain := map[string]bool{}
		for _, chain := range table.Chains {
			isChain[chain.Name] = true
		}
		for _, chain := range withBaseChains(name, table.Chains) {
			p.chain(name, chain, isChain)
		}
	}
	return p
}

// withBaseChains adds the base chains that the table would have but does not.
// iptables-nft makes base chains only when they are first used.
func withBaseChains(table trace.Table, chains []ruleset.Chain) []ruleset.Chain {
	all := slices.Clone(chains)
	for _, hook := range trace.HooksOf(table) {
		if !slices.ContainsFunc(all, func(c ruleset.Chain) bool { return c.Name == hook.String() }) {
			all = append(all, ruleset.Chain{Name: hook.String(), Policy: trace.Accept})
		}
	}
	return all
}

// chain plans the probes of one chain, from the last rule to the first, so
// that an insertion never moves a rule that is still to come. Rules that are
// the probes of another trace are passed over, and not counted.
func (p *Plan) chain(table trace.Table, c ruleset.Chain, isChain map[string]bool) {
	probe := trace.Probe{Table: table, Chain: c.Name, Policy: c.Policy}
	number := len(withoutProbes(c.Rules))
	if number == 0 {
		probe.Last = true
		p.enter(probe)
		return
	}
	end := probe
	end.Kind = trace.End
	p.add(end, nil, "-A "+ruleset.Join([]string{c.Name}))
	rule := probe
	for i := len(c.Rules); i >= 1; i-- {
		r := c.Rules[i-1]
		if isProbe(r) {
			continue
		}
		rule.Rule, rule.Text = number, r.Text
		rule.Verdict, rule.Target = effect(r, isChain[r.Target])
		p.rule(rule, i, r)
		number--
	}
	p.enter(probe)
}

// rule plans the probes of a rule, which is the chain's at-th, counted with
// the probes of others.
func (p *Plan) rule(probe trace.Probe, at int, r ruleset.Rule) {
	if repeatable(r) {
		probe.Kind = trace.Match
		p.add(probe, r.Match, insertAt(probe.Chain, at))
		return
	}
	probe.Kind = trace.Passed
	p.add(probe, nil, insertAt(probe.Chain, at+1))
	probe.Kind = trace.Reach
	p.add(probe, nil, insertAt(probe.Chain, at))
}

// probePrefix reads the log prefix of a rule that is a probe, of this or
// another trace.
func probePrefix(r ruleset.Rule) (Prefix, bool) {
	i := slices.Index(r.Options, "--nflog-prefix")
	if r.Target != "NFLOG" || i < 0 || i+1 == len(r.Options) {
		return Prefix{}, false
	}
	return ParsePrefix(r.Options[i+1])
}

func isProbe(r ruleset.Rule) bool {
	_, ok := probePrefix(r)
	return ok
}

func withoutProbes(rules []ruleset.Rule) []ruleset.Rule {
	return slices.DeleteFunc(slices.Clone(rules), isProbe)
}

// Visible is the ruleset without the probes of any trace and the tables that
// came into being for them: what iptables-save shows when nobody traces.
func Visible(rules ruleset.Ruleset) ruleset.Ruleset {
	var out ruleset.Ruleset
	for _, t := range rules.Tables {
		made := false
		t.Chains = slices.Clone(t.Chains)
		for i := range t.Chains {
			c := &t.Chains[i]
			made = made || slices.ContainsFunc(c.Rules, func(r ruleset.Rule) bool {
				p, ok := probePrefix(r)
				return ok && p.Origin == MadeTable
			})
			c.Rules = withoutProbes(c.Rules)
		}
		if !made {
			out.Tables = append(out.Tables, t)
		}
	}
	return out
}

// ctProbes are the matches that tell the conntrack state and, where it can be
// either, the direction. Every packet matches exactly one: the states exclude
// each other, and NEW is always in the original direction.
var ctProbes = []struct {
	state     trace.CTState
	direction trace.Direction
	match     []string
}{
	{trace.New, trace.Original, []string{"--ctstate", "NEW"}},
	{trace.Established, trace.Original, []string{"--ctstate", "ESTABLISHED", "--ctdir", "ORIGINAL"}},
	{trace.Established, trace.Reply, []string{"--ctstate", "ESTABLISHED", "--ctdir", "REPLY"}},
	{trace.Related, trace.Original, []string{"--ctstate", "RELATED", "--ctdir", "ORIGINAL"}},
	{trace.Related, trace.Reply, []string{"--ctstate", "RELATED", "--ctdir", "REPLY"}},
	{trace.Invalid, "", []string{"--ctstate", "INVALID"}},
	{trace.Untracked, "", []string{"--ctstate", "UNTRACKED"}},
}

// enter plans the probe of the chain's beginning. In the mangle table, the
// first after conntrack, one rule a state says at the same time what conntrack
// thinks of the packet.
func (p *Plan) enter(probe trace.Probe) {
	probe.Kind = trace.Enter
	hook, _ := trace.HookOf(probe.Chain)
	if probe.Table != trace.Mangle || !probe.Base() || (hook != trace.Prerouting && hook != trace.Output) {
		p.add(probe, nil, insertAt(probe.Chain, 1))
		return
	}
	for _, ct := range ctProbes {
		probe.CTState, probe.Direction = ct.state, ct.direction
		p.add(probe, append([]string{"-m", "conntrack"}, ct.match...), insertAt(probe.Chain, 1))
	}
}

func insertAt(chain string, number int) string {
	return fmt.Sprintf("-I %s %d", ruleset.Join([]string{chain}), number)
}

// add numbers a probe and notes the edit that puts its rule in place.
func (p *Plan) add(probe trace.Probe, match []string, edit string) {
	id := len(p.Probes)
	probe.Variant = p.variant
	p.Probes = append(p.Probes, probe)
	p.rules = append(p.rules, probeRule{probe.Table, probe.Chain, match})
	p.edits[probe.Table] = append(p.edits[probe.Table], edit+" "+p.spec(id))
}

// spec is the probe's rule, without a chain.
func (p *Plan) spec(id int) string {
	words := append(slices.Clone(p.rules[id].match), "-j", "NFLOG",
		"--nflog-group", strconv.Itoa(int(p.Group)), "--nflog-prefix", p.prefix(id))
	return ruleset.Join(words)
}

// prefix is the probe's log prefix.
func (p *Plan) prefix(id int) string {
	origin := Existed
	if p.Probes[id].Base() {
		origin = p.present.origin(p.rules[id].table, p.rules[id].chain)
	}
	return Prefix{p.Run, p.First + id, origin}.String()
}

// Attach is the iptables-restore --noflush input that inserts the probes.
func (p *Plan) Attach() string {
	return p.script(func(t trace.Table) []string { return p.edits[t] })
}

// Detach is the iptables-restore --noflush input that deletes the probes by
// their specification.
func (p *Plan) Detach() string { return p.detach(func(int) bool { return true }) }

// detach is Detach for some of the probes.
func (p *Plan) detach(some func(id int) bool) string {
	return p.script(func(t trace.Table) []string {
		var lines []string
		for id, r := range p.rules {
			if r.table == t && some(id) {
				lines = append(lines, "-D "+ruleset.Join([]string{r.chain})+" "+p.spec(id))
			}
		}
		return lines
	})
}

func (p *Plan) script(lines func(trace.Table) []string) string {
	var b strings.Builder
	for _, t := range trace.Tables() {
		if ls := lines(t); len(ls) > 0 {
			fmt.Fprintf(&b, "*%s\n%s\nCOMMIT\n", t, strings.Join(ls, "\n"))
		}
	}
	return b.String()
}

// effect says what follows when a rule matches, in the words of trace.Step: a
// target that is neither a chain nor known to let the packet go on is known by
// its own name.
func effect(r ruleset.Rule, isChain bool) (verdict trace.Verdict, target string) {
	switch {
	case r.Goto:
		return trace.Goto, r.Target
	case isChain:
		return trace.Jump, r.Target
	case r.Target == "" || goesOn[r.Target]:
		return trace.Continue, r.Target
	}
	return trace.Verdict(r.Target), ""
}

// goesOn holds the targets after which the packet always goes on to the next
// rule (iptables-extensions(8)).
var goesOn = map[string]bool{
	"AUDIT": true, "CHECKSUM": true, "CLASSIFY": true, "CONNMARK": true, "CONNSECMARK": true, "CT": true, "DSCP": true,
	"ECN": true, "HL": true, "HMARK": true, "IDLETIMER": true, "LED": true, "LOG": true, "MARK": true, "NFLOG": true,
	"NOTRACK": true, "RATEEST": true, "SECMARK": true, "SET": true, "TCPMSS": true, "TCPOPTSTRIP": true, "TEE": true,
	"TOS": true, "TRACE": true, "TTL": true, "ULOG": true,
}
