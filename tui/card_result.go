package tui

import (
	"time"

	"packetwalk/scenarios/expect"
)

// result says what the step's traffic brought: whether the answer to the
// question was right, what the request got, and which expectations hold.
func (p cardPanel) result(w int) []line {
	lines := p.verdictOnAnswer(w)
	s := p.l.state
	if s.Request != "" && len(p.l.step().Send) > 0 {
		text, k := p.w.answer(s.Request, s.Answer)
		lines = append(lines, wrapped(text, w, 2, k)...)
	}
	lines = append(lines, p.expectations(s.Results, w)...)
	if len(lines) == 0 {
		return nil
	}
	return append(heading(p.w.m.Lesson.Walked, w), lines...)
}

// answer says what a request brought.
func (w words) answer(request string, a expect.Answer) (string, look) {
	m := w.m.Lesson
	text, k, why := m.Answered, plainLook, ""
	switch {
	case a.Err != nil:
		text, k, why = m.NoAnswer, warningLook, a.Err.Error()
	case a.Response.Status != 0:
		text = m.Status
	}
	return clean(fill(text, "request", request, "error", why, "status", itoa(a.Response.Status),
		"bytes", itoa(len(a.Response.Body)), "rtt", a.Response.RTT.Round(time.Microsecond).String())), k
}

// expectations are the expectations with a sign each, and what kept those from
// holding that do not.
func (p cardPanel) expectations(results []expect.Result, w int) []line {
	var lines []line
	for _, r := range results {
		sign, k := "✓ ", goodLook
		if !r.Holds {
			sign, k = "✗ ", badLook
		}
		text := wrapSpans(inlineMarkdown(p.w.expectation(r.Expectation)), min(w, mostProse)-2, 0)
		lines = append(lines, indented(text, sign, "  ", k)...)
		if !r.Holds {
			lines = append(lines, indented(wrapped(p.w.fault(r, p.walks), min(w, mostProse)-2, 0, badLook), "  ", "  ", plainLook)...)
		}
	}
	return lines
}

// goal adds the goal, how far it is reached, and the help that was asked for.
func (p cardPanel) goal(d *document, w int) {
	m, s, goal := p.w.m.Lesson, p.l.state, p.l.step().Goal
	lines := append(heading(m.Goal, w), markdownLines(goal.Text.In(p.w.lang), w)...)
	switch {
	case s.Reached:
		lines = append(lines, textLine("✓ "+m.Reached, goodLook))
	case s.Checking:
		lines = append(lines, wrapped(m.Checking, w, 0, packetLook)...)
	case len(s.Goal) > 0:
		lines = append(lines, textLine("○ "+m.NotReached, packetLook))
	}
	d.add(mark{part: partGoal}, append(lines, p.expectations(s.Goal, w)...))
	p.hints(d, w)
	if s.Solution {
		lines := heading(m.Solution, w)
		for _, c := range goal.Solution {
			lines = append(lines, typed(c, w)...)
		}
		d.add(mark{part: partSolution}, lines)
	}
}

func (p cardPanel) hints(d *document, w int) {
	m, goal := p.w.m.Lesson, p.l.step().Goal
	n := min(p.l.state.Hints, len(goal.Hints))
	for i, h := range goal.Hints[:n] {
		d.add(mark{partHint, i}, headed(fill(m.Hint, "n", itoa(i+1), "text", ""), h.In(p.w.lang), w))
	}
	if left := len(goal.Hints) - n; left > 0 && p.l.working() {
		more := fill(m.HintsLeft, "n", itoa(left), "key", p.keys.Hint.Help().Key)
		d.join(mark{partHint, n}, wrapped(more, w, 0, softLook))
	}
}
