// Package nflog is the tracing engine that stands on iptables' NFLOG target: it
// plans probe rules, inserts and removes them, and turns what they log into
// trace.Event values. Making walks of the events is left to package assemble.
package nflog

import (
	"slices"

	"packetwalk/trace"
	"packetwalk/trace/filter"
	"packetwalk/trace/ruleset"
)

// Subject is what a plan is made for.
type Subject struct {
	Variant trace.Variant
	// Rules is the whole ruleset, probes of this and other traces included.
	Rules   ruleset.Ruleset
	Present Presence
	// Tables says which tables to probe.
	Tables []trace.Table
	// Run names the trace; it is part of every probe's log prefix.
	Run string
	// Group is the NFLOG group that the probes log to.
	Group uint16
	// Next is the number of the next new probe, and Known the matches that the
	// run's older ones were made with: iptables-save may write them otherwise.
	Next  int
	Known map[int]string
	// Careful says that the plan must change nothing for packets. Asking for
	// the state of a connection switches connection tracking on where it is
	// off, and so does a nat table: where a ruleset has neither, and others have
	// not switched it on (Tracked), a careful plan does without.
	Careful bool
	// Tracked says that connections are tracked because of another ruleset or of
	// a native table, whatever these rules say.
	Tracked bool
	// Ask says that the kernel can be asked, by its own trace, what a rule did.
	Ask bool
	// Filter chooses the connections whose packets are reported.
	Filter filter.Filter
	// Count asks that packets can be counted by the counters of probes.
	Count bool
}

// tables are the tables that may be probed.
func (s Subject) tables() []trace.Table {
	nat, ok := s.Rules.Table(trace.NAT)
	if !s.Careful || ok && slices.ContainsFunc(nat.Chains, ruleset.Chain.Base) {
		return s.Tables
	}
	return slices.DeleteFunc(slices.Clone(s.Tables), func(t trace.Table) bool { return t == trace.NAT })
}

// TracksConnections says whether a ruleset makes the kernel track connections:
// by a nat table, or by a match or target that needs to know them.
func TracksConnections(rules ruleset.Ruleset) bool {
	if _, ok := rules.Table(trace.NAT); ok {
		return true
	}
	for _, t := range rules.Tables {
		for _, c := range t.Chains {
			for _, r := range c.Rules {
				if !isProbe(r) && (tracking[r.Target] || slices.ContainsFunc(r.Modules(), func(m string) bool { return tracking[m] })) {
					return true
				}
			}
		}
	}
	return false
}

// tracking holds the matches and targets that switch connection tracking on
// (those that call nf_ct_netns_get in net/netfilter/xt_*.c).
var tracking = map[string]bool{
	"connbytes": true, "connlabel": true, "connlimit": true, "connmark": true, "conntrack": true, "helper": true, "state": true,
	"CONNMARK": true, "CONNSECMARK": true, "CT": true, "SYNPROXY": true,
}

// Plan says which probes a ruleset needs, and how to get from those that it has
// to them.
type Plan struct {
	// Probes holds what each probe means, by its number.
	Probes map[int]trace.Probe
	// Matches holds the matches of each probe, as Subject.Known wants them.
	Matches map[int]string
	// Next is the number of the next new probe.
	Next int

	subject Subject
	// conntrack says whether probes may ask for the state of a connection.
	conntrack bool
	// narrow says whether the filter leaves packets out.
	narrow bool
	// edits are those of each table, in the order in which iptables-restore has to do them.
	edits map[trace.Table][]edit
}

// NewPlan plans probes for every chain of every table, those tables and base
// chains included that are not present. Probes of this run that are in place
// stay, whatever moved around them; those that are not go.
func NewPlan(s Subject) *Plan {
	p := &Plan{
		Probes: map[int]trace.Probe{}, Matches: map[int]string{}, Next: s.Next, subject: s,
		edits:     map[trace.Table][]edit{},
		conntrack: !s.Careful || s.Tracked || TracksConnections(s.Rules),
		narrow:    s.Filter.String() != "",
	}
	for _, name := range s.tables() {
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

// Empty says whether everything is in place already.
func (p *Plan) Empty() bool { return len(p.edits) == 0 }

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

// wanted is a probe as a rule: its matches, or none, and what it means.
type wanted struct {
	probe trace.Probe
	match []string
	own   own
}

// own is what a probe's matches have of those of the rule that it stands at.
type own struct {
	at    int // the rule's position, counted from 1 with all probes; 0 for no rule
	parts []part
}

// gap is the room between two rules of a chain, and what stands in it.
type gap struct {
	// begin and end are the positions of the rules around it, counted from 1
	// with all probes; 0 is the chain's beginning.
	begin, end int
	ours       []placed
	// head holds the probes that follow the rule in front of the gap, tail
	// those that must stand directly before the rule behind it.
	head, tail []wanted
}

// placed is a probe of this run that stands in the ruleset.
type placed struct {
	id   int
	at   int // its position, counted from 1 with all probes
	rule ruleset.Rule
}

// chain plans the probes of one chain.
func (p *Plan) chain(table trace.Table, c ruleset.Chain, isChain map[string]bool) {
	gaps := p.gaps(c)
	base := trace.Probe{Variant: p.subject.Variant, Table: table, Chain: c.Name, Policy: c.Policy}
	last := len(gaps) - 1 // how many rules there are
	gaps[0].head = p.counting(base, p.enter(base, last == 0))
	number := 0
	for _, r := range c.Rules {
		if isProbe(r) {
			continue
		}
		probe := base
		number++
		probe.Rule, probe.Text = number, r.Text
		probe.Verdict, probe.Target = effect(r, isChain[r.Target])
		parts := parts(r)
		own := own{gaps[number-1].end, parts}
		if repeatable(parts) {
			gaps[number-1].tail = []wanted{{as(probe, trace.Match), sideEffectFree(parts), own}}
		} else {
			before, behind := p.around(probe, own)
			gaps[number-1].tail = before
			gaps[number].head = append(gaps[number].head, behind...)
		}
	}
	if last > 0 {
		gaps[last].tail = []wanted{{probe: as(base, trace.End)}}
	}
	// From the end to the beginning, so that an edit never moves what is still to come.
	for i := last; i >= 0; i-- {
		p.fill(base, gaps[i], i == last)
	}
}

func as(p trace.Probe, kind trace.ProbeKind) trace.Probe {
	p.Kind = kind
	return p
}

// gaps finds the gaps of a chain: one before every rule, and one at the end.
func (p *Plan) gaps(c ruleset.Chain) []gap {
	gaps := []gap{{}}
	for i, r := range c.Rules {
		at := &gaps[len(gaps)-1]
		prefix, ok := probePrefix(r)
		switch {
		case ok && prefix.Run == p.subject.Run:
			at.ours = append(at.ours, placed{prefix.Probe, i + 1, r})
		case !ok:
			at.end = i + 1
			gaps = append(gaps, gap{begin: i + 1})
		}
	}
	gaps[len(gaps)-1].end = len(c.Rules) + 1
	return gaps
}

// fill sees to it that the probes that belong into a gap are there. Where they
// are not, all of the gap's are made anew.
func (p *Plan) fill(base trace.Probe, g gap, last bool) {
	g.head, g.tail = p.filtered(g.head), p.filtered(g.tail)
	if p.keep(g.ours, append(slices.Clone(g.head), g.tail...)) {
		return
	}
	if last {
		for _, w := range g.tail {
			p.edit(base, edit{probe: p.add(base, w)})
		}
	} else {
		for _, w := range slices.Backward(g.tail) {
			p.edit(base, edit{at: g.end, probe: p.add(base, w)})
		}
	}
	for _, w := range slices.Backward(g.head) {
		p.edit(base, edit{at: g.begin + 1, probe: p.add(base, w)})
	}
	for _, o := range g.ours {
		p.edit(base, edit{at: o.at, gone: &o.rule})
	}
}

// filtered puts the filter in front of probes: one of each for every alternative.
func (p *Plan) filtered(all []wanted) []wanted {
	if !p.narrow {
		return all
	}
	var out []wanted
	for _, w := range all {
		use := filter.AfterConntrack
		switch {
		case w.probe.Table == trace.Raw, !p.conntrack:
			use = filter.BeforeConntrack
		case w.probe.Table == trace.NAT:
			use = filter.InNAT
		}
		for _, match := range p.subject.Filter.Narrow(use, w.match) {
			out = append(out, wanted{w.probe, match, w.own})
		}
	}
	return out
}

// keep says whether the probes of a gap are those that belong there, and if so
// notes what they mean now.
func (p *Plan) keep(ours []placed, all []wanted) bool {
	if len(ours) != len(all) {
		return false
	}
	for i, o := range ours {
		if match, known := p.subject.Known[o.id]; !known || match != ruleset.Join(all[i].match) {
			return false
		}
	}
	for i, o := range ours {
		p.mean(o.id, all[i])
	}
	return true
}

func (p *Plan) mean(id int, w wanted) {
	p.Probes[id], p.Matches[id] = w.probe, ruleset.Join(w.match)
}

// add numbers a new probe and returns it as a rule.
func (p *Plan) add(base trace.Probe, w wanted) *newProbe {
	id := p.Next
	p.Next++
	p.mean(id, w)
	return &newProbe{
		kind: w.probe.Kind, match: w.match, own: w.own, group: p.subject.Group,
		prefix: Prefix{p.subject.Run, id, p.origin(base)}.String(),
	}
}

// origin says what comes into being for a probe.
func (p *Plan) origin(base trace.Probe) Origin {
	if !base.Base() {
		return Existed
	}
	return p.subject.Present.origin(base.Table, base.Chain)
}

func (p *Plan) edit(base trace.Probe, e edit) {
	e.chain = base.Chain
	p.edits[base.Table] = append(p.edits[base.Table], e)
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
func (p *Plan) enter(base trace.Probe, empty bool) []wanted {
	probe := as(base, trace.Enter)
	probe.Last = empty
	hook, _ := trace.HookOf(probe.Chain)
	states := p.conntrack && probe.Table == trace.Mangle && probe.Base() && (hook == trace.Prerouting || hook == trace.Output)
	if !states {
		return []wanted{{probe: probe}}
	}
	var all []wanted
	for _, ct := range ctProbes {
		probe.CTState, probe.Direction = ct.state, ct.direction
		all = append(all, wanted{probe: probe, match: append([]string{"-m", "conntrack"}, ct.match...)})
	}
	return all
}

func isProbe(r ruleset.Rule) bool {
	_, ok := probePrefix(r)
	return ok
}

func withoutProbes(rules []ruleset.Rule) []ruleset.Rule {
	return slices.DeleteFunc(slices.Clone(rules), isProbe)
}

// Visible is the ruleset without the probes of any trace and the tables that
// came into being for them and that nobody else uses: what iptables-save shows when nobody traces.
func Visible(rules ruleset.Ruleset) ruleset.Ruleset {
	var out ruleset.Ruleset
	for _, t := range rules.Tables {
		made, used := false, false
		t.Chains = slices.Clone(t.Chains)
		for i := range t.Chains {
			c := &t.Chains[i]
			made = made || slices.ContainsFunc(c.Rules, func(r ruleset.Rule) bool {
				p, ok := probePrefix(r)
				return ok && p.Origin == MadeTable
			})
			c.Rules = withoutProbes(c.Rules)
			used = used || len(c.Rules) > 0 || c.Policy != trace.Accept
		}
		if !made || used {
			out.Tables = append(out.Tables, t)
		}
	}
	return out
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
