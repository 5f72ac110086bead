package tui

import (
	"slices"

	"packetwalk/trace"
)

// station is a place on the stage where a packet can be: a table of a hook, a
// user-defined chain called from it, or connection tracking.
type station struct {
	hook  trace.Hook
	table trace.Table
	// chain is empty for the table itself. With table nat it is atNAT where
	// conntrack does the work of nat, which the packet does not visit.
	chain string
}

// atNAT cannot be a chain's name, because a chain's name has no blanks.
const atNAT = " conntrack"

// passage is a walk's stay in one node: steps[from:to].
type passage struct {
	node     string
	from, to int
}

// passageAt finds the stay in a node that step i belongs to.
func passageAt(steps []trace.Step, i int) passage {
	p := passage{node: steps[i].Node, from: i, to: i + 1}
	for p.from > 0 && steps[p.from-1].Node == p.node {
		p.from--
	}
	for p.to < len(steps) && steps[p.to].Node == p.node {
		p.to++
	}
	return p
}

// stationOf is the station of step i.
func stationOf(steps []trace.Step, i int) station {
	s := steps[i]
	at := station{hook: s.Hook, table: s.Table}
	switch {
	case s.Table == trace.ConntrackTable && conntrackAtNAT(steps, i):
		at.table, at.chain = trace.NAT, atNAT
	case s.Table != trace.ConntrackTable && s.Chain != s.Hook.String():
		at.chain = s.Chain
	}
	return at
}

// conntrackAtNAT says whether a conntrack step stands where the nat table
// would: translation has the priority of the nat table, whoever does it.
func conntrackAtNAT(steps []trace.Step, i int) bool {
	s := steps[i]
	if s.Hook != trace.Prerouting && s.Hook != trace.Output {
		return true
	}
	for j := i - 1; j >= 0 && steps[j].Node == s.Node && steps[j].Hook == s.Hook; j-- {
		if t := steps[j].Table; t != trace.Raw && t != trace.ConntrackTable {
			return true
		}
	}
	return false
}

// tablesOn lists the tables of a hook with conntrack in its place: after raw,
// whose priority is the only one below its own.
func tablesOn(v trace.Variant, h trace.Hook) []trace.Table {
	tables := v.TablesAt(h)
	if i := slices.Index(tables, trace.Raw); i >= 0 {
		tables = slices.Insert(tables, i+1, trace.ConntrackTable)
	}
	return tables
}

// state is how far the packet has come with a station, or a way between hooks.
type state uint8

const (
	offPath state = iota // not on this packet's path
	ahead
	passed
	within // a table while the packet is in a chain that was called from it
	here
)

// progress is a walk's stay in a node as the stage draws it, with the packet at step at.
type progress struct {
	walk   trace.Walk
	stay   passage
	at     int
	states map[station]state
	// calls are the stations of user-defined chains under each table, in order
	// of the first visit, and depth is how deep each is called.
	calls map[station][]station
	depth map[station]int
	hooks map[trace.Hook]state
	// ways are the ways between two hooks.
	ways map[[2]trace.Hook]state
}

// newProgress reads off a walk what the stage shows with the packet at step i.
func newProgress(walk trace.Walk, i int) *progress {
	p := &progress{walk: walk, stay: passageAt(walk.Steps, i), at: i,
		states: map[station]state{}, calls: map[station][]station{}, depth: map[station]int{},
		hooks: map[trace.Hook]state{}, ways: map[[2]trace.Hook]state{}}
	for j := p.stay.from; j < p.stay.to; j++ {
		p.visit(j)
	}
	now := stationOf(walk.Steps, i)
	if now.chain != "" && now.chain != atNAT {
		p.states[station{hook: now.hook, table: now.table}] = within
	}
	p.states[now] = here
	for h := range p.hooks {
		p.passConntrack(h)
	}
	return p
}

func (p *progress) visit(j int) {
	steps := p.walk.Steps
	at, st := stationOf(steps, j), ahead
	if j <= p.at {
		st = passed
	}
	p.states[at] = max(p.states[at], st)
	table := station{hook: at.hook, table: at.table}
	if at.chain != "" {
		p.call(table, at, steps, j)
		if at.chain != atNAT {
			p.states[table] = max(p.states[table], st)
		}
	}
	p.hooks[at.hook] = max(p.hooks[at.hook], st)
	if j == p.at {
		p.hooks[at.hook] = here
	}
	if j > p.stay.from && steps[j-1].Hook != at.hook {
		way := [2]trace.Hook{steps[j-1].Hook, at.hook}
		p.ways[way] = max(p.ways[way], st)
	}
}

// call notes a visit to a chain under its table.
func (p *progress) call(table, at station, steps []trace.Step, j int) {
	if _, known := p.depth[at]; known {
		return
	}
	p.depth[at] = 1
	if before := stationBefore(steps, j); before.chain != "" && before.table == at.table && before.hook == at.hook &&
		(steps[j-1].Verdict == trace.Jump || steps[j-1].Verdict == trace.Goto) {
		p.depth[at] = p.depth[before] + 1
	}
	p.calls[table] = append(p.calls[table], at)
}

func stationBefore(steps []trace.Step, j int) station {
	if j == 0 || steps[j-1].Node != steps[j].Node {
		return station{}
	}
	return stationOf(steps, j-1)
}

// passConntrack marks connection tracking on a hook that the packet passes: it
// looks at every packet there, also at those that it rewrites nothing of.
func (p *progress) passConntrack(h trace.Hook) {
	tables := tablesOn(trace.Legacy, h) // the variants differ on INPUT only
	i := slices.Index(tables, trace.ConntrackTable)
	if i < 0 {
		return
	}
	at, after := station{hook: h, table: trace.ConntrackTable}, station{hook: h, table: tables[i+1]}
	if p.states[at] != here {
		p.states[at] = max(p.states[at], min(p.states[after], passed))
	}
}

// delivered says whether the packet has come to the local process of the node.
func (p *progress) delivered() bool {
	return p.at == p.stay.to-1 && p.at == len(p.walk.Steps)-1 && p.walk.Outcome == trace.Delivered
}

// sent says whether the packet came from a local process of the node.
func (p *progress) sent() bool { return p.walk.Steps[p.stay.from].Hook == trace.Output }

// stopped says whether the packet has ended here without arriving.
func stopped(walk trace.Walk, at int) bool {
	end := walk.End
	if end < 0 {
		end = len(walk.Steps) - 1
	}
	switch walk.Outcome {
	case trace.Dropped, trace.Rejected, trace.Lost:
		return at >= end
	}
	return false
}

// variantOf tells from a walk that the tables are those of iptables-nft, whose
// INPUT hook visits security after nat.
func variantOf(w trace.Walk, known trace.Variant) trace.Variant {
	for i, s := range w.Steps {
		if i > 0 && s.Hook == trace.Input && s.Table == trace.Security {
			if b := w.Steps[i-1]; b.Node == s.Node && b.Hook == s.Hook && b.Table == trace.NAT {
				return trace.NFTables
			}
		}
	}
	return known
}
