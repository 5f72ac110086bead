package tui

import (
	"slices"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/why"
)

// mostBrief is how many walks are told in brief: request, reply and refusal.
const mostBrief = 3

// evidence is the walks in brief, and what else was seen.
func (p answerText) evidence() []line {
	told := toldWalks(p.a)
	brief := told[:min(mostBrief, len(told))]
	at, _ := decided(p.a)
	var lines []line
	for _, w := range brief {
		lines = append(lines, p.walk(w, at)...)
	}
	if more := len(told) - len(brief); more > 0 {
		lines = append(lines, textLine("  "+fill(p.w.m.Why.MoreWalks, "n", itoa(more)), softLook))
	}
	lines = append(lines, p.facts(besides(p.a.Evidence, brief))...)
	if len(lines) == 0 {
		return nil
	}
	return append([]line{textLine(p.w.m.Why.Evidence, softLook)}, lines...)
}

// besides leaves out the facts that walks in brief tell already.
func besides(facts []why.Fact, brief []trace.Walk) []why.Fact {
	course := []why.FactKind{why.Rewritten, why.RequestEnded, why.ReplyEnded, why.RefusalCame}
	return slices.DeleteFunc(slices.Clone(facts), func(f why.Fact) bool {
		return slices.Contains(course, f.Kind) && slices.ContainsFunc(brief, func(w trace.Walk) bool { return w.ID == f.Walk })
	})
}

// walk is a walk in brief, the step that decided marked. Of a refusal that
// arrived, its way is of no interest.
func (p answerText) walk(w trace.Walk, at decision) []line {
	m := p.w.m.Why
	what := choose(w.Direction == trace.Reply, m.Reply, m.Request)
	if w.Packet.Refuses() {
		what = m.Refusal
	}
	title := fill(m.WalkHead, "what", what, "id", itoa(w.ID), "packet", p.w.packet(w.Packet),
		"src", named(w, w.Packet.Src), "dst", named(w, w.Packet.Dst), "outcome", p.w.outcomeWord(w.Outcome))
	lines := indented(wrapped(clean(title), p.room()-2, 2, softLook), "  ", "  ", plainLook)
	marked := p.marked(w, at)
	if w.Packet.Refuses() && !failed(w.Outcome) && marked < 0 {
		return lines
	}
	for _, s := range stops(w, marked) {
		lines = append(lines, p.stop(w, s, marked >= 0 && s.step == marked)...)
	}
	if w.Outcome == trace.Lost { // no step's doing
		lines = append(lines, p.brief(p.w.outcome(w), badLook, w.ID == at.walk && at.step == endOf(w))...)
	}
	return lines
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
		return p.brief(fill(m.Passed, "node", s.node, "hooks", strings.Join(hooks, ", ")), plainLook, false)
	}
	step := w.Steps[s.step]
	place := step.Hook.String()
	if step.Table != trace.ConntrackTable { // whose own words name it
		step.Policy = false // so do those of a policy
		place += p.colon() + stepPlace(p.w, step, bothVariants(w.Steps))
	}
	return p.brief(fill(m.Stop, "node", s.node, "place", place, "verdict", p.w.verdict(w, s.step)), verdictLook(w.Steps[s.step]), marked)
}

func (p answerText) brief(text string, l look, marked bool) []line {
	spans := []span{{clean(text), l}}
	if marked {
		spans = append(spans, span{" ← " + p.w.m.Why.Decided, badLook})
	}
	return indented(wrapSpans(spans, p.room()-4, 2), "    ", "    ", plainLook)
}
