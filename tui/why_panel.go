package tui

import "packetwalk/scenarios"

// answerPanel draws the answer: what is to blame, what was run to mend it, the
// fix, and the evidence.
type answerPanel struct {
	w       words
	q       *inquiry
	now     string // what goes on
	askKey  string
	focused bool
}

func (m *model) answerPanel() answerPanel {
	return answerPanel{w: m.w, q: m.inquiry, now: m.doingNow(), askKey: m.keys.Ask.Help().Key, focused: m.focused() == onCard}
}

func (p answerPanel) draw(g *grid, r rect) {
	inner := g.panel(r, p.w.m.WhyScreen.Answer, p.note(), p.focused)
	g.lines(r, inner, p.lines(inner.w, inner.h), p.q.offset, p.focused)
}

// note is what is known of the target.
func (p answerPanel) note() string {
	m := p.w.m.WhyScreen
	if p.q.doing != resting || p.q.answer == nil {
		return m.Waiting
	}
	return choose(p.q.answer.Reachable, m.Reached, m.NotReached)
}

// extent is the number of lines and the room for them.
func (p answerPanel) extent(r rect) (n, h int) {
	inner := r.inset(2, 1)
	return len(p.lines(inner.w, inner.h)), inner.h
}

// lines are the answer's, with empty lines between its parts where there is room.
func (p answerPanel) lines(w, h int) []line {
	lines := p.write(w, true)
	if len(lines) > h {
		return p.write(w, false)
	}
	return lines
}

func (p answerPanel) write(w int, spaced bool) []line {
	now := p.doingNow(w)
	if p.q.answer == nil {
		return now
	}
	t := newAnswerText(p.w, *p.q.answer, w)
	t.spaced = spaced
	return t.join(now, p.failure(w), append(t.headline(), t.asked()...), p.ran(w), t.because(), t.culprit(), t.fix(), t.unseen(), t.evidence(), t.assumed())
}

// doingNow says what goes on: on the status line there may be no room for it.
func (p answerPanel) doingNow(w int) []line {
	if p.now == "" {
		return nil
	}
	return wrapped(clean(p.now), w, 0, packetLook)
}

// failure says why the question could not be asked again.
func (p answerPanel) failure(w int) []line {
	if p.q.err == nil {
		return nil
	}
	m := p.w.m.WhyScreen
	lines := wrapped("✗ "+clean(fill(m.Failed, "error", p.q.err.Error())), w, 2, badLook)
	return append(lines, wrapped(fill(m.AskAgain, "key", p.askKey), w, 2, softLook)...)
}

// ran is what was run of the fix, and what it printed.
func (p answerPanel) ran(w int) []line {
	if len(p.q.ran) == 0 {
		return nil
	}
	m := p.w.m.WhyScreen
	lines := []line{textLine(m.Ran, softLook)}
	for _, r := range p.q.ran {
		body := typed(scenarios.Command{Node: r.node, Text: r.command}, w-2)
		body = append(body, preformatted(outputLines(r.output), w-2, plainLook)...)
		switch {
		case r.err != nil:
			body = append(body, wrapped("✗ "+clean(fill(m.RanFailed, "error", r.err.Error())), w-2, 2, badLook)...)
		case r.exit != 0:
			body = append(body, textLine("✗ "+fill(m.ExitCode, "code", itoa(r.exit)), badLook))
		}
		lines = append(lines, indented(body, "  ", "  ", plainLook)...)
	}
	for _, c := range p.q.left {
		lines = append(lines, indented(wrapped(clean(fill(m.NotRun, "command", c)), w-2, 2, warningLook), "  ", "  ", plainLook)...)
	}
	return lines
}
