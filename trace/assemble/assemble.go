// Package assemble makes walks of events. It is pure: events and the time go
// in, walks come out.
//
// One packet makes a leg in every network namespace it crosses: the events of
// a namespace arrive in their order, and the netfilter diagram says which event
// may follow which. Legs become one walk where they hold the same packet (by
// the bits that NAT leaves alone), one leaves by the wire that the next comes
// in by, and the destination is the same on both ends of it.
package assemble

import (
	"slices"
	"time"

	"packetwalk/trace"
)

// Port is an interface of a node.
type Port struct{ Node, Interface string }

// Node is a traced network namespace: the tables that are probed, with all
// their base chains, by address family and variant of iptables.
type Node map[trace.Family]map[trace.Variant][]trace.Table

// Config says what is traced and how it is wired. Durations that are zero get
// their defaults.
type Config struct {
	// Segments numbers the layer 2 segments: ports with the same number hear
	// each other. Only ports of traced nodes belong in it.
	Segments map[Port]int
	// Nodes says, by node, what is probed.
	Nodes map[string]Node

	// Limit is how many walks are begun before the assembler is Full; 0 for no limit.
	Limit int
	// Early says whether the probes in front of connection tracking report such a
	// packet. Nil where they report every packet.
	Early func(trace.Packet) bool

	// Reorder is how long the beginning of a leg waits for the end of the one
	// before it, or for that of a bridge in between, and a walk that is done for those that began before it: events
	// of two namespaces are read side by side, and on a busy machine one reader
	// can fall that far behind. Default 250 ms.
	Reorder time.Duration
	// Calm is how long no event must have come before walks are handed out, so
	// that they come in their true order, and Rush how long they wait for that
	// at the most. Defaults 2 ms and 20 ms.
	Calm, Rush time.Duration
	// Gather is how long a walk that is under way waits before it is handed out
	// for the first time, so that the packets before it are known by then.
	// Default 10 ms.
	Gather time.Duration
	// Settle is how long a leg that could be complete waits for a visit to the
	// nat table that may or may not come. Default 100 ms.
	Settle time.Duration
	// Answer is how long a walk waits for the kernel's word on a rule that was
	// reached. Default 250 ms.
	Answer time.Duration
	// LostAfter is how long a packet may be silent inside a namespace before
	// it counts as lost. Default 1 s.
	LostAfter time.Duration
	// LostOnWire is the same for a packet on its way to the next namespace,
	// which may wait for its neighbour's address that long: three requests, a
	// second apart (net.ipv4.neigh.default.mcast_solicit). Default 4 s.
	LostOnWire time.Duration
}

func (c *Config) setDefaults() {
	for d, v := range map[*time.Duration]time.Duration{
		&c.Calm: 2 * time.Millisecond, &c.Rush: 20 * time.Millisecond, &c.Gather: 10 * time.Millisecond, &c.Reorder: 250 * time.Millisecond, &c.Settle: 100 * time.Millisecond,
		&c.Answer: 250 * time.Millisecond, &c.LostAfter: time.Second, &c.LostOnWire: 4 * time.Second,
	} {
		if *d == 0 {
			*d = v
		}
	}
}

// Assembler holds the walks that are under way. It is not safe for concurrent use.
type Assembler struct {
	config Config
	// shared holds the ports on whose segment another traced node listens.
	shared map[Port]bool
	// bridges holds, by segment, the nodes that have a bridge on it.
	bridges map[int][]string
	flows   flows
	lastID  int
	// newest is when the newest event was read.
	newest time.Time
	// legs holds, by packet, the legs that may still grow or be linked, oldest first.
	legs map[trace.Identity][]*leg
	// walks holds what is not done yet, or done so recently that a late event may belong to it.
	walks []*walk
	// orphans are legs that came in by a wire and wait for the leg before them.
	orphans []*leg
	// forgot is when forget last ran.
	forgot time.Time
	limit  limit
}

// New makes an Assembler.
func New(c Config) *Assembler {
	c.setDefaults()
	a := &Assembler{config: c, legs: map[trace.Identity][]*leg{}, flows: newFlows()}
	a.Rewire(c.Segments)
	return a
}

// Add takes an event that was read at the time now. Events of one node must
// come in their order; what the kernel says of one at an Ask probe, any time
// after that one.
func (a *Assembler) Add(e trace.Event, now time.Time) {
	if e.Probe.Kind == trace.Matched || e.Probe.Kind == trace.Unmatched {
		a.tell(e, now)
		return
	}
	a.newest, a.flows.now = now, now
	l := a.legOf(e)
	l.add(e, now)
	switch {
	case l.skipped:
		return
	case l.walk != nil:
		a.grown(l.walk, now)
		a.learn(l, l.entries[len(l.entries)-1:])
	case len(l.entries) == 1:
		a.place(l)
	}
	a.count(l)
	a.adopt(l)
	if l.walk != nil {
		a.settle(l.walk, now)
	}
}

// legOf finds the leg that the event continues, or begins one. Where an event
// was lost, no leg continues exactly; the oldest that can have skipped it does.
func (a *Assembler) legOf(e trace.Event) *leg {
	for _, accepts := range []func(*leg, trace.Event) bool{(*leg).continuesWith, (*leg).resumesWith} {
		for _, l := range a.legs[e.Packet.Identity] {
			if l.node == e.Node && accepts(l, e) {
				return l
			}
		}
	}
	l := &leg{node: e.Node, first: e, arrived: a.newest}
	a.legs[e.Packet.Identity] = append(a.legs[e.Packet.Identity], l)
	return l
}

// place gives a new leg its walk: the one of the leg before it, a new one, or
// none yet when the leg before it must still be on its way to us.
func (a *Assembler) place(l *leg) {
	if l.first.Hook != trace.Prerouting || !a.heardFromOthers(l.entry()) {
		a.begin(l)
		return
	}
	for _, before := range a.legs[l.id()] {
		if a.follows(before, l) {
			a.join(before, l)
			return
		}
	}
	a.orphans = append(a.orphans, l)
}

// begin makes a walk that starts with the leg, if it may start one.
func (a *Assembler) begin(l *leg) {
	if !a.mayBegin(l) {
		a.skip(l)
		return
	}
	l.walk = &walk{flow: a.flows.of(l.first.Packet), legs: []*leg{l}, round: a.limit.round}
	a.limit.begun++
	a.walks = append(a.walks, l.walk)
	l.walk.flow.add(l.walk)
	a.grown(l.walk, l.touched)
	a.learn(l, l.entries)
	a.adopt(l)
}

// join puts a leg behind another.
func (a *Assembler) join(before, l *leg) {
	before.next = l
	l.walk = before.walk
	l.walk.legs = append(l.walk.legs, l)
	a.grown(l.walk, l.touched)
	a.learn(l, l.entries)
	a.adopt(l)
}

// grown notes that a walk has something new to show.
func (a *Assembler) grown(w *walk, now time.Time) {
	if !w.changed {
		w.changed, w.since = true, now
	}
}

// learn tells the flow which addresses its packets have been seen with. New
// addresses mean a translation, which later walks of the flow go back to.
func (a *Assembler) learn(l *leg, entries []entry) {
	renamed := false
	for _, e := range entries {
		renamed = a.flows.learn(e.event.Packet, l.walk.flow) || renamed
	}
	if renamed {
		l.walk.build()
	}
}

// adopt looks for an orphan that follows the leg.
func (a *Assembler) adopt(l *leg) {
	if l.walk == nil {
		return
	}
	for i, o := range a.orphans {
		if o.id() == l.id() && a.follows(l, o) {
			a.orphans = slices.Delete(a.orphans, i, i+1)
			a.join(l, o)
			return
		}
	}
}

// follows says whether a packet that left by one leg can be the one that came
// in by the other. Source NAT happens behind the last probe of POSTROUTING, so
// only the destination must agree.
func (a *Assembler) follows(before, l *leg) bool {
	return a.mayPrecede(before, l) && a.wired(before.exit(), l.entry())
}

// mayPrecede says the same without regard to the wires.
func (a *Assembler) mayPrecede(before, l *leg) bool {
	return before != l && before.walk != nil && before.next == nil && before.at.hook == trace.Postrouting && before.ended == "" &&
		before.last().Packet.Dst == l.first.Packet.Dst
}

// Tick lets time pass: what waited long enough is decided. Nothing else ends the
// waiting for the kernel's word, since events may be read while that is not.
func (a *Assembler) Tick(now time.Time) {
	// A leg that begins a walk adopts others: they may be gone when their turn comes.
	for i := 0; i < len(a.orphans); {
		if l := a.orphans[i]; now.Sub(l.touched) >= a.config.Reorder {
			a.orphans = slices.Delete(a.orphans, i, i+1)
			a.giveUpWaiting(l)
			i = 0
			continue
		}
		i++
	}
	for _, w := range a.walks {
		a.giveUp(w, now.Add(-a.config.Answer), now)
		a.settle(w, now)
	}
	if now.Sub(a.forgot) >= time.Second {
		a.forgot = now
		a.forget(now)
	}
}

const (
	// rememberWalk is how long a walk that is done still takes late events.
	rememberWalk = 2 * time.Second
	// rememberFlow is how long a connection that is quiet is still known.
	rememberFlow = 10 * time.Minute
)

// forget drops what nothing will come for any more.
func (a *Assembler) forget(now time.Time) {
	a.walks = slices.DeleteFunc(a.walks, func(w *walk) bool {
		if !w.shown || now.Sub(w.last().touched) < rememberWalk {
			return false
		}
		a.drop(w.legs)
		w.slim()
		return true
	})
	a.forgetSkipped(now)
	a.flows.forget(now.Add(-rememberFlow))
}

// drop makes that no event is taken for one of the legs any more.
func (a *Assembler) drop(legs []*leg) {
	for _, l := range legs {
		rest := slices.DeleteFunc(a.legs[l.id()], func(o *leg) bool { return o == l })
		if a.legs[l.id()] = rest; len(rest) == 0 {
			delete(a.legs, l.id())
		}
	}
}

// Empty says whether nothing is left to decide or to forget.
func (a *Assembler) Empty() bool {
	return len(a.walks) == 0 && len(a.orphans) == 0 && len(a.limit.skipped) == 0
}

// Finish ends the trace: walks that are under way become unfinished.
func (a *Assembler) Finish() {
	for len(a.orphans) > 0 {
		l := a.orphans[0]
		a.orphans = a.orphans[1:]
		a.giveUpWaiting(l)
	}
	for _, w := range a.walks {
		a.decideOpen(w, a.newest.Add(a.config.Settle))
		a.giveUp(w, a.newest, a.newest)
		a.settle(w, a.newest)
		if w.outcome == "" {
			a.end(w, trace.Unfinished, a.newest)
		}
	}
	a.newest = time.Time{} // nothing more will come that could be out of order
}

// Take returns the walks that have changed since they were last taken, in the
// order in which the packets appeared; with done set only those that have come
// to their end, each once. While events are pouring in it waits a little, for
// the sake of the order.
func (a *Assembler) Take(now time.Time, done bool) []trace.Walk {
	var ready []*walk
	calm := now.Sub(a.newest) >= a.config.Calm
	for _, w := range a.walks {
		wanted := w.changed && (!done || w.outcome != "" && !w.shown)
		if !wanted || w.id == 0 && a.mustWait(w, now, done) {
			continue
		}
		calm = calm || now.Sub(w.since) >= a.config.Rush
		ready = append(ready, w)
	}
	if !calm {
		return nil
	}
	slices.SortStableFunc(ready, func(v, w *walk) int { return v.began().Compare(w.began()) })
	out := make([]trace.Walk, len(ready))
	for i, w := range ready {
		w.changed, w.shown = false, w.outcome != ""
		out[i] = a.draw(w)
	}
	return out
}

// mustWait says whether a walk that was not handed out yet must wait for another
// of its flow that began before it and may still be ready in time: that is done
// or, where walks are handed out under way, has been gathered. A refusal comes
// behind what it refuses, however late: a host that gives up asking for a
// neighbour reports that before the packet counts as lost.
func (a *Assembler) mustWait(w *walk, now time.Time, done bool) bool {
	gathering := func(v *walk) bool { return now.Sub(v.first().arrived) < a.config.Gather }
	if !done && gathering(w) {
		return true
	}
	refused := w.refuses()
	return slices.ContainsFunc(a.walks, func(v *walk) bool {
		if v == w || v.id != 0 || v.flow.root() != w.flow.root() || !v.began().Before(w.began()) {
			return false
		}
		if !done {
			return gathering(v)
		}
		return v.outcome == "" && (v == refused || now.Sub(v.last().touched) < a.config.Reorder)
	})
}

// Waiting says whether there is something to take or to decide soon.
func (a *Assembler) Waiting(done bool) bool {
	return len(a.orphans) > 0 || slices.ContainsFunc(a.walks, func(w *walk) bool {
		return w.outcome == "" || w.changed && !(done && w.shown)
	})
}

// number gives a walk its ID when somebody first asks for it.
func (a *Assembler) number(w *walk) int {
	if w.id == 0 {
		a.lastID++
		w.id = a.lastID
	}
	return w.id
}
