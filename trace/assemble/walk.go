package assemble

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"packetwalk/trace"
)

// walk is a chain of legs.
type walk struct {
	id      int // 0 until somebody asks
	flow    *flow
	legs    []*leg
	outcome trace.Outcome
	// changed says that the walk has grown since it was last taken, and since
	// when; shown that it was taken after its end.
	changed bool
	since   time.Time
	shown   bool
	// counted is how many packets it accounts for, and round the number of times
	// that the assembler had become full before; see Followed and Full.
	counted, round int
	// slimmed holds what is still asked for when the walk is forgotten.
	slimmed *slimmed
}

// slimmed is what other walks of the flow may ask of a walk that is forgotten.
type slimmed struct {
	began     time.Time
	direction trace.Direction
}

// slim drops the events and steps of a walk that nothing comes for any more: the
// flow remembers it for longer.
func (w *walk) slim() {
	w.slimmed = &slimmed{w.began(), w.direction()}
	w.legs = []*leg{{node: w.first().node, first: w.first().first}}
}

func (w *walk) first() *leg { return w.legs[0] }

func (w *walk) last() *leg { return w.legs[len(w.legs)-1] }

// began is when the packet was first seen. Only the kernel's own times compare
// across namespaces; the time when an event was read stands in for them.
func (w *walk) began() time.Time {
	if w.slimmed != nil {
		return w.slimmed.began
	}
	for _, l := range w.legs {
		for _, e := range l.entries {
			if e.event.KernelTime {
				return e.event.Time
			}
		}
	}
	return w.legs[0].first.Time
}

func (a *Assembler) end(w *walk, o trace.Outcome, now time.Time) {
	w.outcome = o
	a.grown(w, now)
}

// settle decides how the walk ended, if it has.
func (a *Assembler) settle(w *walk, now time.Time) {
	if w.outcome != "" {
		return
	}
	a.decideOpen(w, now)
	outcome := a.outcome(w.last(), now)
	if outcome == "" || w.undecided() {
		return
	}
	// The reader of a namespace that the packet has left may be behind.
	for _, before := range w.legs[:len(w.legs)-1] {
		if !a.passed(before, now) && now.Sub(before.touched) < a.config.LostAfter {
			return
		}
	}
	a.end(w, outcome, now)
}

// decideOpen settles whether a rule matched that a packet has reached and not
// passed for a while. Any leg can end like that: where the kernel asks no more
// tables, no event of the same namespace follows.
func (a *Assembler) decideOpen(w *walk, now time.Time) {
	for _, l := range w.legs {
		if l.reached != nil && now.Sub(l.touched) >= a.config.Settle {
			l.decideReached(nil)
			a.grown(w, now)
		}
	}
}

// outcome says how the packet's last leg ended; empty where it is still open.
func (a *Assembler) outcome(l *leg, now time.Time) trace.Outcome {
	quiet := now.Sub(l.touched)
	passed := a.passed(l, now)
	switch {
	case l.ended != "":
		return l.ended
	case passed && l.at.hook == trace.Input:
		return trace.Delivered
	case passed && l.at.hook == trace.Postrouting && !a.heardFromOthers(l.exit()):
		return trace.Forwarded
	case l.at.hook == trace.Postrouting && quiet >= a.config.LostOnWire,
		l.at.hook != trace.Postrouting && quiet >= a.config.LostAfter:
		return trace.Lost
	}
	return ""
}

// probed are the tables that report the leg's packet.
func (a *Assembler) probed(l *leg) map[trace.Variant][]trace.Table {
	return a.config.Nodes[l.node][l.first.Packet.Family]
}

// passed says whether the packet has passed every table of the hook it is at.
func (a *Assembler) passed(l *leg, now time.Time) bool {
	complete, maybe := l.complete(a.probed(l))
	return complete || maybe && now.Sub(l.touched) >= a.config.Settle
}

// draw draws the walk up as a value.
func (a *Assembler) draw(w *walk) trace.Walk {
	b := w.build()
	out := trace.Walk{
		ID: a.number(w), Flow: a.flows.number(w.flow), Packet: w.legs[0].first.Packet,
		Steps: b.steps[:b.decided], Outcome: w.outcome, End: -1,
	}
	for i, origin := range b.origins {
		b.steps[i].Remembered.Walk = a.number(origin)
	}
	out.Direction = w.direction()
	if refused := w.refuses(); refused != nil {
		out.Answers = a.number(refused)
	}
	if w.outcome != "" {
		out.End = len(out.Steps) - 1
	}
	clampTimes(out.Steps, b.kernel)
	return out
}

// direction is that of the first namespace which knows it.
func (w *walk) direction() trace.Direction {
	if w.slimmed != nil {
		return w.slimmed.direction
	}
	for _, l := range w.legs {
		if l.direction != "" {
			return l.direction
		}
	}
	return ""
}

// refuses finds the walk that a reset or an ICMP error answers: that of the
// packet which an ICMP error quotes, or the last that went the other way.
func (w *walk) refuses() *walk {
	p := w.first().first.Packet
	if !p.Refuses() {
		return nil
	}
	var found *walk
	for _, v := range w.flow.root().walks {
		q := v.first().first.Packet
		switch {
		case v == w || q.Refuses() || !v.began().Before(w.began()):
		case p.Embedded != nil && !quotes(*p.Embedded, q):
		case p.Embedded == nil && v.direction() == w.direction():
		case v.round != w.round && !names(p, q): // packets in between were not followed
		case found == nil || found.began().Before(v.began()):
			found = v
		}
	}
	return found
}

// quotes says whether the packet that an ICMP error quotes can be the given one
// of the same connection, by what NAT leaves alone: a request and its answer
// have the same sequence number in a ping.
func quotes(quoted, p trace.Packet) bool {
	return p.Proto == quoted.Proto && p.Seq == quoted.Seq && p.ICMPType == quoted.ICMPType && p.ICMPSeq == quoted.ICMPSeq
}

// build puts the steps of the walk together. On the way the flow learns of
// the translations that rules have set up.
func (w *walk) build() *builder {
	b := &builder{walk: w, origins: map[int]*walk{}}
	undecided := -1
	for _, l := range w.legs {
		for _, e := range l.entries {
			if undecided < 0 && e.undecided() {
				undecided = len(b.steps)
			}
			b.entry(l, e)
		}
	}
	b.unseen()
	if w.outcome == trace.Forwarded {
		b.undoneOnLeaving()
	}
	b.decided = len(b.steps)
	if undecided >= 0 {
		b.decided = undecided
	}
	return b
}

// builder puts the steps of a walk together, and finds what changed between them.
type builder struct {
	walk  *walk
	steps []trace.Step
	// decided is how many of the steps will stay as they are.
	decided int
	// origins are the walks that the steps with this index go back to.
	origins map[int]*walk
	// kernel says of each step whether its time is the kernel's.
	kernel []bool
	before *trace.Event
	on     *leg
}

func (b *builder) entry(l *leg, e entry) {
	if p := b.before; p != nil && (p.Packet.Src != e.event.Packet.Src || p.Packet.Dst != e.event.Packet.Dst) {
		b.rewritten(*p, e.event)
	}
	for _, s := range e.steps {
		b.add(s, e.event.KernelTime)
	}
	b.before, b.on = &e.event, l
}

func (b *builder) add(s trace.Step, kernel bool) {
	b.steps, b.kernel = append(b.steps, s), append(b.kernel, kernel)
}

// rewritten finds out what changed the addresses between two events: a rule of
// the nat table at the hook of the first, or connection tracking by itself.
func (b *builder) rewritten(before, after trace.Event) {
	t := translation{
		walk: b.walk, node: before.Node,
		from: pair{before.Packet.Src, before.Packet.Dst}, to: pair{after.Packet.Src, after.Packet.Dst},
	}
	for i := len(b.steps) - 1; i >= 0 && b.steps[i].Node == before.Node && b.steps[i].Hook == before.Hook; i-- {
		if s := b.steps[i]; s.Table == trace.NAT && s.Rule > 0 && s.Verdict.Rewrites() {
			said := t
			said.to, _ = told(s, t.from, t.to)
			for j := i; j < len(b.steps); j++ {
				b.steps[j].Src, b.steps[j].Dst = said.to.src, said.to.dst
			}
			said.table, said.chain, said.rule, said.verdict = s.Table, s.Chain, s.Rule, s.Verdict
			b.walk.flow.remember(said)
			if t.from = said.to; t.from == t.to {
				return
			}
			break // something else did the rest
		}
	}
	step := trace.Step{
		Node: before.Node, Hook: before.Hook, Table: trace.ConntrackTable, Verdict: trace.DNAT,
		In: before.In, Out: before.Out, PhysIn: before.PhysIn, PhysOut: before.PhysOut,
		Src: t.to.src, Dst: t.to.dst, CTState: b.on.ctstate, Time: before.Time,
	}
	if t.from.dst == t.to.dst {
		step.Verdict = trace.SNAT
	}
	if r, undone, ok := b.walk.flow.recall(t); ok {
		step.Verdict = r.verdict
		step.Remembered = &trace.Remembered{Node: r.node, Table: r.table, Chain: r.chain, Rule: r.rule, Undone: undone}
		b.origins[len(b.steps)] = r.walk
	}
	b.add(step, before.KernelTime)
}

// unseen says what a last rule of the nat table made of the packet where no
// later event shows it, as far as the rule's text tells.
func (b *builder) unseen() {
	if len(b.steps) == 0 {
		return
	}
	s := &b.steps[len(b.steps)-1]
	if s.Table != trace.NAT || s.Rule == 0 || !s.Verdict.Rewrites() {
		return
	}
	to, ok := told(*s, pair{s.Src, s.Dst}, pair{s.Src, s.Dst})
	s.Src, s.Dst, s.Unseen = to.src, to.dst, !ok
}

// told is what a rule of the nat table makes of addresses. Where its text names
// one address, and perhaps one port, that is certain (ok), but for a port that it
// leaves open; otherwise it is what was seen.
func told(rule trace.Step, from, seen pair) (to pair, ok bool) {
	option, before, after := "--to-destination", from.dst, seen.dst
	if rule.Verdict == trace.SNAT {
		option, before, after = "--to-source", from.src, seen.src
	}
	words := strings.Fields(rule.Text)
	i := slices.Index(words, option)
	if i < 0 || i+1 == len(words) {
		return seen, false
	}
	address, err := netip.ParseAddrPort(words[i+1])
	if err != nil {
		addr, err := netip.ParseAddr(words[i+1])
		if err != nil {
			return seen, false
		}
		if address = netip.AddrPortFrom(addr, before.Port()); addr == after.Addr() {
			address = after
		}
	}
	if rule.Verdict == trace.SNAT {
		return pair{address, from.dst}, true
	}
	return pair{from.src, address}, true
}

// undoneOnLeaving adds what connection tracking does to a reply behind the last
// probe: where its flow's destination was rewritten on the node, the source is
// turned back as the packet leaves (nf_nat_packet in net/netfilter/nf_nat_core.c).
// On a wire whose other end is traced, the next event shows it.
func (b *builder) undoneOnLeaving() {
	l := b.walk.last()
	if l.direction != trace.Reply || l.at.hook != trace.Postrouting {
		return
	}
	p := l.last()
	for _, r := range b.walk.flow.root().rewrites {
		if r.node == l.node && r.from.dst != r.to.dst && p.Packet.Src == r.to.dst {
			after := p
			after.Packet.Src = r.from.dst
			b.rewritten(p, after)
			return
		}
	}
}

// clampTimes pulls the times that are not the kernel's back to the next one
// that is: an event is read some time after it happened.
func clampTimes(steps []trace.Step, kernel []bool) {
	for i := len(steps) - 2; i >= 0; i-- {
		if !kernel[i] && steps[i].Time.After(steps[i+1].Time) {
			steps[i].Time = steps[i+1].Time
		}
	}
}
