package tui

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"packetwalk/trace"
	"packetwalk/trace/why"
)

// asker stands in for a lab: it gives the answers in turn, and runs commands.
type asker struct {
	answers  []why.Answer
	asked    int
	commands []string
	exits    map[string]int
	outputs  map[string]string
	err      error
	jobs     []job
}

func (a *asker) ask(t testing.TB) func(context.Context) (Asked, error) {
	return func(context.Context) (Asked, error) {
		if a.err != nil {
			return Asked{}, a.err
		}
		answer := a.answers[min(a.asked, len(a.answers)-1)]
		a.asked++
		rules := fixtureRulesets(t)
		if answer.Culprit != nil && answer.Culprit.Chain == "DOCKER-USER" {
			chain, _ := rules["host"].Chain(trace.Filter, "DOCKER-USER")
			chain.Rules[0].Text = answer.Culprit.Text
		}
		return Asked{Answer: answer, Topology: fixtureTopology(), Rulesets: rules}, nil
	}
}

func (a *asker) run(_ context.Context, node, command string) (string, int, error) {
	a.commands = append(a.commands, node+"$ "+command)
	return a.outputs[command], a.exits[command], nil
}

// newTestWhy is a model that has asked, but has not heard what came of it.
func newTestWhy(t testing.TB, lang string, w, h int, a *asker, canFix bool) *model {
	t.Helper()
	c := WhyConfig{Lang: lang, Target: "192.168.23.149:80", From: "client", Topology: fixtureTopology(), Ask: a.ask(t)}
	if canFix {
		c.Fix = a.run
	}
	m := newWhyModel(c, func(j job) { a.jobs = append(a.jobs, j) })
	m.Update(tea.WindowSizeMsg{Width: w, Height: h})
	start := m.ask(askingFirst)
	start()
	return m
}

// settleJobs does what was asked for, until there is nothing more to do.
func (a *asker) settleJobs(t testing.TB, m *model) {
	t.Helper()
	for len(a.jobs) > 0 {
		j := a.jobs[0]
		a.jobs = a.jobs[1:]
		var msgs []tea.Msg
		j(t.Context(), func(msg tea.Msg) { msgs = append(msgs, msg) })
		for _, msg := range msgs {
			_, cmd := m.Update(msg)
			perform(cmd)
		}
	}
}

// perform carries out a command, but for those of the clock.
func perform(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	done := make(chan tea.Msg, 1)
	go func() { done <- cmd() }()
	if batch, ok := (<-done).(tea.BatchMsg); ok {
		for _, c := range batch {
			perform(c)
		}
	}
}

// answeredWhy is a model that shows the first answer.
func answeredWhy(t testing.TB, lang string, w, h int, a *asker, canFix bool) *model {
	t.Helper()
	m := newTestWhy(t, lang, w, h, a, canFix)
	a.settleJobs(t, m)
	return m
}

func (a *asker) press(t testing.TB, m *model, keys ...string) {
	t.Helper()
	for _, k := range keys {
		perform(press(m, k))
		a.settleJobs(t, m)
	}
}

func shows(t *testing.T, m *model, wants ...string) {
	t.Helper()
	text := strings.NewReplacer("┃", " ", "│", " ").Replace(ansi.Strip(m.frame()))
	text = strings.Join(strings.Fields(text), " ")
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("the screen does not show %q:\n%s", want, ansi.Strip(m.frame()))
		}
	}
}

func TestWhySaysWhatItDoes(t *testing.T) {
	a := &asker{answers: []why.Answer{blocked(), served()}}
	m := newTestWhy(t, "en", 80, 24, a, false)
	shows(t, m, "sending a request to 192.168.23.149:80 from client", "why 192.168.23.149:80 from client")
	a.settleJobs(t, m)
	shows(t, m, "not reachable: A rule in host drops the packet: filter/DOCKER-USER rule 1", "✗ not reachable")
	perform(press(m, "a"))
	shows(t, m, "asking again: sending a request")
	if press(m, "a") != nil || len(a.jobs) != 1 {
		t.Errorf("%d questions at a time", len(a.jobs))
	}
	a.settleJobs(t, m)
	shows(t, m, "reachable: 192.168.23.149:80 is reached from client", "✓ reachable")
	m.inquiry.cfg.Watch = true
	perform(press(m, "a"))
	shows(t, m, "asking again: try 192.168.23.149:80 now, from where it does not work")
}

func TestWhyAskFails(t *testing.T) {
	a := &asker{answers: []why.Answer{blocked()}}
	m := answeredWhy(t, "en", 80, 24, a, false)
	a.err = errors.New("opening the trace: no such node")
	a.press(t, m, "a")
	shows(t, m, "✗ the question could not be asked: opening the trace: no such node", "a asks again", "DOCKER-USER")
	a.err = nil
	if a.press(t, m, "a"); strings.Contains(m.frame(), "no such node") {
		t.Error("the failure stays")
	}
}

func TestWhyFirstAskFails(t *testing.T) {
	a := &asker{err: errors.New("no such node")}
	m := newTestWhy(t, "en", 80, 24, a, false)
	_, cmd := m.Update(answeredMsg{err: a.err})
	if cmd == nil || m.inquiry.fatal != a.err {
		t.Fatalf("the program goes on, with %v", m.inquiry.fatal)
	}
	if _, ok := cmd().(tea.QuitMsg); !ok {
		t.Error("it does not quit")
	}
}

func TestWhyStepsThroughTheWalk(t *testing.T) {
	a := &asker{answers: []why.Answer{unheard()}}
	m := answeredWhy(t, "en", 80, 24, a, false)
	end := synWalk().End
	if m.stageShown() || m.ticking || m.player.step != end {
		t.Fatalf("stage %v, clock %v, step %d", m.stageShown(), m.ticking, m.player.step)
	}
	if a.press(t, m, "enter"); !m.stageShown() || m.ticking || m.player.current != 0 || m.player.step != end {
		t.Fatalf("enter shows the stage %v at walk %d, step %d", m.stageShown(), m.player.current, m.player.step)
	}
	shows(t, m, "◆ it ended here: Nothing listens on 172.17.0.2:80 in c1")
	if press(m, "left"); m.player.step != end-1 {
		t.Errorf("left leads to step %d", m.player.step)
	}
	if press(m, "d"); m.player.step != end {
		t.Errorf("d leads to step %d", m.player.step)
	}
	if press(m, "right"); m.player.current != 1 || m.player.step != 0 {
		t.Errorf("right at the end leads to walk %d, step %d", m.player.current, m.player.step)
	}
	if press(m, "w"); m.stageShown() || m.focused() != onCard {
		t.Error("w does not lead back to the answer")
	}
}

func TestWhySpacePlaysFromTheStart(t *testing.T) {
	a := &asker{answers: []why.Answer{served()}}
	m := answeredWhy(t, "en", 80, 24, a, false)
	if press(m, "space"); !m.stageShown() || !m.ticking || m.player.current != 0 || m.player.step != 0 {
		t.Fatalf("space shows the stage %v, clock %v, walk %d, step %d", m.stageShown(), m.ticking, m.player.current, m.player.step)
	}
	seen := map[int]bool{}
	for i := 0; m.ticking; i++ {
		if i > 10000 {
			t.Fatal("the clock does not stop")
		}
		seen[m.player.walks[m.player.current].ID] = true
		m.Update(tickMsg{m.generation})
	}
	if len(seen) != 2 || !seen[1] || !seen[2] {
		t.Errorf("played the walks %v, want those that the evidence speaks of", seen)
	}
	press(m, "space", "space", "space")
	if m.player.paused || m.player.step == 0 && !m.ticking {
		t.Error("space does not pause and go on once the packet was moved")
	}
}

func TestWhyTabGoesRound(t *testing.T) {
	for _, w := range []int{80, 200} {
		a := &asker{answers: []why.Answer{blocked()}}
		m := answeredWhy(t, "en", w, 40, a, false)
		var went []focus
		for range 5 {
			press(m, "tab")
			went = append(went, m.focused())
		}
		if want := []focus{onRules, onPacket, onWalks, onCard, onRules}; !slices.Equal(went, want) {
			t.Errorf("%d columns: tab leads to %v, want %v", w, went, want)
		}
		if press(m, "shift+tab"); m.focused() != onCard {
			t.Errorf("%d columns: shift+tab leads to %v", w, m.focused())
		}
	}
}

func TestWhyRunsTheFix(t *testing.T) {
	a := &asker{answers: []why.Answer{routeless(), served()}, outputs: map[string]string{"ip route get 192.168.23.149": "192.168.23.149 dev eth0"}}
	m := answeredWhy(t, "en", 120, 36, a, true)
	press(m, "f")
	shows(t, m, "Run this in client? y runs it, n does not.", "ip route del blackhole 192.168.23.149")
	if a.press(t, m, "n"); m.inquiry.asksFix || len(a.commands) > 0 {
		t.Fatalf("no runs %v", a.commands)
	}
	if a.press(t, m, "y"); len(a.commands) > 0 {
		t.Fatalf("a yes to nothing runs %v", a.commands)
	}
	a.press(t, m, "f", "y")
	if want := []string{"client$ ip route del blackhole 192.168.23.149", "client$ ip route get 192.168.23.149"}; !slices.Equal(a.commands, want) {
		t.Errorf("ran %q, want %q", a.commands, want)
	}
	if a.asked != 2 {
		t.Errorf("asked %d times", a.asked)
	}
	shows(t, m, "✓ reachable", "what was run: client$ ip route del blackhole 192.168.23.149", "192.168.23.149 dev eth0")
	if a.press(t, m, "a"); strings.Contains(m.frame(), "what was run") {
		t.Error("what was run stays after the user asks again")
	}
}

func TestWhyFixFails(t *testing.T) {
	a := &asker{answers: []why.Answer{routeless()}, exits: map[string]int{"ip route del blackhole 192.168.23.149": 2},
		outputs: map[string]string{"ip route del blackhole 192.168.23.149": "RTNETLINK answers: No such process"}}
	m := answeredWhy(t, "en", 120, 36, a, true)
	a.press(t, m, "f", "y")
	if len(a.commands) != 1 || a.asked != 1 {
		t.Errorf("ran %q, asked %d times", a.commands, a.asked)
	}
	shows(t, m, "RTNETLINK answers: No such process", "✗ exit code 2", "not run, because the command before it failed: ip route get 192.168.23.149")
}

func TestWhyFixIsOnlyShownOnAHost(t *testing.T) {
	a := &asker{answers: []why.Answer{blocked()}}
	m := answeredWhy(t, "en", 80, 24, a, false)
	press(m, "f")
	shows(t, m, "Run it yourself in host", "iptables -I DOCKER-USER 1")
	if a.press(t, m, "y"); len(a.commands) > 0 || !m.inquiry.asksFix || strings.Contains(m.frame(), "run it") {
		t.Errorf("y runs %q", a.commands)
	}
	if press(m, "esc"); m.inquiry.asksFix {
		t.Error("esc does not close the fix")
	}
	a.answers = []why.Answer{unheard()}
	a.press(t, m, "a", "f")
	shows(t, m, "No command is known that mends it.")
	if m.inquiry.asksFix {
		t.Error("a fix without commands is shown")
	}
}

// What cannot be seen is not run.
func TestWhyDoesNotRunUnseen(t *testing.T) {
	a := &asker{answers: []why.Answer{blocked()}}
	m := answeredWhy(t, "en", 70, 20, a, true)
	if a.press(t, m, "f", "y"); len(a.commands) > 0 {
		t.Errorf("ran %q on a screen that is too small to show it", a.commands)
	}
}

func TestWhyWithoutWalks(t *testing.T) {
	a := &asker{answers: []why.Answer{routeless()}}
	m := answeredWhy(t, "en", 80, 24, a, false)
	for _, k := range []string{"enter", "space", "d", "right"} {
		if a.press(t, m, k); m.stageShown() {
			t.Errorf("%s shows a stage with nothing on it", k)
		}
		shows(t, m, "No packet of the request was seen")
	}
	a.press(t, m, "w")
	shows(t, m, "No packet of the request was seen")
}

// A new answer replaces the walks of the one before, whose IDs are the same.
func TestWhyForgetsOldWalks(t *testing.T) {
	a := &asker{answers: []why.Answer{served(), blocked()}}
	m := answeredWhy(t, "en", 80, 24, a, false)
	a.press(t, m, "+", "w", "a")
	if len(m.player.walks) != 1 || m.player.walks[0].Outcome != "dropped" || m.stageShown() {
		t.Errorf("%d walks, the first %s; stage %v", len(m.player.walks), m.player.walks[0].Outcome, m.stageShown())
	}
	if m.player.speed != normalSpeed+1 {
		t.Error("the speed is forgotten")
	}
}

func TestWhyHelpHasItsKeys(t *testing.T) {
	a := &asker{answers: []why.Answer{blocked()}}
	m := answeredWhy(t, "en", 120, 60, a, false)
	press(m, "?")
	shows(t, m, "change between the answer and the walk", "ask again", "show the fix")
	if strings.Contains(m.frame(), "run the fix that is shown") {
		t.Error("help offers to run a fix that is only shown")
	}
	press(m, "end")
	shows(t, m, "◆ the step that decided")
	if press(m, "?", "w"); m.help || !m.stageShown() {
		t.Error("help is not closed, or w does nothing")
	}
}

func TestWhyQuits(t *testing.T) {
	for _, open := range []string{"", "f", "?"} {
		a := &asker{answers: []why.Answer{blocked()}}
		m := answeredWhy(t, "en", 80, 24, a, true)
		if open != "" {
			press(m, open)
		}
		cmd := press(m, "q")
		if cmd == nil {
			t.Fatalf("q does nothing after %q", open)
		}
		if _, ok := cmd().(tea.QuitMsg); !ok || len(a.commands) > 0 {
			t.Errorf("q after %q does not quit, or runs %q", open, a.commands)
		}
	}
}
