package tui

import (
	"packetwalk/scenarios/play"
)

// lessonStatus says what goes on in the lesson; empty where what is said of the
// packet matters more.
func (m *model) lessonStatus() (string, look) {
	l, w, s := m.lesson, m.w.m.Lesson, m.lesson.state
	switch {
	case l.note != "":
		return l.note, choose(l.noteBad, badLook, packetLook)
	case s.Err != nil:
		return "✗ " + s.Err.Error(), badLook
	case !l.begun || s.Phase == play.Preparing && len(l.steps) > 0:
		return w.Preparing, packetLook
	case m.running() != "":
		return fill(w.Running, "command", m.running()), packetLook
	case s.Phase == play.Sending && m.player.current < 0:
		return fill(m.w.m.Screen.Sending, "request", s.Request), packetLook
	case s.Checking:
		return w.Checking, packetLook
	case s.Busy:
		return w.Busy, packetLook
	case m.stageShown() && m.place() != beside || m.place() == beside && m.atEnd():
		return "", plainLook
	case l.step().Goal != nil && s.Phase >= play.Working:
		return m.goalStatus()
	case s.Phase == play.Reading || l.asking() && !m.questionInView():
		return fill(w.ReadOn, "key", m.goOnKey()), softLook
	case l.asking():
		return fill(w.ChooseOne, "n", itoa(len(l.step().Ask.Choices))), softLook
	case s.Phase == play.Finished && l.last() && len(l.steps) > 0:
		return w.AllDone, goodLook
	}
	return "", plainLook
}

func (m *model) goalStatus() (string, look) {
	w, s := m.w.m.Lesson, m.lesson.state
	if !s.Reached {
		return "○ " + fill(w.GoalState, "state", w.NotReached), packetLook
	}
	more := fill(w.GoOn, "key", m.goOnKey())
	if m.lesson.last() {
		more = w.AllDone
	}
	return "✓ " + fill(w.GoalState, "state", w.Reached) + " · " + more, goodLook
}

// running is the command that is being carried out, as it was typed.
func (m *model) running() string {
	ran := m.lesson.state.Ran
	if len(ran) == 0 || ran[len(ran)-1].Done {
		return ""
	}
	last := ran[len(ran)-1]
	return promptOf(last.Node) + last.Text
}

// goOnKey is the name of the key that goes on.
func (m *model) goOnKey() string {
	if m.lesson.remote {
		return m.keys.Insist.Help().Key
	}
	return m.keys.GoOn.Help().Key
}
