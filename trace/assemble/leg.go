package assemble

import (
	"slices"
	"time"

	"packetwalk/trace"
)

// leg is the passage of one packet through one namespace. It follows the
// packet from event to event the way the kernel runs its rules.
type leg struct {
	node    string
	first   trace.Event
	entries []entry
	arrived time.Time // when the first event was read
	touched time.Time // when the newest was
	walk    *walk
	next    *leg
	// skipped says that the packet is not followed; see Assembler.Full.
	skipped bool

	at station
	// visited holds the stations of the current hook.
	visited []station
	// policy is that of the base chain which the packet is in.
	policy trace.Verdict
	// calls are the chains that the packet is in, the base chain first.
	calls []frame
	left  departure
	// ended is Dropped or Rejected when a rule or policy has ended the leg.
	ended trace.Outcome
	// reached is the rule with matches that must not run twice which the
	// packet has reached, while it is open whether it matched.
	reached *trace.Event
	// questions is how many entries have an open question.
	questions int

	ctstate   trace.CTState
	direction trace.Direction
	// translated says that the packet has visited a nat table.
	translated bool
}

// station is one of the tables of a hook.
type station struct {
	hook    trace.Hook
	variant trace.Variant
	table   trace.Table
}

func stationOf(e trace.Event) station { return station{e.Hook, e.Probe.Variant, e.Probe.Table} }

// entry is an event and the steps that it showed.
type entry struct {
	event    trace.Event
	read     time.Time
	steps    []trace.Step
	question question
}

// frame is a chain on the way from the base chain to the current rule.
type frame struct {
	chain string
	// gone says that the chain was left by a goto: coming back to it means
	// coming back to its caller.
	gone bool
}

// departure says whether a packet has left the table it was in.
type departure uint8

const (
	stays departure = iota
	mayHaveLeft
	hasLeft
)

func (l *leg) id() trace.Identity { return l.first.Packet.Identity }

func (l *leg) last() trace.Event { return l.entries[len(l.entries)-1].event }

// entry is the port that the packet came in by, exit the one that it leaves by:
// of a bridge the port behind it where bridge netfilter tells.
func (l *leg) entry() Port {
	if l.first.PhysIn != "" {
		return Port{l.node, l.first.PhysIn}
	}
	return Port{l.node, l.first.In}
}

func (l *leg) exit() Port {
	e := l.last()
	if e.PhysOut != "" {
		return Port{l.node, e.PhysOut}
	}
	return Port{l.node, e.Out}
}

// continuesWith says whether the event is one that the kernel can have
// reported next for the packet.
func (l *leg) continuesWith(e trace.Event) bool {
	if l.ended != "" {
		return false
	}
	if stationOf(e) == l.at {
		return l.left != hasLeft && !(e.Probe.Kind == trace.Enter && e.Probe.Base())
	}
	return (l.left != stays || l.reached != nil) && l.leadsTo(stationOf(e))
}

// resumesWith says the same for the case that events in between were lost.
func (l *leg) resumesWith(e trace.Event) bool {
	return l.ended == "" && l.leadsTo(stationOf(e))
}

// leadsTo says whether the netfilter diagram leads from where the packet was
// last seen to another station.
func (l *leg) leadsTo(next station) bool {
	if l.at.hook == next.hook {
		return l.isAhead(next)
	}
	switch l.at.hook {
	case trace.Prerouting:
		return next.hook == trace.Input || next.hook == trace.Forward || next.hook == trace.Postrouting
	case trace.Forward, trace.Output:
		return next.hook == trace.Postrouting
	}
	return false
}

// isAhead says whether a station of the current hook is still to come. Tables
// of the two variants with one priority come in the order in which the kernel
// met them, which is not known.
func (l *leg) isAhead(next station) bool {
	from, _ := l.at.variant.Priority(l.at.hook, l.at.table)
	to, ok := next.variant.Priority(next.hook, next.table)
	return ok && (to > from || to == from && !slices.Contains(l.visited, next))
}

// add takes the next event of the packet.
func (l *leg) add(e trace.Event, now time.Time) {
	l.touched = now
	if l.reached != nil {
		l.decideReached(&e)
	}
	l.arrive(stationOf(e))
	if e.Probe.Base() {
		l.policy = e.Probe.Policy
	}
	if e.Probe.CTState != "" {
		l.ctstate, l.direction = e.Probe.CTState, e.Probe.Direction
	}
	l.entries = append(l.entries, entry{event: e, read: now})
	l.left = stays
	switch e.Probe.Kind {
	case trace.Enter:
		l.enter(e)
	case trace.Match:
		l.match(e)
	case trace.Reach:
		l.reach(e)
	case trace.End:
		l.endOfChain(e)
	}
}

// reach notes that the packet has come to a rule that may match or not.
func (l *leg) reach(e trace.Event) {
	l.reached = &e
	if e.Probe.Asked {
		l.entries[len(l.entries)-1].question = open
		l.questions++
	}
}

func (l *leg) arrive(s station) {
	if l.at.hook != s.hook {
		l.visited = nil
	}
	l.at = s
	l.translated = l.translated || s.table == trace.NAT
	if !slices.Contains(l.visited, s) {
		l.visited = append(l.visited, s)
	}
}

// step notes a step at the newest event.
func (l *leg) step(e trace.Event, change func(*trace.Step)) {
	s := trace.Step{
		Node: e.Node, Hook: e.Hook, Table: e.Probe.Table, Variant: e.Probe.Variant, Chain: e.Probe.Chain, Verdict: trace.Continue,
		In: e.In, Out: e.Out, PhysIn: e.PhysIn, PhysOut: e.PhysOut,
		Src: e.Packet.Src, Dst: e.Packet.Dst, CTState: l.ctstate, Time: e.Time,
	}
	change(&s)
	at := &l.entries[len(l.entries)-1]
	at.steps = append(at.steps, s)
}

func (l *leg) enter(e trace.Event) {
	if e.Probe.Base() {
		l.calls = []frame{{chain: e.Probe.Chain}}
	} else if len(l.calls) == 0 || l.calls[len(l.calls)-1].chain != e.Probe.Chain {
		l.calls = append(l.calls, frame{chain: e.Probe.Chain})
	}
	if e.Probe.Last {
		l.endOfChain(e)
		return
	}
	l.step(e, func(*trace.Step) {})
}

func (l *leg) endOfChain(e trace.Event) {
	if e.Probe.Base() {
		l.applyPolicy(e)
		return
	}
	l.step(e, func(s *trace.Step) { s.Verdict = trace.Return })
	l.comeBack(e)
}

// match follows the packet through a rule that it matched.
func (l *leg) match(e trace.Event) {
	l.step(e, func(s *trace.Step) {
		s.Rule, s.Text, s.Verdict, s.Target = e.Probe.Rule, e.Probe.Text, e.Probe.Verdict, e.Probe.Target
	})
	switch v := e.Probe.Verdict; v {
	case trace.Continue:
	case trace.Jump:
		l.calls = append(l.calls, frame{chain: e.Probe.Target})
	case trace.Goto:
		l.leaveFor(e.Probe.Target)
	case trace.Return:
		l.comeBack(e)
	case trace.Drop:
		l.left, l.ended = hasLeft, trace.Dropped
	case trace.Reject:
		l.left, l.ended = hasLeft, trace.Rejected
	case trace.Accept:
		l.left = hasLeft
	default:
		// A translation accepts the packet. What any other target does is its own affair.
		if l.left = mayHaveLeft; v.Rewrites() {
			l.left = hasLeft
		}
	}
}

// leaveFor follows a goto.
func (l *leg) leaveFor(chain string) {
	if n := len(l.calls); n > 0 {
		l.calls[n-1].gone = true
	}
	l.calls = append(l.calls, frame{chain: chain})
}

// comeBack follows a RETURN, by a rule or at the end of a chain: back to the
// caller or, where that is the base chain's own caller, to the policy.
func (l *leg) comeBack(e trace.Event) {
	for n := len(l.calls); n > 0; n = len(l.calls) {
		l.calls = l.calls[:n-1]
		if n > 1 && !l.calls[n-2].gone {
			return
		}
	}
	l.applyPolicy(e)
}

// applyPolicy lets the base chain's policy decide.
func (l *leg) applyPolicy(e trace.Event) {
	l.step(e, func(s *trace.Step) {
		s.Chain, s.Verdict, s.Policy = l.at.hook.String(), l.policy, true
	})
	l.left = hasLeft
	if l.policy == trace.Drop {
		l.ended = trace.Dropped
	}
}

// settled says whether it is clear that the packet visits no nat table any more,
// whatever its state: its connection's first packet settles both addresses, so
// one that was not asked about its destination is not asked about its source
// (nf_nat_inet_fn in net/netfilter/nf_nat_core.c). It is how every packet of a
// connection goes that nobody answers, after the first.
func (l *leg) settled() bool {
	return !l.translated && (l.first.Hook == trace.Prerouting && l.at.hook != trace.Prerouting || l.first.Hook == trace.Output && l.at.hook != trace.Output)
}

// complete says whether the packet has passed every probed table of its hook.
// maybe says that all that can still come is a visit to the nat table, which
// only packets that open a connection make, and not all of those.
func (l *leg) complete(probed map[trace.Variant][]trace.Table) (complete, maybe bool) {
	if l.left != hasLeft {
		return false, false
	}
	for variant, tables := range probed {
		for _, t := range tables {
			if !l.isAhead(station{l.at.hook, variant, t}) {
				continue
			}
			if t != trace.NAT {
				return false, false
			}
			switch l.ctstate {
			case trace.Established, trace.Invalid, trace.Untracked:
			default:
				maybe = maybe || !l.settled()
			}
		}
	}
	return !maybe, maybe
}
