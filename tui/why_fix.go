package tui

import (
	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
)

// showFix shows the commands that mend it and, where they may be run, asks
// whether to run them.
func (m *model) showFix() {
	q := m.inquiry
	switch {
	case q.doing != resting:
		q.note = m.doingNow()
	case q.answer != nil && q.answer.Reachable:
		q.note = m.w.m.WhyScreen.NothingToMend
	case q.answer == nil || len(q.answer.Fix.Commands) == 0:
		q.note = m.w.m.WhyScreen.NoFix
	default:
		q.asksFix, q.fixOffset, m.help = true, 0, false
	}
}

// fixKey takes a key while the fix is shown: those that scroll are left to others.
func (m *model) fixKey(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	q, k := m.inquiry, m.keys
	switch {
	case key.Matches(msg, k.Yes) && m.bigEnough(): // what is run can be seen
		q.asksFix = false
		return m.runFix(), true
	case key.Matches(msg, k.No, k.Close, k.Fix):
		q.asksFix = false
		return nil, true
	}
	_, scrolls := m.scrollKey(msg)
	return nil, !scrolls
}

// fixLines are the commands, what they open up, and what is asked.
func (m *model) fixLines(w int) []line {
	q, s, k := m.inquiry, m.w.m.WhyScreen, m.keys
	f := q.answer.Fix
	t := newAnswerText(m.w, *q.answer, w)
	t.spaced = true
	var commands []line
	for _, c := range f.Commands {
		commands = append(commands, t.code(c)...)
	}
	node := clean(choose(f.Node == "", q.cfg.From, f.Node))
	ask := wrapped(fill(s.RunIt, "node", node, "yes", k.Yes.Help().Key, "no", k.No.Help().Key), w, 0, packetLook)
	if q.cfg.Fix == nil {
		ask = wrapped(fill(s.RunYourself, "node", node), w, 0, packetLook)
	}
	return t.join(append(wrapped(fill(s.FixIn, "node", node), w, 0, softLook), commands...), t.opens(), ask)
}

// fixBox is where the fix lies over the screen, and its lines.
func (m *model) fixBox() (rect, []line) {
	box := helpBox(m.width, m.height)
	lines := m.fixLines(box.inset(2, 1).w)
	box.h = min(box.h, len(lines)+2)
	box.y = (m.height - box.h) / 2
	return box, lines
}

// fixOverlay lays the fix over a frame.
func (m *model) fixOverlay(frame string) string {
	box, lines := m.fixBox()
	return m.overlay(frame, box, m.w.m.WhyScreen.FixTitle, "", lines, m.inquiry.fixOffset)
}
