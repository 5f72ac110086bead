package tui

import (
	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"packetwalk/assets"
)

// whyKeys are the keys of an answer. Without one they are not bound.
type whyKeys struct {
	Show, Walk, Decided, Ask, Fix, Yes, No key.Binding
}

// forWhy binds the keys of an answer.
func (m keyMap) forWhy(msgs assets.Messages, canFix bool) keyMap {
	k := msgs.WhyKeys
	bind := func(name, does string, keys ...string) key.Binding {
		return key.NewBinding(key.WithKeys(keys...), key.WithHelp(name, does))
	}
	m.Show = bind(msgs.Keys.Enter, k.Show, "enter")
	m.Walk = bind("w", k.Walk, "w")
	m.Decided = bind("d", k.Decided, "d")
	m.Ask = bind("a", k.Ask, "a")
	m.Fix = bind("f", k.Fix, "f")
	m.Yes = bind("y", k.Yes, "y", "Y")
	m.Yes.SetEnabled(canFix)
	m.No = bind("n", k.No, "n", "N", "esc", "f")
	m.No.SetEnabled(canFix)
	m.Next = bind("tab", k.Next, "tab")
	m.Pause = bind(msgs.Keys.Space, k.Pause, "space")
	return m
}

// whyBindings lists the keys of an answer in the order of the help overlay.
func (m keyMap) whyBindings() []key.Binding {
	return []key.Binding{m.Show, m.Walk, m.Decided, m.Ask, m.Fix, m.Yes, m.No}
}

// whyHints are the footer's for an answer: what can be done now.
func (m *model) whyHints() []hint {
	q, k, s := m.inquiry, m.keys, m.w.m.WhyKeys
	one := func(b key.Binding, does string, weight int) hint { return hint{[]key.Binding{b}, does, weight} }
	stage := k.hints(m.w.m.Keys, m.focused(), m.pauseHint())
	ends := stage[len(stage)-2:] // help and quit
	if q.asksFix {
		closes := k.No
		if !closes.Enabled() {
			closes = k.Close
		}
		return []hint{one(k.Yes, s.YesShort, 20), one(closes, s.NoShort, 19), {[]key.Binding{k.Up, k.Down}, m.w.m.Keys.ScrollShort, 1}, ends[1]}
	}
	if q.answer == nil {
		return ends
	}
	var hs []hint
	switch {
	case q.at.walk == 0:
	case m.focused() == onCard:
		hs = append(hs, one(k.Show, s.ShowShort, 14))
	default:
		hs = append(hs, one(k.Decided, s.DecidedShort, 12))
	}
	hs = append(hs, one(k.Walk, choose(m.focused() == onCard, s.WalkShort, s.AnswerShort), 15))
	if q.doing == resting {
		hs = append(hs, one(k.Ask, s.AskShort, 13))
	}
	if q.doing == resting && len(q.answer.Fix.Commands) > 0 {
		hs = append(hs, one(k.Fix, s.FixShort, 16))
	}
	if !m.stageShown() {
		if q.at.walk > 0 {
			hs = append(hs, stage[0])
		}
		return append(append(hs, hint{[]key.Binding{k.Up, k.Down}, m.w.m.Keys.ScrollShort, 1}), ends...)
	}
	return append(hs, stage...)
}

// whyKey takes a key that an answer binds; false where it does not.
func (m *model) whyKey(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	q, k := m.inquiry, m.keys
	q.note = ""
	switch {
	case key.Matches(msg, k.Quit):
		return nil, false
	case q.asksFix:
		return m.fixKey(msg)
	case m.help:
		return nil, false
	case key.Matches(msg, k.Show) && m.focused() == onCard, key.Matches(msg, k.Decided):
		return m.toDecision(), true
	case key.Matches(msg, k.Walk):
		return m.turnTo(choose(m.focused() == onCard, onRules, onCard)), true
	case key.Matches(msg, k.Next):
		return m.turnTo(m.after(1)), true
	case key.Matches(msg, k.Previous):
		return m.turnTo(m.after(-1)), true
	case key.Matches(msg, k.Ask):
		if q.doing == resting {
			q.ran, q.left = nil, nil
		}
		return m.ask(askingAgain), true
	case key.Matches(msg, k.Fix):
		m.showFix()
		return nil, true
	case key.Matches(msg, k.Pause, k.Left, k.Right), key.Matches(msg, k.Open) && m.focused() == onWalks:
		return m.step(msg)
	}
	return nil, false
}

// toDecision shows the step that decided.
func (m *model) toDecision() tea.Cmd {
	if m.inquiry.at.walk == 0 {
		m.inquiry.note = m.noWalks()
		return nil
	}
	m.park()
	return m.turnTo(onRules)
}

// step shows the stage for a key of the player, which is not handled yet. From
// where the packet was put, playing begins at the start.
func (m *model) step(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	q := m.inquiry
	if q.at.walk == 0 {
		q.note = m.noWalks()
		return nil, true
	}
	if !m.stageShown() {
		m.turnTo(onRules)
	}
	parked := q.parked
	q.parked = false
	if parked && key.Matches(msg, m.keys.Pause) {
		m.fromStart()
		return m.schedule(), true
	}
	return nil, false
}

// turnTo gives a panel the focus, and shows it.
func (m *model) turnTo(f focus) tea.Cmd {
	m.inquiry.up = f == onCard
	m.focus = f
	m.followCursor()
	return m.schedule()
}

// after is the panel that comes after the focused one, whether or not it is shown.
func (m *model) after(by int) focus {
	return focus((int(m.focused()) + by + int(numFocus)) % int(numFocus))
}
