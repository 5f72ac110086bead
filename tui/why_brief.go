package tui

import (
	"slices"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/why"
)

// evidence is the walks in brief, and what else was seen.
func (p answerText) evidence() []line {
	told, more := toldWalks(p.a)
	at, _ := decided(p.a)
	var lines []line
	for i, w := range told {
		lines = append(lines, p.title(w)...)
		if i == 0 || p.matters(w, at) {
			lines = append(lines, p.way(w, at)...)
		}
	}
	if more > 0 {
		lines = append(lines, textLine("  "+fill(p.w.m.Why.MoreWalks, "n", itoa(more)), softLook))
	}
	lines = append(lines, p.facts(besides(p.a))...)
	if len(lines) == 0 {
		return nil
	}
	return append([]line{textLine(p.w.m.Why.Evidence, softLook)}, lines...)
}

// matters says whether the way of a packet does: a reply's, and that of a
// refusal or of another request only where it decided.
func (p answerText) matters(w trace.Walk, at decision) bool {
	if w.ID == at.walk && (failed(w.Outcome) || p.marked(w, at) >= 0) {
		return true
	}
	return w.Direction == trace.Reply && !w.Packet.Refuses()
}

// besides are the facts that walks in brief do not tell.
func besides(a why.Answer) []why.Fact {
	course := []why.FactKind{why.Rewritten, why.RequestEnded, why.ReplyEnded, why.RefusalCame}
	return slices.DeleteFunc(slices.Clone(a.Evidence), func(f why.Fact) bool {
		_, seen := walkOf(a, f.Walk)
		return seen && slices.Contains(course, f.Kind)
	})
}

// title says what packet walked, and what became of it.
func (p answerText) title(w trace.Walk) []line {
	m := p.w.m.Why
	what := choose(w.Direction == trace.Reply, m.Reply, m.Request)
	if w.Packet.Refuses() {
		what = choose(w.Packet.Embedded != nil, m.Notice, m.Refusal)
	}
	title := fill(m.WalkHead, "what", what, "id", itoa(w.ID), "packet", p.w.packet(w.Packet),
		"src", named(w, w.Packet.Src), "dst", named(w, w.Packet.Dst), "outcome", p.w.outcomeWord(w.Outcome))
	return indented(wrapped(clean(title), p.room()-2, 2, softLook), "  ", "  ", plainLook)
}

// way is a walk in brief, the step that decided marked.
func (p answerText) way(w trace.Walk, at decision) []line {
	var lines []line
	marked := p.marked(w, at)
	for _, s := range stops(w, marked) {
		lines = append(lines, p.stop(w, s, marked >= 0 && s.step == marked)...)
	}
	if w.Outcome == trace.Lost { // no step's doing
		lines = append(lines, p.brief(p.lost(w), badLook, choose(at == decision{w.ID, endOf(w)}, p.w.m.Why.Ended, ""))...)
	}
	return lines
}

// lost says where a packet got lost, and what that can mean where it is not known.
func (p answerText) lost(w trace.Walk) string {
	if p.a.Cause == why.Unknown {
		return p.w.outcome(w)
	}
	s := w.Steps[endOf(w)]
	return fill(p.w.m.Why.Lost, "node", s.Node, "place", string(s.Table)+"/"+s.Hook.String())
}

// marked is the step of a walk that is marked as the one that decided, -1 for
// none: the last one of a packet that arrived, or got lost behind it, did not.
func (p answerText) marked(w trace.Walk, at decision) int {
	if p.a.Reachable || w.ID != at.walk {
		return -1
	}
	stoppedHere := w.Outcome == trace.Dropped || w.Outcome == trace.Rejected
	if at.step == endOf(w) && !stoppedHere && !(p.a.Culprit != nil && isAt(*p.a.Culprit, w.Steps[at.step])) {
		return -1
	}
	return at.step
}

// stop is a line about a station of a walk.
func (p answerText) stop(w trace.Walk, s stop, marked bool) []line {
	m := p.w.m.Why
	if s.step < 0 {
		var hooks []string
		for _, h := range s.hooks {
			hooks = append(hooks, h.String())
		}
		return p.brief(fill(m.Passed, "node", s.node, "hooks", strings.Join(hooks, ", ")), plainLook, "")
	}
	step := w.Steps[s.step]
	place := step.Hook.String()
	if step.Table != trace.ConntrackTable { // whose own words name it
		named := step
		named.Policy = false // so do those of a policy
		place += p.colon() + stepPlace(p.w, named, bothVariants(w.Steps))
	}
	mark := ""
	if marked {
		mark = choose(p.a.Culprit != nil && isAt(*p.a.Culprit, step), m.Decided, m.Ended)
	}
	return p.brief(fill(m.Stop, "node", s.node, "place", place, "verdict", p.verdict(w, s.step)), verdictLook(step), mark)
}

// verdict says what a step did, in as few words as can be.
func (p answerText) verdict(w trace.Walk, i int) string {
	s := w.Steps[i]
	switch {
	case s.Verdict == trace.Drop && s.Policy:
		return fill(p.w.m.Rules.Policy, "policy", string(s.Verdict))
	case s.Verdict == trace.Drop:
		return string(s.Verdict)
	case s.Table != trace.ConntrackTable && s.Verdict.Rewrites() && !s.Unseen:
		to := choose(s.Verdict.RewritesSource(s.Hook), s.Src, s.Dst)
		return fill(p.w.m.Why.Rewrites, "verdict", string(s.Verdict), "addr", named(w, to))
	}
	return p.w.verdict(w, i)
}

// brief is a line below a walk's title, with a mark where it ended.
func (p answerText) brief(text string, l look, mark string) []line {
	spans := []span{{clean(text), l}}
	if mark != "" {
		spans = append(spans, span{" ← " + mark, badLook})
	}
	return indented(wrapSpans(spans, p.room()-4, 2), "    ", "    ", plainLook)
}
