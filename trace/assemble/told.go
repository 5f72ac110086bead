package assemble

import (
	"slices"
	"time"

	"packetwalk/trace"
)

// question says whether the kernel's word on a rule that was reached is still
// to come.
type question uint8

const (
	noQuestion question = iota
	// open: the walk waits for it.
	open
	// givenUp: it may still come, and nobody waits for it any more.
	givenUp
)

// undecided says whether the entry shows a rule of which it will soon be known
// whether it matched.
func (e entry) undecided() bool {
	return e.question == open && len(e.steps) == 1 && e.steps[0].Verdict == trace.Reached
}

// undecided says whether an entry of the walk is.
func (w *walk) undecided() bool {
	return slices.ContainsFunc(w.legs, func(l *leg) bool {
		return l.questions > 0 && slices.ContainsFunc(l.entries, entry.undecided)
	})
}

// tell takes the kernel's word on a rule that a packet has reached: the oldest
// event of the packet there that has none yet is meant.
func (a *Assembler) tell(e trace.Event, now time.Time) {
	for _, l := range a.legs[e.Packet.Identity] {
		if l.node != e.Node || !l.told(e) {
			continue
		}
		if l.walk != nil {
			a.grown(l.walk, now)
			a.settle(l.walk, now)
		}
		return
	}
}

// told says whether the word is on an event of the leg, and if so applies it.
func (l *leg) told(e trace.Event) bool {
	for i := range l.entries {
		if at := &l.entries[i]; at.question != noQuestion && isAbout(e, at.event) {
			l.apply(at, e.Probe.Kind == trace.Matched)
			return true
		}
	}
	return false
}

func isAbout(told, reach trace.Event) bool {
	told.Probe.Kind = trace.Reach
	return told.Probe == reach.Probe && told.Hook == reach.Hook
}

// apply applies the kernel's word to an entry. Where something else has decided
// about the rule already, it says nothing new.
func (l *leg) apply(at *entry, matched bool) {
	undecided, waits := at.undecided(), at.question == open
	at.question = noQuestion
	if waits {
		l.questions--
	}
	switch {
	case waits && l.reached != nil && at == &l.entries[len(l.entries)-1]:
		// Nothing has come since.
		l.reached = nil
		if matched {
			l.match(at.event)
		}
	case undecided && matched:
		at.steps[0].Verdict, at.steps[0].Target = at.event.Probe.Verdict, at.event.Probe.Target
	case undecided:
		at.steps = nil
	}
}

// giveUp stops waiting for the kernel's word on what was read before a time.
func (a *Assembler) giveUp(w *walk, before, now time.Time) {
	for _, l := range w.legs {
		if l.questions == 0 {
			continue
		}
		for i := range l.entries {
			if at := &l.entries[i]; at.question == open && !at.read.After(before) {
				at.question = givenUp
				l.questions--
				a.grown(w, now)
			}
		}
	}
}
