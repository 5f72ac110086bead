package tui

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	"packetwalk/scenarios"
	"packetwalk/scenarios/expect"
	"packetwalk/scenarios/play"
)

// lesson is what the program knows of a session: its newest state, and how far
// the user has come with looking at it.
type lesson struct {
	session Session
	steps   []scenarios.Step
	shell   func(node string) tea.ExecCommand

	state play.State
	begun bool // a state has come
	// remote says that a teacher goes on and back with the keys of a clicker.
	remote bool
	// up says that the card is shown where there is no room for card and stage.
	up bool
	// watched says that the newest traffic's walks have been played, or passed over.
	watched bool
	// played holds the IDs of the walks that have been played to their end.
	played map[int]bool
	// older says that the walks of earlier traffic are listed, too.
	older bool
	// choice is the answer that the cursor is on, -1 for none.
	choice int
	card   card
	prompt prompt
	// node is where the next command is typed, history what was typed so far.
	node    string
	history []string
	// note is what the program has to say to the last key.
	note    string
	noteBad bool
}

func newLesson(c Config) *lesson {
	if c.Session == nil {
		return nil
	}
	return &lesson{session: c.Session, steps: c.Steps, shell: c.Shell, remote: c.Remote, up: len(c.Steps) > 0,
		played: map[int]bool{}, choice: -1, prompt: newPrompt()}
}

// step is the current step; one without content in a scenario without steps.
func (l *lesson) step() scenarios.Step {
	if l.state.Step < 0 || l.state.Step >= len(l.steps) {
		return scenarios.Step{}
	}
	return l.steps[l.state.Step]
}

// asking says that the question waits for an answer.
func (l *lesson) asking() bool {
	return l.state.Phase == play.Asking && l.step().Ask != nil && l.state.Choice < 0
}

// sends says whether walks of the step's traffic are to be watched before it is
// said how they ended.
func (l *lesson) sends() bool {
	return len(l.step().Send) > 0 && (l.state.Phase == play.Sending || l.state.Phase == play.Watching ||
		l.state.Phase == play.Finished && l.step().Goal == nil)
}

// watching says that the newest traffic is still to be watched.
func (l *lesson) watching() bool { return l.sends() && !l.watched }

// revealed says that the user may know what became of the step's traffic.
func (l *lesson) revealed() bool {
	return l.state.Phase >= play.Watching && !l.watching()
}

// working says that the goal waits to be reached.
func (l *lesson) working() bool {
	return l.step().Goal != nil && l.state.Phase == play.Working && !l.state.Reached
}

// last says that no step comes behind this one.
func (l *lesson) last() bool { return l.state.Step >= len(l.steps)-1 }

// hides says that the outcome of a walk is not to be told yet.
func (l *lesson) hides(id int) bool {
	return len(l.steps) > 0 && id >= l.state.FirstWalk && !l.watched && !l.played[id]
}

// place is where the lesson or the answer stands.
func (m *model) place() place {
	switch {
	case m.inquiry != nil && m.width >= besideWidth:
		return beside
	case m.inquiry != nil:
		return choose(m.inquiry.up, instead, nowhere)
	case m.lesson == nil:
		return nowhere
	case m.width >= besideWidth && (len(m.lesson.steps) > 0 || m.lesson.up):
		return beside
	case m.lesson.up:
		return instead
	}
	return nowhere
}

// stageShown says whether there is a stage to play on.
func (m *model) stageShown() bool { return m.place() != instead }

// learn takes a state of the session in.
func (m *model) learn(s play.State) tea.Cmd {
	l := m.lesson
	old := l.state
	if !l.begun {
		old = play.State{Step: -1, Choice: -1}
	}
	if s.Step != old.Step || s.Phase != old.Phase || len(s.Ran) != len(old.Ran) || s.Err != nil || !s.Busy && l.note == m.w.m.Lesson.Busy {
		l.note = "" // it was about what is over now
	}
	l.state, l.begun = s, true
	l.card.stale()
	if len(s.Topology.Nodes) > 0 {
		m.cfg.Topology = s.Topology
	}
	if s.Rulesets != nil {
		m.cfg.Rulesets = s.Rulesets
	}
	if s.Request != "" {
		m.cfg.Request = s.Request
	}
	if s.FirstWalk != old.FirstWalk {
		l.watched = false
		m.player.begin(s.FirstWalk)
		m.unscroll()
	}
	m.turn(old)
	return m.settle()
}

// turn shows what a new state is about: the card or the stage, and the part of
// the card that is new.
func (m *model) turn(old play.State) {
	l := m.lesson
	s := l.state
	if n := len(s.Ran); n > len(old.Ran) && s.Ran[n-1].By != play.ByScenario {
		m.show(mark{partTyped, n - 1})
	}
	if s.Step == old.Step && s.Changes == old.Changes-1 {
		m.tellUndone(old)
	}
	if len(l.steps) > 0 {
		m.turnStep(old)
	}
}

// tellUndone says what was taken back.
func (m *model) tellUndone(old play.State) {
	s, w := m.lesson.state, m.w.m.Lesson
	m.say(w.UndoneOther)
	for i, r := range s.Ran {
		if r.Undone && i < len(old.Ran) && !old.Ran[i].Undone {
			m.say(fill(w.Undone, "command", clean(promptOf(r.Node)+r.Text)))
			m.show(mark{partTyped, i})
		}
	}
}

func (m *model) turnStep(old play.State) {
	l := m.lesson
	s := l.state
	if s.Step != old.Step || s.Phase < old.Phase && s.Phase <= play.Reading {
		l.choice = -1
		m.show(mark{part: partText})
	}
	if s.Phase != old.Phase {
		m.turnPhase(old.Phase, s.Phase)
	}
	switch {
	case s.Reached && !old.Reached:
		m.show(mark{part: partGoal})
	case s.Solution && !old.Solution:
		m.show(mark{part: partSolution})
	case s.Hints > old.Hints && s.Step == old.Step:
		m.show(mark{partHint, s.Hints - 1})
	}
}

func (m *model) turnPhase(from, to play.Phase) {
	l := m.lesson
	switch {
	case to == play.Asking && from < play.Reading:
		// The text above the question has not been read yet.
	case to == play.Asking && l.step().Ask != nil:
		m.show(mark{part: partAsk})
	case l.watching():
		l.up = false
	case to == play.Watching, from == play.Asking && to == play.Finished: // nothing was sent
		m.show(mark{part: partResult})
	case to == play.Working || to == play.Finished && l.step().Goal != nil:
		m.show(mark{part: partGoal})
	}
}

// show puts a part of the card before the user's eyes.
func (m *model) show(part mark) {
	m.lesson.up = true
	m.lesson.card.follow(part)
}

// due are the walks that are played by themselves: the first of every
// connection, and those that decided about an expectation. The others can be
// looked at, too, but nobody has to wait for them.
func (m *model) due() map[int]bool {
	due, flows := map[int]bool{}, map[int]bool{}
	for _, w := range m.player.walks[m.player.firstIndex():] {
		decided := slices.ContainsFunc(m.lesson.state.Results, func(r expect.Result) bool { return r.Walk == w.ID })
		if decided || !flows[w.Flow] {
			due[w.ID] = true
		}
		flows[w.Flow] = true
	}
	return due
}

// settle looks what there is to be played after walks or a state came or a walk
// was played. When all has been seen, the results are shown.
func (m *model) settle() tea.Cmd {
	l := m.lesson
	if len(l.steps) > 0 && !l.watched {
		m.player.due = m.due()
	}
	if m.atEnd() {
		w, _ := m.player.walk()
		l.played[w.ID] = true
	}
	if l.watching() && l.state.Phase > play.Sending && m.seen() {
		m.reveal()
	}
	return m.resume()
}

// atEnd says that the packet has come to the end of its walk.
func (m *model) atEnd() bool {
	w, ok := m.player.walk()
	return ok && atEnd(w, m.player.step) && !m.player.moving()
}

// seen says that every due walk has been played, and the last was looked at.
func (m *model) seen() bool {
	if len(m.player.walks) == m.player.firstIndex() {
		return true // nothing came
	}
	return m.player.finished() && !m.player.paused
}

// reveal says what became of the step's traffic.
func (m *model) reveal() {
	m.lesson.watched = true
	m.lesson.card.stale()
	m.show(mark{part: partResult})
}
