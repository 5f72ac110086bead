package tui

import "packetwalk/trace"

// whyStatus says what goes on with the question; empty where what is said of
// the packet matters more.
func (m *model) whyStatus() (string, look) {
	q, s := m.inquiry, m.w.m.WhyScreen
	w, _ := m.player.walk()
	switch {
	case q.doing != resting:
		return m.doingNow(), packetLook
	case q.note != "":
		return q.note, packetLook
	case q.err != nil:
		return "✗ " + fill(s.Failed, "error", q.err.Error()), badLook
	case q.answer == nil:
		return "", plainLook
	case q.at.walk == 0:
		return m.noWalks(), softLook
	case m.focused() == onCard && q.parked:
		return fill(s.StepThrough, "enter", m.keys.Show.Help().Key, "space", m.keys.Pause.Help().Key), softLook
	case m.atDecision():
		return m.atDecisionStatus(w), headlineLook(*q.answer)
	}
	return "", plainLook
}

// atDecisionStatus says at the step that decided what is the matter or, where
// nothing is, that the packet arrived.
func (m *model) atDecisionStatus(w trace.Walk) string {
	a, s := *m.inquiry.answer, m.w.m.WhyScreen
	if a.Reachable {
		return decidedGlyph + " " + m.w.outcome(w)
	}
	atCulprit := a.Culprit != nil && isAt(*a.Culprit, w.Steps[m.player.step])
	return fill(choose(atCulprit, s.Decided, s.Ended), "title", a.Text(m.w.lang).Title)
}

// doingNow says what goes on; empty where nothing does.
func (m *model) doingNow() string {
	q, s := m.inquiry, m.w.m.WhyScreen
	what := fill(choose(q.cfg.From == "", s.Sending, s.SendingFrom), "target", q.cfg.Target, "from", q.cfg.From)
	if q.cfg.Watch {
		what = fill(s.Watching, "target", q.cfg.Target)
	}
	switch q.doing {
	case askingFirst:
		return what
	case askingAgain:
		return fill(s.Again, "what", what)
	case askingFixed:
		return fill(s.Finishing, "what", what)
	case runningFix:
		return fill(s.Running, "node", q.answer.Fix.Node, "command", q.running)
	}
	return ""
}

// noWalks says why there is no walk to step through.
func (m *model) noWalks() string {
	if m.inquiry.answer == nil {
		return m.doingNow()
	}
	return m.w.m.WhyScreen.NoWalks
}
