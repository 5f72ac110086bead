package expect

import (
	"cmp"
	"slices"

	"packetwalk/scenarios"
	"packetwalk/trace"
)

// Check holds expectations to what happened, one result each, in their order.
func Check(e Evidence, expectations []scenarios.Expectation) []Result {
	e.Walks = slices.DeleteFunc(slices.Clone(e.Walks), func(w trace.Walk) bool { return !w.Done() || len(w.Steps) == 0 })
	slices.SortStableFunc(e.Walks, firstSeen)
	results := make([]Result, len(expectations))
	for i, x := range expectations {
		results[i] = e.check(x)
	}
	return results
}

// firstSeen orders walks by when their packet was first seen. A walk that takes
// long to end, because its packet got lost, may have a higher ID than what came
// after it.
func firstSeen(a, b trace.Walk) int {
	return cmp.Or(a.Steps[0].Time.Compare(b.Steps[0].Time), cmp.Compare(a.ID, b.ID))
}

func (e Evidence) check(x scenarios.Expectation) Result {
	r := Result{Expectation: x, Fault: e.answer(x)}
	if r.Fault != "" {
		return r
	}
	if !aboutPackets(x) {
		r.Holds = true
		return r
	}
	chosen := e.choose(x)
	if x.Packet == scenarios.None {
		at := slices.IndexFunc(chosen, func(w trace.Walk) bool { return passes(w, x.Through) })
		if r.Holds = at < 0; !r.Holds {
			r.Fault, r.Walk = SeenPacket, chosen[at].ID
		}
		return r
	}
	if len(chosen) == 0 {
		r.Fault = NoPacket
		return r
	}
	for _, w := range chosen {
		if f := fault(w, x); f != "" {
			r.Fault, r.Walk = f, w.ID
			return r
		}
	}
	r.Holds, r.Walk = true, chosen[0].ID
	return r
}

// answer holds what is expected of a request's answer to the one it had. A
// refusal, by a reset or an ICMP error, is no answer. A request that was not
// sent proves nothing.
func (e Evidence) answer(x scenarios.Expectation) Fault {
	if x.Answered == nil {
		return ""
	}
	a, sent := e.Answers[x.Request]
	switch answered := sent && a.Err == nil; {
	case *x.Answered && !answered:
		return NoAnswer
	case !*x.Answered && answered:
		return HasAnswer
	case !sent:
		return NoPacket
	}
	return ""
}

// aboutPackets says whether an expectation says anything of walks: that a
// request has no answer can be so because no packet ever left.
func aboutPackets(x scenarios.Expectation) bool {
	return x.Packet != "" || x.Outcome != "" || x.At != "" || x.End != nil || len(x.Through) > 0 || len(x.Avoids) > 0 ||
		x.Src.IsValid() || x.Dst.IsValid()
}

// fault is the first thing that a walk does not do as expected; empty where it
// does all.
func fault(w trace.Walk, x scenarios.Expectation) Fault {
	last := w.Steps[len(w.Steps)-1]
	end, decided := w.EndStep()
	if !decided {
		end = last
	}
	switch {
	case x.Outcome != "" && w.Outcome != x.Outcome:
		return WrongOutcome
	case x.At != "" && end.Node != x.At:
		return WrongNode
	case x.End != nil && !(decided && matches(end, *x.End)):
		return WrongEnd
	case !passes(w, x.Through):
		return NotThrough
	case slices.ContainsFunc(x.Avoids, func(p scenarios.Place) bool { return passes(w, []scenarios.Place{p}) }):
		return NotAvoided
	case x.Src.IsValid() && !same(last.Src, x.Src), x.Dst.IsValid() && !same(last.Dst, x.Dst):
		return WrongAddress
	}
	return ""
}

// passes says whether a walk has steps that fit the places, in their order. The
// first step that fits a place is taken for it: any later one would leave less
// room for the places behind.
func passes(w trace.Walk, places []scenarios.Place) bool {
	for _, s := range w.Steps {
		if len(places) > 0 && matches(s, places[0]) {
			places = places[1:]
		}
	}
	return len(places) == 0
}

// matches says whether a step is at a place: every field of the place that is set agrees.
func matches(s trace.Step, p scenarios.Place) bool {
	return (p.Node == "" || p.Node == s.Node) &&
		(p.Hook == "" || p.Hook == s.Hook.String()) &&
		(p.Table == "" || p.Table == s.Table) &&
		(p.Chain == "" || p.Chain == s.Chain) &&
		(p.Rule == 0 || p.Rule == s.Rule) &&
		(!p.Policy || s.Policy) &&
		(p.Verdict == "" || p.Verdict == s.Verdict) &&
		(p.Target == "" || p.Target == s.Target) &&
		(p.In == "" || p.In == s.In || p.In == s.PhysIn) &&
		(p.Out == "" || p.Out == s.Out || p.Out == s.PhysOut) &&
		(p.State == "" || p.State == s.CTState) &&
		(!p.Src.IsValid() || same(s.Src, p.Src)) &&
		(!p.Dst.IsValid() || same(s.Dst, p.Dst))
}
