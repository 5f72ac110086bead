package tui

import (
	"context"
	"slices"

	tea "charm.land/bubbletea/v2"

	"packetwalk/trace"
	"packetwalk/trace/why"
)

// inquiry is what the program knows of a question: what goes on, and the newest answer.
type inquiry struct {
	cfg WhyConfig
	// do has a job done, without waiting for it.
	do func(job)

	doing doing
	// answer is the newest one, nil before the first.
	answer *why.Answer
	// at is the step that decided; its walk is 0 where none did.
	at decision
	// err is why the question could not be asked again; fatal, why not at all.
	err, fatal error
	// ran is what was run of fixes; left are the commands of the last one that were
	// not run, because one before them failed.
	ran  []ranCommand
	left []string
	// running is the command that is being run.
	running string

	// up says that the answer is shown where there is no room for answer and walk.
	up bool
	// parked says that the packet was put at the step that decided, and not moved since.
	parked bool
	offset int
	// asksFix says that the fix is shown, scrolled to fixOffset.
	asksFix   bool
	fixOffset int
	// note is what the program has to say to the last key.
	note string
}

// doing is what goes on.
type doing uint8

const (
	resting     doing = iota
	askingFirst       // nothing is known yet
	askingAgain
	runningFix
	askingFixed // the fix was run
)

// ranCommand is a command of the fix that was run, and what came of it.
type ranCommand struct {
	node, command, output string
	exit                  int
	err                   error
}

func (r ranCommand) failed() bool { return r.err != nil || r.exit != 0 }

// The messages that jobs send to the model.
type (
	// answeredMsg brings an answer, or says why there is none.
	answeredMsg struct {
		asked Asked
		err   error
	}
	// runningMsg says that a command is being run.
	runningMsg struct{ command string }
	// ranMsg says what came of it.
	ranMsg struct{ ran ranCommand }
	// fixedMsg says that the fix was run, but for what was left out.
	fixedMsg struct{ left []string }
)

// newWhyModel is a model that shows answers.
func newWhyModel(c WhyConfig, do func(job)) *model {
	m := newModel(Config{Lang: c.Lang, Topology: c.Topology}, nil)
	s := m.w.m.WhyScreen
	m.cfg.Title = fill(choose(c.From == "", s.Title, s.TitleFrom), "target", c.Target, "from", c.From)
	m.inquiry = &inquiry{cfg: c, do: do, up: true}
	m.focus = onCard
	m.bindKeys()
	return m
}

// ask asks the question.
func (m *model) ask(as doing) tea.Cmd {
	q := m.inquiry
	if q.doing != resting {
		q.note = m.doingNow()
		return nil
	}
	q.doing, q.err = as, nil
	ask := q.cfg.Ask
	return m.start(func(ctx context.Context, send func(tea.Msg)) {
		asked, err := ask(ctx)
		send(answeredMsg{asked, err})
	})
}

// start has a job done.
func (m *model) start(j job) tea.Cmd {
	do := m.inquiry.do
	return func() tea.Msg {
		do(j)
		return nil
	}
}

// runFix runs the commands of the fix up to the first that fails.
func (m *model) runFix() tea.Cmd {
	q := m.inquiry
	q.doing, q.left, q.offset, q.up = runningFix, nil, 0, true
	fix, run := q.answer.Fix, q.cfg.Fix
	return tea.Batch(m.schedule(), m.start(func(ctx context.Context, send func(tea.Msg)) {
		for i, c := range fix.Commands {
			send(runningMsg{c})
			output, exit, err := run(ctx, fix.Node, c)
			r := ranCommand{fix.Node, c, output, exit, err}
			send(ranMsg{r})
			if r.failed() {
				send(fixedMsg{fix.Commands[i+1:]})
				return
			}
		}
		send(fixedMsg{})
	}))
}

// inquire takes in what a job sends.
func (m *model) inquire(msg tea.Msg) tea.Cmd {
	q := m.inquiry
	switch msg := msg.(type) {
	case runningMsg:
		q.running = msg.command
	case ranMsg:
		q.ran = append(q.ran, msg.ran)
	case fixedMsg:
		q.doing, q.running, q.left = resting, "", msg.left
		if n := len(q.ran); n > 0 && !q.ran[n-1].failed() {
			return m.ask(askingFixed)
		}
	case answeredMsg:
		first := q.answer == nil
		q.doing = resting
		if msg.err == nil {
			return m.answered(msg.asked)
		}
		q.err = msg.err
		if first {
			q.fatal = msg.err
			return tea.Quit
		}
	}
	return nil
}

// answered shows an answer, with the packet at the step that decided.
func (m *model) answered(asked Asked) tea.Cmd {
	q, a := m.inquiry, asked.Answer
	q.answer, q.offset, q.up, q.asksFix = &a, 0, true, false
	m.focus = onCard
	if len(asked.Topology.Nodes) > 0 {
		m.cfg.Topology = asked.Topology
	}
	m.cfg.Rulesets, m.w.variant = asked.Rulesets, asked.Variant
	speed := m.player.speed
	m.player = newPlayer()
	m.player.speed, m.player.due = speed, map[int]bool{}
	for _, w := range a.Attempt.Walks {
		m.player.take(w)
		m.w.variant = variantOf(w, m.w.variant)
	}
	told, _ := toldWalks(a)
	for _, w := range told {
		m.player.due[w.ID] = true
	}
	q.at, _ = decided(a)
	m.park()
	return m.schedule()
}

// park puts the packet at the step that decided.
func (m *model) park() {
	q := m.inquiry
	for i, w := range m.player.walks {
		if w.ID == q.at.walk {
			m.player.open(i)
			m.player.step, m.player.paused, q.parked = q.at.step, true, true
		}
	}
	m.unscroll()
}

// fromStart plays the walks that the evidence speaks of from the first one's
// first step.
func (m *model) fromStart() {
	i := slices.IndexFunc(m.player.walks, func(w trace.Walk) bool { return m.player.due[w.ID] })
	if i < 0 {
		return
	}
	m.player.open(i)
	m.player.paused = false
	m.unscroll()
}

// atDecision says that the packet rests at the step that decided.
func (m *model) atDecision() bool {
	w, ok := m.player.walk()
	return ok && m.inquiry.at == decision{w.ID, m.player.step} && !m.player.moving()
}

// decision is the station that is marked on the stage, if it is part of what
// the stage shows.
func (m *model) decision(p *progress) *station {
	if m.inquiry == nil || p == nil || p.walk.ID != m.inquiry.at.walk {
		return nil
	}
	if step := m.inquiry.at.step; step >= p.stay.from && step < p.stay.to {
		at := stationOf(p.walk.Steps, step)
		return &at
	}
	return nil
}
