package tui

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"packetwalk/lab"
	"packetwalk/scenarios"
	"packetwalk/scenarios/expect"
	"packetwalk/scenarios/play"
	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

// says tells whether the screen shows a text.
func says(m *model, text string) bool { return strings.Contains(ansi.Strip(m.frame()), text) }

// asked is the last action that the session was asked for.
func asked(f *fakeSession) play.Action {
	if len(f.asked) == 0 {
		return nil
	}
	return f.asked[len(f.asked)-1]
}

// ask leads a lesson to its question.
func ask(m *model, f *fakeSession) {
	start(m, f)
	goOnUntil(m, f, func(s play.State) bool { return s.Phase == play.Asking })
}

func TestLessonLeadsThroughAStep(t *testing.T) {
	m, f := newLessonModel(t, "en", 80, 24)
	ask(m, f)
	if m.stageShown() || !says(m, "Where will the packet end?") {
		t.Fatal("the question is not asked")
	}
	if do(m, f, "enter"); f.state.Phase != play.Asking || !says(m, "Choose an answer") {
		t.Error("enter goes on without an answer")
	}
	if do(m, f, "2"); asked(f) != (play.Choose{Choice: 1}) || !m.stageShown() || !m.ticking {
		t.Fatalf("after the answer: asked for %#v, stage %v, clock %v", asked(f), m.stageShown(), m.ticking)
	}
	if says(m, "✓ delivered") {
		t.Error("the outcome is told before the packet has moved")
	}
	if playOut(t, m); m.stageShown() || !says(m, "What happened") || !says(m, "✓ Right") {
		t.Error("after the walks the results are not shown")
	}
	if f.state.Phase != play.Watching {
		t.Errorf("the lesson has gone on by itself to phase %d", f.state.Phase)
	}
	goOnUntil(m, f, func(s play.State) bool { return s.Step == 1 })
	if !says(m, "step 2 of 3") || !says(m, "What Docker adds") {
		t.Error("the next step is not shown")
	}
	if do(m, f, "b"); f.state.Step != 0 || !says(m, "step 1 of 3") {
		t.Error("b does not go back")
	}
}

func TestAnswersByArrowAndDigit(t *testing.T) {
	m, f := newLessonModel(t, "en", 80, 24)
	ask(m, f)
	do(m, f, "down", "down", "down")
	if m.lesson.choice != 1 {
		t.Errorf("down leads to answer %d", m.lesson.choice)
	}
	do(m, f, "up")
	if m.lesson.choice != 0 {
		t.Errorf("up leads to answer %d", m.lesson.choice)
	}
	if do(m, f, "up", "up"); says(m, "In the container, delivered") {
		t.Error("up does not scroll behind the first answer")
	}
	do(m, f, "end")
	if do(m, f, "7"); f.state.Phase != play.Asking || !says(m, "1 to 2") {
		t.Error("an answer that is not there can be given")
	}
	do(m, f, "enter")
	if asked(f) != (play.Choose{Choice: 0}) {
		t.Errorf("enter asks for %#v", asked(f))
	}
	if playOut(t, m); !says(m, "✗ Not quite") || !says(m, "Right is 2: In the container") {
		t.Error("a wrong answer is not put right")
	}
}

// TestTextBeforeTheQuestion is about sessions that ask without waiting until the
// text has been read.
func TestTextBeforeTheQuestion(t *testing.T) {
	m, f := newLessonModel(t, "en", 80, 24)
	f.state.Phase = play.Running
	f.emit()
	for _, c := range f.steps[0].Run {
		f.run(c, play.ByScenario)
	}
	f.state.Phase = play.Asking
	f.emit()
	catchUp(m, f)
	if !says(m, "The destination is rewritten") || says(m, "Where will the packet end?") || !says(m, "read on") {
		t.Fatal("the text is passed over")
	}
	if do(m, f, "down", "down"); m.lesson.choice >= 0 {
		t.Error("an answer that cannot be seen is chosen")
	}
	do(m, f, "enter", "enter", "enter")
	if do(m, f, "down"); m.lesson.choice != 0 || !says(m, "▶ 1  In the host") {
		t.Error("the question has not come")
	}
	if do(m, f, "enter"); asked(f) != (play.Choose{Choice: 0}) {
		t.Errorf("asked for %#v", asked(f))
	}
}

func TestWalksAreNotToldBeforeTheyArePlayed(t *testing.T) {
	m, f := newLessonModel(t, "en", 200, 50)
	ask(m, f)
	do(m, f, "n")
	list := func(id int) trace.Outcome {
		return m.walksPanel().told(m.player.walks[id-1])
	}
	if list(1) != "" || list(2) != "" {
		t.Errorf("walks 1 and 2 are told to be %q and %q", list(1), list(2))
	}
	if do(m, f, "enter"); list(1) != trace.Delivered || list(2) != "" || m.lesson.revealed() {
		t.Errorf("walk 1 was passed over: 1 is %q, 2 is %q, all revealed %v", list(1), list(2), m.lesson.revealed())
	}
	do(m, f, "enter", "enter", "enter")
	if list(3) != trace.Delivered || !m.lesson.revealed() || !says(m, "What happened") {
		t.Errorf("after the results walk 3 is %q", list(3))
	}
}

func TestHurryWaitsForTheAnswer(t *testing.T) {
	m, f := newLessonModel(t, "en", 80, 24)
	f.slow = true
	ask(m, f)
	do(m, f, "n", "enter", "enter", "enter", "enter")
	if m.lesson.revealed() || !m.stageShown() || f.state.Phase != play.Sending {
		t.Fatal("the results are shown before there are any")
	}
	f.watch()
	catchUp(m, f)
	if playOut(t, m); !says(m, "What happened") {
		t.Error("the results are not shown when they are there")
	}
}

func TestStepWithoutAPacket(t *testing.T) {
	m, f := newLessonModel(t, "en", 80, 24)
	delete(f.traffic, 0)
	ask(m, f)
	if do(m, f, "1"); m.stageShown() || !says(m, "What happened") {
		t.Error("without a packet the results are not shown at once")
	}
	m.Update(walksMsg{[]trace.Walk{synWalk()}})
	if m.stageShown() {
		t.Error("a walk that comes late takes the results away")
	}
}

func TestOnlyWhatDecidesIsPlayed(t *testing.T) {
	m, f := newLessonModel(t, "en", 80, 24)
	ask(m, f)
	do(m, f, "n")
	seen := map[int]bool{}
	for m.ticking {
		seen[m.player.current] = true
		m.Update(tickMsg{m.generation})
	}
	if diff := cmp.Diff(map[int]bool{0: true, 1: true}, seen); diff != "" {
		t.Errorf("walks played (-want +got):\n%s", diff)
	}
	do(m, f, "v", "space")
	if m.player.current != 2 || !m.ticking {
		t.Errorf("space leads to walk %d, clock %v", m.player.current, m.ticking)
	}
}

func TestTheClockStandsBehindTheCard(t *testing.T) {
	m, f := newLessonModel(t, "en", 80, 24)
	ask(m, f)
	do(m, f, "n")
	step := m.player.step
	if do(m, f, "v"); m.ticking || m.stageShown() {
		t.Error("the packet moves where nobody sees it")
	}
	m.Update(tickMsg{m.generation - 1})
	if do(m, f, "v"); !m.ticking || m.player.step != step {
		t.Error("the packet does not go on where it was")
	}
	m.Update(tea.WindowSizeMsg{Width: 200, Height: 50})
	if !m.ticking {
		t.Error("the clock stops when the screen grows")
	}
}

func TestCommandLine(t *testing.T) {
	m, f := newLessonModel(t, "en", 80, 24)
	start(m, f)
	do(m, f, ":")
	if !says(m, "host$") {
		t.Fatal("no prompt of the host")
	}
	do(m, f, "l", "s", "space", "q", "enter")
	if asked(f) != (play.Type{Node: "host", Command: "ls q"}) || !says(m, "host$ ls q") || m.lesson.prompt.asks != asksNothing {
		t.Errorf("asked for %#v", asked(f))
	}
	do(m, f, ":", "tab")
	if !says(m, "c1$") {
		t.Error("tab does not go to another node")
	}
	m.Update(tea.PasteMsg{Content: "client: ip -c addr"})
	if do(m, f, "enter"); asked(f) != (play.Type{Node: "client", Command: "ip -c addr"}) || !says(m, "lo: <LOOPBACK,UP>") {
		t.Errorf("asked for %#v", asked(f))
	}
	do(m, f, ":", "x", "up", "up", "up")
	if got := m.lesson.prompt.input.Value(); got != "ls q" || !says(m, "client$ ls q") {
		t.Errorf("up twice recalls %q", got)
	}
	do(m, f, "down", "down", "down")
	if got := m.lesson.prompt.input.Value(); got != "x" {
		t.Errorf("down leads back to %q", got)
	}
	n := len(f.asked)
	do(m, f, "ctrl+c")
	if m.lesson.prompt.asks != asksCommand || m.lesson.prompt.input.Value() != "" {
		t.Error("ctrl+c does not empty the line")
	}
	do(m, f, "enter", ":", "a", "esc")
	if m.lesson.prompt.asks != asksNothing || len(f.asked) != n {
		t.Error("nothing or esc runs something")
	}
}

func TestFailedCommandsSaySo(t *testing.T) {
	m, f := newLessonModel(t, "en", 80, 24)
	start(m, f)
	do(m, f, ":")
	m.Update(tea.PasteMsg{Content: "false"})
	if do(m, f, "enter"); !says(m, "✗ exit code 1") {
		t.Error("the exit code is not shown")
	}
	f.state.Ran[len(f.state.Ran)-1].Omitted = 4096
	f.state.Err = errors.New("undoing: nothing to undo")
	f.emit()
	if catchUp(m, f); !says(m, "✗ undoing: nothing to undo") {
		t.Error("the error is not shown")
	}
	if !says(m, "and 4096 more bytes") {
		t.Error("output is left out silently")
	}
}

// fakeShell is a shell that notes whether it ran.
type fakeShell struct{ err error }

func (s fakeShell) Run() error        { return s.err }
func (fakeShell) SetStdin(io.Reader)  {}
func (fakeShell) SetStdout(io.Writer) {}
func (fakeShell) SetStderr(io.Writer) {}

func TestShell(t *testing.T) {
	m, f := newLessonModel(t, "en", 80, 24)
	start(m, f)
	if do(m, f, "s"); !says(m, "no shell") {
		t.Error("a shell is offered where there is none")
	}
	var nodes []string
	m.lesson.shell = func(node string) tea.ExecCommand {
		nodes = append(nodes, node)
		return fakeShell{}
	}
	do(m, f, "s", "esc", "s", "right")
	if !says(m, "Shell in which node?") || !says(m, "1 host") {
		t.Error("the nodes are not shown")
	}
	if cmd := press(m, "enter"); cmd == nil || !slices.Equal(nodes, []string{"c1"}) {
		t.Errorf("shells in %v", nodes)
	}
	do(m, f, "s")
	if cmd := press(m, "3"); cmd == nil || !slices.Equal(nodes, []string{"c1", "client"}) {
		t.Errorf("shells in %v", nodes)
	}
	m.Update(shellMsg{"client", errors.New("signal: killed")})
	if !says(m, "the shell in client: signal: killed") {
		t.Error("the end of the shell is not told")
	}
}

func TestGoal(t *testing.T) {
	m, f := newLessonModel(t, "en", 80, 24)
	f.begin(2)
	catchUp(m, f)
	do(m, f, "enter")
	if !says(m, "Goal ○ not reached yet") || !says(m, "Hints left: 3, with t") {
		t.Fatal("the goal is not shown")
	}
	if do(m, f, "enter"); f.state.Phase != play.Working || !says(m, "n goes on all the same") {
		t.Error("enter leaves the goal behind")
	}
	do(m, f, "t")
	if !says(m, "Hint 1: Watch where it ends.") || says(m, "Hint 2") {
		t.Error("the first hint is not shown, or more than that")
	}
	do(m, f, "r")
	if !says(m, "✗ The first packet of request get is delivered") || !says(m, "dropped in host by the policy") {
		t.Error("it is not said why the goal is not reached")
	}
	do(m, f, "o")
	if !says(m, "host$ iptables -A DOCKER") {
		t.Error("the solution is not shown")
	}
	do(m, f, "O", "n")
	if asked(f) == (play.Solve{}) {
		t.Error("n solves it")
	}
	if do(m, f, "O", "y"); !f.state.Reached || !says(m, "Goal ✓ reached") {
		t.Error("it is not solved")
	}
	if do(m, f, "end", "enter"); !says(m, "That was the last step") {
		t.Error("the end is not told")
	}
}

func TestResetAsksFirst(t *testing.T) {
	m, f := newLessonModel(t, "en", 80, 24)
	start(m, f)
	n := len(f.asked)
	do(m, f, "x", "n", "X", "esc", "x", "space")
	if len(f.asked) != n || !says(m, "beginning of this step?") {
		t.Errorf("asked for %#v", asked(f))
	}
	if do(m, f, "y"); asked(f) != (play.ResetStep{}) {
		t.Errorf("y asks for %#v", asked(f))
	}
	if do(m, f, "X", "y"); asked(f) != (play.ResetScenario{}) {
		t.Errorf("X, y asks for %#v", asked(f))
	}
	n = len(f.asked)
	if do(m, f, "u"); len(f.asked) != n || !says(m, "Nothing was changed here that could be undone.") {
		t.Errorf("u asks for %#v", asked(f))
	}
	f.state.Changes = 1
	f.state.Ran = append(f.state.Ran, play.Ran{Command: scenarios.Command{Node: "host", Text: "iptables -F"}, Done: true, By: play.ByUser})
	f.emit()
	catchUp(m, f)
	if do(m, f, "u"); asked(f) != (play.Undo{}) {
		t.Errorf("u asks for %#v", asked(f))
	}
	if !says(m, "undone: host$ iptables -F") || !says(m, "↶ undone") {
		t.Errorf("nothing is said of what was undone:\n%s", ansi.Strip(m.frame()))
	}
}

func TestBusySessionIsNotPushed(t *testing.T) {
	m, f := newLessonModel(t, "en", 80, 24)
	start(m, f)
	f.state.Busy = true
	f.emit()
	catchUp(m, f)
	n := len(f.asked)
	do(m, f, "end", "enter", "n", "b")
	if len(f.asked) != n || !says(m, "working …") {
		t.Errorf("asked for %#v", f.asked[n:])
	}
	do(m, f, ":", "l", "enter")
	if len(f.asked) != n || m.lesson.prompt.input.Value() != "l" {
		t.Error("what was typed is lost")
	}
}

func TestRemoteMode(t *testing.T) {
	m, f := newLessonModel(t, "en", 80, 24)
	start(m, f)
	do(m, f, "m")
	if !says(m, "1 / 3   The destination is rewritten") || !says(m, "space read on") {
		t.Error("the title is not shown large")
	}
	for i := 0; f.state.Phase < play.Watching && i < 20; i++ {
		do(m, f, choose(i%2 == 0, "space", "pgdown"))
	}
	for i := 0; f.state.Step == 0 && i < 20; i++ {
		do(m, f, "space")
	}
	if f.state.Step != 1 {
		t.Fatal("space does not lead to the next step")
	}
	if do(m, f, "pgup"); f.state.Step != 0 || asked(f) != (play.Back{}) {
		t.Error("PageUp does not go back")
	}
	do(m, f, "m")
	if says(m, "1 / 3") || m.keys.Insist.Help().Key != "n" {
		t.Error("m does not leave the remote mode")
	}
}

func TestTheLabChanges(t *testing.T) {
	m, f := newLessonModel(t, "en", 120, 36)
	start(m, f)
	f.state.Topology = lab.Topology{Nodes: []lab.Node{{Name: "alone", Kind: lab.Host}}}
	f.state.Rulesets = map[string]ruleset.Ruleset{"host": {Tables: []ruleset.Table{{Name: trace.NAT, Chains: []ruleset.Chain{{Name: "DOCKER"}}}}}}
	f.emit()
	if catchUp(m, f); !says(m, "alone") || says(m, "docker0 ─") {
		t.Error("the line of nodes does not follow")
	}
	f.state.Topology = fixtureTopology()
	f.emit()
	catchUp(m, f)
	goOnUntil(m, f, func(s play.State) bool { return s.Phase == play.Watching })
	m.player.step = 12 // DNAT, by a rule that is not there any more
	if !says(m, "Not in this chain as it is now") || !says(m, "--to-destination 172.17.0.2:80") {
		t.Error("it is not told that the chain has changed")
	}
}

func TestOlderWalks(t *testing.T) {
	m, f := newLessonModel(t, "en", 200, 50)
	ask(m, f)
	do(m, f, "n", "enter", "enter", "enter", "enter")
	do(m, f, "r")
	if !says(m, "3 earlier: a · 3") || m.player.walks[m.player.current].ID != 4 {
		t.Error("the walks of before are listed, or played")
	}
	press(m, "left", "left")
	if m.player.walks[m.player.current].ID != 4 {
		t.Error("left leads to the walks of before")
	}
	do(m, f, "tab", "tab", "tab", "home")
	if m.cursor != 3 {
		t.Errorf("home leads to %d", m.cursor)
	}
	if do(m, f, "a", "home", "enter"); m.player.current != 0 {
		t.Errorf("walk %d is played", m.player.current)
	}
}

func TestSessionWithoutSteps(t *testing.T) {
	f := newFakeSession(nil)
	c := fixtureConfig(t, "en")
	c.Session = f
	m := newModel(c, nil)
	m.Update(tea.WindowSizeMsg{Width: 120, Height: 36})
	f.state.Phase, f.state.FirstWalk = play.Watching, 1
	f.emit()
	f.bring(fixtureWalks())
	if catchUp(m, f); !m.stageShown() || !m.ticking {
		t.Fatal("the walks are not played")
	}
	if !says(m, "✓") || m.walksPanel().told(m.player.walks[3]) != trace.Dropped {
		t.Error("outcomes are hidden without a lesson")
	}
	press(m, "space", "space")
	playOut(t, m)
	if m.player.current != 3 {
		t.Errorf("it stops at walk %d", m.player.current)
	}
	f.state.Ran = []play.Ran{{Done: true, By: play.ByUser, Output: "hello"}}
	f.emit()
	if catchUp(m, f); !says(m, "hello") {
		t.Error("the output of a command is not shown")
	}
	if press(m, "v"); says(m, "hello") {
		t.Error("v does not lead back to the stage")
	}
}

func TestFaultsAreSaidInWords(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		w := newWords(lang)
		for _, fault := range []expect.Fault{expect.NoPacket, expect.SeenPacket, expect.NoAnswer, expect.HasAnswer, expect.WrongOutcome,
			expect.WrongNode, expect.WrongEnd, expect.NotThrough, expect.NotAvoided, expect.WrongAddress} {
			for _, walk := range []int{0, 1, 99} {
				text := w.fault(expect.Result{Fault: fault, Walk: walk}, fixtureWalks())
				if text == "" || text == string(fault) || strings.ContainsAny(text, "{}") {
					t.Errorf("%s, %s in walk %d: %q", lang, fault, walk, text)
				}
			}
		}
	}
}
