package tui

import (
	"slices"

	"packetwalk/trace"
	"packetwalk/trace/why"
)

// place of a step among an answer's walks; walk is an ID.
type decision struct{ walk, step int }

// decided finds the step that decided what became of the request: the culprit's
// own, else the end of the walk that came to a bad one, else what the evidence
// speaks of last; false where no walk was seen.
func decided(a why.Answer) (decision, bool) {
	walks := toldWalks(a)
	if len(walks) == 0 {
		return decision{}, false
	}
	if a.Reachable {
		return decision{walks[0].ID, endOf(walks[0])}, true
	}
	if a.Culprit != nil {
		for _, w := range walks {
			if i := slices.IndexFunc(w.Steps, func(s trace.Step) bool { return isAt(*a.Culprit, s) }); i >= 0 {
				return decision{w.ID, i}, true
			}
		}
	}
	for _, w := range walks {
		if failed(w.Outcome) {
			return decision{w.ID, endOf(w)}, true
		}
	}
	for _, f := range slices.Backward(a.Evidence) {
		if w, ok := walkOf(a, f.Walk); ok && f.Step >= 0 && f.Step < len(w.Steps) {
			return decision{w.ID, f.Step}, true
		}
	}
	return decision{walks[0].ID, endOf(walks[0])}, true
}

// isAt says whether a step is the culprit at work.
func isAt(c why.Culprit, s trace.Step) bool {
	if s.Node != c.Node || s.Table != c.Table || s.Chain != c.Chain || c.Variant != "" && s.Variant.String() != c.Variant {
		return false
	}
	switch c.Kind {
	case why.Rule:
		return s.Rule == c.Rule && s.Rule > 0
	case why.Policy:
		return s.Policy
	}
	return false
}

// failed says whether a packet came to a bad end.
func failed(o trace.Outcome) bool {
	return o == trace.Dropped || o == trace.Rejected || o == trace.Lost
}

// endOf is the index of the step that a walk ended at, or has come to.
func endOf(w trace.Walk) int {
	if w.End >= 0 && w.End < len(w.Steps) {
		return w.End
	}
	return len(w.Steps) - 1
}

// walkOf finds a walk of the attempt; one without steps does not count.
func walkOf(a why.Answer, id int) (trace.Walk, bool) {
	for _, w := range a.Attempt.Walks {
		if w.ID == id && len(w.Steps) > 0 {
			return w, true
		}
	}
	return trace.Walk{}, false
}

// toldWalks are the walks that the evidence speaks of, in their order; the
// first one where it speaks of none.
func toldWalks(a why.Answer) []trace.Walk {
	var told, all []trace.Walk
	for _, w := range a.Attempt.Walks {
		if len(w.Steps) == 0 {
			continue
		}
		all = append(all, w)
		if slices.ContainsFunc(a.Evidence, func(f why.Fact) bool { return f.Walk == w.ID }) {
			told = append(told, w)
		}
	}
	if len(told) == 0 {
		return all[:min(1, len(all))]
	}
	return told
}

// stop is a part of a walk in brief: one step that did something to the packet,
// or the hooks of a node that let it through as it was.
type stop struct {
	node  string
	hooks []trace.Hook
	step  int // -1 where nothing was done
}

// stops is a walk in brief. The step at marked is told whatever it did, -1 for none.
func stops(w trace.Walk, marked int) []stop {
	var all []stop
	for from := 0; from < len(w.Steps); {
		s := w.Steps[from]
		to, did := from, false
		for ; to < len(w.Steps) && w.Steps[to].Node == s.Node && w.Steps[to].Hook == s.Hook; to++ {
			if to == marked || acted(w, to) {
				all, did = append(all, stop{s.Node, []trace.Hook{s.Hook}, to}), true
			}
		}
		from = to
		if did {
			continue
		}
		if n := len(all); n > 0 && all[n-1].step < 0 && all[n-1].node == s.Node {
			all[n-1].hooks = append(all[n-1].hooks, s.Hook)
			continue
		}
		all = append(all, stop{s.Node, []trace.Hook{s.Hook}, -1})
	}
	return all
}

// acted says whether a step changed the packet's addresses, or ended its walk.
func acted(w trace.Walk, i int) bool {
	s := w.Steps[i]
	rewritten := i > 0 && (s.Src != w.Steps[i-1].Src || s.Dst != w.Steps[i-1].Dst)
	return rewritten || s.Unseen || s.Verdict.Rewrites() || s.Verdict == trace.Drop || s.Verdict == trace.Reject
}
