package assemble

import (
	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

// decideReached settles whether the rule that was reached last matched, now
// that the next event is known; nil means that none came.
func (l *leg) decideReached(next *trace.Event) {
	e := *l.reached
	l.reached = nil
	switch findingOf(e, next) {
	case matched:
		l.match(e)
	case unknown:
		l.seen(e)
	}
}

// finding is what is known of a rule that was reached.
type finding uint8

const (
	unknown finding = iota
	matched
	notMatched
)

// findingOf says what the event behind a rule tells of it. Both probes ask for
// what of the rule's matches may be asked twice, so reached and not passed
// means matched: the packet left, or the target changed it. Where the target
// lets the packet go on, it passes in either case, and only a mark can tell.
func findingOf(reach trace.Event, next *trace.Event) finding {
	goesOn := reach.Probe.Verdict == trace.Continue
	switch {
	case goesOn && reach.Probe.Target != "MARK":
		return unknown
	case next == nil || !passes(reach.Probe, next.Probe):
		return matched
	case goesOn:
		return marked(reach, *next)
	case reach.Probe.Verdict.Leaves():
		return notMatched
	}
	return unknown
}

// passes says whether the second probe is the one behind the rule that the first stands before.
func passes(reach, p trace.Probe) bool {
	return p.Kind == trace.Passed && p.Variant == reach.Variant && p.Table == reach.Table && p.Chain == reach.Chain && p.Rule == reach.Rule
}

// seen notes that the packet came to a rule, and that it is not known whether it matched.
func (l *leg) seen(e trace.Event) {
	l.step(e, func(s *trace.Step) {
		s.Rule, s.Text, s.Verdict, s.Target = e.Probe.Rule, e.Probe.Text, trace.Reached, e.Probe.Target
		if s.Target == "" && e.Probe.Verdict != trace.Continue {
			s.Target = string(e.Probe.Verdict)
		}
	})
}

// marked compares the packet's mark before and behind a rule whose target sets
// it. A mark that would not change tells nothing.
func marked(before, after trace.Event) finding {
	if before.Mark != after.Mark {
		return matched
	}
	if set, ok := ruleset.SetMark(before.Probe.Text, before.Mark); ok && set != before.Mark {
		return notMatched
	}
	return unknown
}
