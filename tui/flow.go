package tui

import (
	tea "charm.land/bubbletea/v2"

	"packetwalk/scenarios/play"
)

// goOn is the key that leads through a lesson: it turns the page, lets a walk
// finish at once, or goes to the next phase. insist also leaves a question or a
// goal behind.
func (m *model) goOn(insist bool) tea.Cmd {
	l := m.lesson
	switch {
	case l.watching() && m.stageShown():
		return m.hurry()
	case l.watching() || m.place() == nowhere && len(l.steps) > 0:
		l.up = !l.watching()
		return m.schedule()
	case l.asking() && l.choice >= 0 && m.questionInView():
		m.act(play.Choose{Choice: l.choice})
	case m.turnPage():
	case l.asking() && !insist:
		m.say(fill(m.w.m.Lesson.ChooseOne, "n", itoa(len(l.step().Ask.Choices))))
	case l.working() && !insist:
		m.say(m.w.m.Lesson.GoalOpen)
	case l.state.Phase == play.Finished && l.last():
		m.say(m.w.m.Lesson.AllDone)
	default:
		m.act(play.Next{})
	}
	return nil
}

// hurry lets the walk being played finish at once or, at its end, goes on to the
// next one; behind the last one it shows the results.
func (m *model) hurry() tea.Cmd {
	p := &m.player
	switch {
	case p.current >= 0 && !m.atEnd():
		p.finish()
	case !p.lastWalk():
		p.advance()
		p.paused = false
	case m.lesson.state.Phase > play.Sending:
		p.held, p.paused = true, false
	default:
		return nil // the answer is not there yet
	}
	m.unscroll()
	return tea.Batch(m.settle(), m.schedule())
}

// act asks the session for something, unless it is busy with what was asked before.
func (m *model) act(a play.Action) {
	if m.lesson.state.Busy {
		m.say(m.w.m.Lesson.Busy)
		return
	}
	m.lesson.session.Do(a)
}

// say puts a note on the status line, until the next key, step, phase or command.
func (m *model) say(note string) { m.lesson.note, m.lesson.noteBad = note, false }

// complain is say for what went wrong.
func (m *model) complain(note string) { m.lesson.note, m.lesson.noteBad = note, true }

// turnPage scrolls the card on by a page, if there is more.
func (m *model) turnPage() bool {
	p := m.cardPanel()
	n, h, first := p.extent(m.layout().lesson)
	if first+h >= n {
		return false
	}
	m.lesson.card.scrollTo(min(first+max(1, h-1), n-h))
	return true
}

// flip changes the card for the stage, where there is no room for both.
func (m *model) flip() tea.Cmd {
	l := m.lesson
	if m.place() == beside && len(l.steps) > 0 {
		return nil
	}
	l.up = !l.up
	return m.schedule()
}
