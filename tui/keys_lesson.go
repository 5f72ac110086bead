package tui

import (
	"charm.land/bubbles/v2/key"

	"packetwalk/assets"
	"packetwalk/scenarios/play"
)

// lessonKeys are the keys of a lesson. Without one they are not bound.
type lessonKeys struct {
	GoOn, Insist, Back, View, Choose, Command, Shell key.Binding
	Undo, ResetStep, ResetScenario                   key.Binding
	Hint, Solution, Solve, Older, Remote             key.Binding
}

// forLesson binds the keys of a lesson. In remote mode the keys of a clicker go
// on and back instead of what they do otherwise.
func (m keyMap) forLesson(msgs assets.Messages, remote bool) keyMap {
	k := msgs.LessonKeys
	bind := func(name, does string, keys ...string) key.Binding {
		return key.NewBinding(key.WithKeys(keys...), key.WithHelp(name, does))
	}
	m.GoOn = bind(msgs.Keys.Enter, k.GoOn, "enter")
	m.Insist = bind("n", k.GoOn, "n")
	m.Back = bind("b", k.Back, "b", "p")
	m.View = bind("v", k.View, "v")
	m.Choose = bind("1-9", k.Choose, "1", "2", "3", "4", "5", "6", "7", "8", "9")
	m.Command = bind(":", k.Command, ":", "：")
	m.Shell = bind("s", k.Shell, "s")
	m.Undo = bind("u", k.Undo, "u")
	m.ResetStep = bind("x", k.ResetStep, "x")
	m.ResetScenario = bind("X", k.ResetScenario, "X")
	m.Hint = bind("t", k.Hint, "t")
	m.Solution = bind("o", k.Solution, "o")
	m.Solve = bind("O", k.Solve, "O")
	m.Older = bind("a", k.Older, "a")
	m.Remote = bind("m", k.Remote, "m")
	m.Send = bind("r", k.Resend, "r")
	if remote {
		m.Insist = bind(msgs.Keys.Space, k.GoOn, "space", "pgdown", "n")
		m.Back = bind("b", k.Back, "b", "p", "pgup")
		m.Pause.SetEnabled(false)
		m.PageUp.SetEnabled(false)
		m.PageDown.SetEnabled(false)
	}
	return m
}

// lessonBindings lists the keys of a lesson in the order of the help overlay.
func (m keyMap) lessonBindings() []key.Binding {
	return []key.Binding{m.GoOn, m.Insist, m.Back, m.View, m.Choose, m.Command, m.Shell, m.Hint, m.Solution, m.Solve,
		m.Undo, m.ResetStep, m.ResetScenario, m.Older, m.Remote}
}

// lessonHints are the footer's in a lesson: what can be done now.
func (m *model) lessonHints() []hint {
	l, k, s := m.lesson, m.keys, m.w.m.LessonKeys
	one := func(b key.Binding, does string, weight int) hint { return hint{[]key.Binding{b}, does, weight} }
	goOn := choose(l.remote, k.Insist, k.GoOn)
	hs := []hint{one(goOn, m.goOnHint(), 20)}
	if l.asking() {
		hs = append(hs, one(k.Choose, s.ChooseShort, 19))
	}
	hs = append(hs, one(k.Back, s.BackShort, 6))
	if m.place() != beside {
		hs = append(hs, one(k.View, choose(m.stageShown(), s.LessonShort, s.StageShort), 15))
	}
	if l.remote {
		return append(hs, one(k.Help, m.w.m.Keys.HelpShort, 17), one(k.Quit, m.w.m.Keys.QuitShort, 18))
	}
	if l.working() {
		hs = append(hs, one(k.Hint, s.HintShort, 14), one(k.Solution, s.SolutionShort, 9))
		if l.state.Solution {
			hs = append(hs, one(k.Solve, s.SolveShort, 10))
		}
	}
	hs = append(hs, one(k.Command, s.CommandShort, 13), one(k.Shell, s.ShellShort, 12))
	if l.state.Changes > 0 {
		hs = append(hs, one(k.Undo, s.UndoShort, 11))
	}
	return append(hs, one(k.ResetStep, s.ResetShort, 2))
}

// goOnHint is what the key that goes on does now.
func (m *model) goOnHint() string {
	l, s := m.lesson, m.w.m.LessonKeys
	n, h, first := 0, 0, 0
	if m.place() != nowhere && m.bigEnough() {
		n, h, first = m.cardPanel().extent(m.layout().lesson)
	}
	switch {
	case l.watching():
		return s.SkipShort
	case l.asking() && l.choice >= 0 && m.questionInView():
		return s.AnswerShort
	case first+h < n:
		return s.MoreShort
	case m.place() == nowhere && len(l.steps) > 0 && l.state.Phase != play.Sending:
		return s.LessonShort
	}
	return s.GoOnShort
}
