package tui

import (
	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"packetwalk/scenarios/play"
)

// lessonKey takes a key that a lesson binds; false where it does not.
func (m *model) lessonKey(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	l, k := m.lesson, m.keys
	if m.help || key.Matches(msg, k.Open) && m.focused() == onWalks {
		return nil, false
	}
	switch {
	case key.Matches(msg, k.GoOn):
		return m.goOn(false), true
	case key.Matches(msg, k.Insist):
		return m.goOn(true), true
	case key.Matches(msg, k.Pause) && !m.stageShown():
		return m.goOn(false), true
	case key.Matches(msg, k.Pause) && m.player.finished() && m.player.current < len(m.player.walks)-1:
		// The walks that nobody had to wait for.
		m.player.due = nil
		m.player.advance()
		return m.schedule(), true
	case key.Matches(msg, k.View):
		return m.flip(), true
	case key.Matches(msg, k.Remote):
		l.remote = !l.remote
		m.bindKeys()
		m.say(fill(choose(l.remote, m.w.m.Lesson.RemoteOn, m.w.m.Lesson.RemoteOff), "key", m.keys.Remote.Help().Key))
		return nil, true
	case key.Matches(msg, k.Older):
		l.older = !l.older
		m.followCursor()
		return nil, true
	case m.choosing() && key.Matches(msg, k.Down):
		m.moveChoice(1)
		return nil, true
	case m.choosing() && key.Matches(msg, k.Up) && l.choice > 0:
		m.moveChoice(-1)
		return nil, true
	case l.asking() && key.Matches(msg, k.Choose):
		m.choose(int(msg.String()[0] - '1'))
		return nil, true
	}
	return m.labKey(msg)
}

// labKey takes a key that does something to the lab, or asks for help.
func (m *model) labKey(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	l, k, w := m.lesson, m.keys, m.w.m.Prompt
	switch {
	case key.Matches(msg, k.Back):
		m.act(play.Back{})
	case key.Matches(msg, k.Command):
		m.openPrompt(asksCommand)
	case key.Matches(msg, k.Shell):
		m.askForShell()
	case key.Matches(msg, k.Send):
		m.act(play.Send{})
	case key.Matches(msg, k.Undo):
		if l.state.Changes == 0 {
			m.complain(m.w.m.Lesson.NothingToUndo)
			break
		}
		m.act(play.Undo{})
	case key.Matches(msg, k.Hint) && l.step().Goal != nil:
		m.act(play.Hint{})
	case key.Matches(msg, k.Solution) && l.step().Goal != nil:
		m.act(play.ShowSolution{})
	case key.Matches(msg, k.Solve) && l.step().Goal != nil:
		m.confirm(w.Solve, play.Solve{})
	case key.Matches(msg, k.ResetStep):
		m.confirm(w.ResetStep, play.ResetStep{})
	case key.Matches(msg, k.ResetScenario):
		m.confirm(w.ResetScenario, play.ResetScenario{})
	default:
		return nil, false
	}
	return nil, true
}

// askForShell asks for the node to open a shell in.
func (m *model) askForShell() {
	if m.lesson.shell == nil {
		m.complain(m.w.m.Prompt.NoShell)
		return
	}
	m.openPrompt(asksShell)
}

// choosing says that the arrow keys move the cursor among the answers: once the
// question has come into view.
func (m *model) choosing() bool {
	return m.lesson.asking() && m.focused() == onCard && m.questionInView()
}

// questionInView says that the whole question can be seen, or its end.
func (m *model) questionInView() bool {
	if !m.bigEnough() || m.place() == nowhere {
		return false
	}
	p, r := m.cardPanel(), m.layout().lesson
	_, h, first := p.extent(r)
	return p.document(r.inset(2, 1).w).marks[mark{part: partAsk}].b <= first+h
}

// moveChoice moves the cursor among the answers.
func (m *model) moveChoice(by int) {
	l := m.lesson
	l.choice = max(0, min(l.choice+by, len(l.step().Ask.Choices)-1))
	l.card.follow(mark{part: partAsk})
}

// choose answers the question.
func (m *model) choose(i int) {
	l := m.lesson
	if i >= len(l.step().Ask.Choices) {
		m.say(fill(m.w.m.Lesson.ChooseOne, "n", itoa(len(l.step().Ask.Choices))))
		return
	}
	l.choice = i
	m.act(play.Choose{Choice: i})
}
