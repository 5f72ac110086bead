package tui

import (
	"slices"

	"packetwalk/trace"
	"packetwalk/trace/why"
)

// decision is a step among an answer's walks; walk is an ID, 0 for none.
type decision struct{ walk, step int }

// decided finds the step that decided what became of the request, or at which
// it ended: the culprit's own, else the end of the walk that came to a bad one,
// else what the evidence speaks of last; false where no walk was seen.
func decided(a why.Answer) (decision, bool) {
	walks := spokenOf(a)
	if len(walks) == 0 {
		return decision{}, false
	}
	if a.Reachable {
		return decision{walks[0].ID, endOf(walks[0])}, true
	}
	if at, ok := atCulprit(a, append(walks, a.Attempt.Walks...)); ok {
		return at, true
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

// atCulprit is the first step at which a walk met the culprit.
func atCulprit(a why.Answer, walks []trace.Walk) (decision, bool) {
	if a.Culprit == nil {
		return decision{}, false
	}
	for _, w := range walks {
		if i := slices.IndexFunc(w.Steps, func(s trace.Step) bool { return isAt(*a.Culprit, s) }); i >= 0 {
			return decision{w.ID, i}, true
		}
	}
	return decision{}, false
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

// spokenOf are the walks that the evidence speaks of: the request's, the
// reply's, and the others in their order; the first one where it speaks of none.
func spokenOf(a why.Answer) []trace.Walk {
	var all []trace.Walk
	add := func(f why.Fact) {
		w, ok := walkOf(a, f.Walk)
		if ok && !slices.ContainsFunc(all, func(t trace.Walk) bool { return t.ID == w.ID }) {
			all = append(all, w)
		}
	}
	for _, kind := range []why.FactKind{why.RequestEnded, why.ReplyEnded} {
		for _, f := range a.Evidence {
			if f.Kind == kind {
				add(f)
			}
		}
	}
	for _, f := range a.Evidence {
		add(f)
	}
	if len(all) == 0 {
		for _, w := range a.Attempt.Walks {
			if len(w.Steps) > 0 {
				return []trace.Walk{w}
			}
		}
	}
	return all
}

// mostTold is how many walks are told: request, reply, and what refused it.
const mostTold = 3

// toldWalks are the first of the walks that the evidence speaks of, and the one
// with the step that decided.
func toldWalks(a why.Answer) (told []trace.Walk, more int) {
	all := spokenOf(a)
	told = all[:min(mostTold, len(all))]
	at, _ := decided(a)
	isIt := func(w trace.Walk) bool { return w.ID == at.walk }
	if w, ok := walkOf(a, at.walk); ok && !slices.ContainsFunc(told, isIt) {
		told = append(slices.Clone(told[:min(mostTold-1, len(told))]), w)
		if !slices.ContainsFunc(all, isIt) {
			all = append(all, w)
		}
	}
	return told, len(all) - len(told)
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
