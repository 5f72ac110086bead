package tui

import (
	"errors"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"packetwalk/trace"
)

// keyOf is the message of a key by its name.
func keyOf(name string) tea.KeyPressMsg {
	named := map[string]tea.KeyPressMsg{
		"space": {Code: tea.KeySpace, Text: " "}, "left": {Code: tea.KeyLeft}, "right": {Code: tea.KeyRight},
		"up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown}, "pgup": {Code: tea.KeyPgUp}, "pgdown": {Code: tea.KeyPgDown},
		"home": {Code: tea.KeyHome}, "end": {Code: tea.KeyEnd}, "tab": {Code: tea.KeyTab},
		"shift+tab": {Code: tea.KeyTab, Mod: tea.ModShift}, "enter": {Code: tea.KeyEnter}, "esc": {Code: tea.KeyEscape},
		"ctrl+c": {Code: 'c', Mod: tea.ModCtrl},
	}
	if k, ok := named[name]; ok {
		return k
	}
	return tea.KeyPressMsg{Code: rune(name[0]), Text: name}
}

// press sends keys, and returns the command of the last one.
func press(m *model, names ...string) tea.Cmd {
	var cmd tea.Cmd
	for _, n := range names {
		_, cmd = m.Update(keyOf(n))
	}
	return cmd
}

// tickOn lets the clock that is running tick n times. It fails when there is none.
func tickOn(t *testing.T, m *model, n int) {
	t.Helper()
	for range n {
		if !m.ticking {
			t.Fatal("the clock has stopped")
		}
		m.Update(tickMsg{m.generation})
	}
}

func TestPauseAndStep(t *testing.T) {
	m := newTestModel(t, "en", 80, 24, fixtureWalks()...)
	if !m.ticking {
		t.Fatal("nothing is played after the first walk came")
	}
	if cmd := press(m, "space"); cmd != nil || m.ticking || !m.player.paused {
		t.Error("space does not stop the clock")
	}
	if cmd := press(m, "right", "right"); cmd != nil || m.player.step != 2 {
		t.Errorf("two steps right lead to step %d, clock %v", m.player.step, m.ticking)
	}
	if press(m, "left"); m.player.step != 1 {
		t.Errorf("left leads to step %d", m.player.step)
	}
	if cmd := press(m, "space"); cmd == nil || m.player.paused {
		t.Error("space does not go on")
	}
	if press(m, "right"); !m.player.paused || m.ticking {
		t.Error("stepping does not pause")
	}
}

func TestStepAcrossWalks(t *testing.T) {
	m := newTestModel(t, "en", 80, 24, fixtureWalks()...)
	last := len(m.player.walks[0].Steps) - 1
	for range last {
		press(m, "right")
	}
	if m.player.current != 0 || m.player.step != last {
		t.Fatalf("at walk %d step %d", m.player.current, m.player.step)
	}
	if press(m, "right"); m.player.current != 1 || m.player.step != 0 {
		t.Errorf("right at the end leads to walk %d step %d", m.player.current, m.player.step)
	}
	if press(m, "left"); m.player.current != 0 || m.player.step != last {
		t.Errorf("left at the beginning leads to walk %d step %d", m.player.current, m.player.step)
	}
	for range last + 3 {
		press(m, "left")
	}
	if m.player.current != 0 || m.player.step != 0 {
		t.Errorf("left at the very beginning leads to walk %d step %d", m.player.current, m.player.step)
	}
}

func TestLeftWhileMovingGoesBackToTheStep(t *testing.T) {
	m := newTestModel(t, "en", 80, 24, fixtureWalks()...)
	tickOn(t, m, m.player.frames()+3)
	if !m.player.moving() || m.player.step != 1 {
		t.Fatalf("step %d frame %d", m.player.step, m.player.frame)
	}
	if press(m, "left"); m.player.moving() || m.player.step != 1 {
		t.Errorf("left leads to step %d frame %d", m.player.step, m.player.frame)
	}
}

func TestSpeed(t *testing.T) {
	m := newTestModel(t, "en", 80, 24, fixtureWalks()...)
	slow, _ := m.player.wait()
	press(m, "+")
	if fast, _ := m.player.wait(); fast >= slow {
		t.Errorf("faster waits %v, before it was %v", fast, slow)
	}
	if !strings.Contains(m.frame(), "2×") {
		t.Error("the speed is not shown")
	}
	press(m, "+", "+", "+", "+", "+")
	if m.player.speed != len(speeds)-1 {
		t.Errorf("speed %d", m.player.speed)
	}
	press(m, "-", "-", "-", "-", "-", "-", "-", "-")
	if m.player.speed != 0 {
		t.Errorf("speed %d", m.player.speed)
	}
	if m.player.paused {
		t.Error("the speed keys pause")
	}
}

func TestFocusAndOpen(t *testing.T) {
	m := newTestModel(t, "en", 80, 24, fixtureWalks()...)
	press(m, "tab", "tab")
	if m.focus != onWalks || !strings.Contains(ansi.Strip(m.frame()), "▸ walks") {
		t.Fatalf("focus %d", m.focus)
	}
	press(m, "down", "down")
	if press(m, "enter"); m.player.current != 2 || m.player.step != 0 || m.player.paused {
		t.Errorf("enter opens walk %d at step %d", m.player.current, m.player.step)
	}
	press(m, "end")
	if m.cursor != 3 {
		t.Errorf("end leads to %d", m.cursor)
	}
	press(m, "tab")
	if m.focus != onRules || m.cursor != 2 {
		t.Errorf("focus %d, cursor %d: an unfocused list follows the player", m.focus, m.cursor)
	}
	if press(m, "shift+tab"); m.focus != onWalks {
		t.Errorf("shift+tab leads to %d", m.focus)
	}
	press(m, "tab")
	if press(m, "enter"); m.player.current != 2 {
		t.Error("enter opens a walk when another panel has the focus")
	}
}

func TestScrollRules(t *testing.T) {
	m := newTestModel(t, "en", 80, 24, fixtureWalks()...)
	m.player.open(3)
	m.player.step = len(m.player.walks[3].Steps) - 1
	before := m.frame()
	if press(m, "home"); m.frame() == before {
		t.Error("home does not scroll the rules up")
	}
	if !strings.Contains(ansi.Strip(m.frame()), "1  -j DOCKER-USER") {
		t.Error("the first rule cannot be seen")
	}
	if press(m, "end"); m.frame() != before {
		t.Error("end does not scroll back to the policy")
	}
	press(m, "home", "left")
	if m.rules.moved {
		t.Error("stepping does not bring the packet's rule back into view")
	}
}

func TestSend(t *testing.T) {
	m := newTestModel(t, "en", 80, 24, fixtureWalks()...)
	sent := 0
	m.send = func() { sent++ }
	cmd := press(m, "r")
	if cmd == nil || sent != 0 {
		t.Fatalf("Update sends by itself: %d", sent)
	}
	if cmd(); sent != 1 || !strings.Contains(m.frame(), "sending: curl") {
		t.Errorf("sent %d times", sent)
	}
	if press(m, "r") != nil {
		t.Error("a second request while the first is on its way")
	}
	m.Update(sentMsg{errors.New("connection refused")})
	if !strings.Contains(m.frame(), "no answer: connection refused") {
		t.Error("the failure is not shown")
	}
	if press(m, "r") == nil || strings.Contains(m.frame(), "refused") {
		t.Error("it cannot be sent again, or the old failure stays")
	}
	m.Update(sentMsg{})
	if m.sending || m.sendErr != nil {
		t.Error("sending has not ended")
	}
}

func TestNothingToSend(t *testing.T) {
	m := newModel(fixtureConfig(t, "en"), nil)
	m.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	if press(m, "r") != nil || strings.Contains(m.frame(), "send again") {
		t.Error("r is offered without anything to send")
	}
}

func TestHelp(t *testing.T) {
	m := newTestModel(t, "en", 80, 24, fixtureWalks()...)
	press(m, "space", "?")
	if !strings.Contains(m.frame(), "Help") || !strings.Contains(m.frame(), "Keys") {
		t.Error("no help")
	}
	press(m, "end")
	if !strings.Contains(m.frame(), "unfinished") {
		t.Error("help does not scroll to its end")
	}
	if press(m, "esc"); m.help {
		t.Error("esc does not close help")
	}
	if press(m, "?", "?"); m.help {
		t.Error("? does not close help")
	}
}

func TestQuit(t *testing.T) {
	for _, k := range []string{"q", "ctrl+c"} {
		cmd := press(newTestModel(t, "en", 80, 24), k)
		if cmd == nil {
			t.Fatalf("%s does nothing", k)
		}
		if _, ok := cmd().(tea.QuitMsg); !ok {
			t.Errorf("%s does not quit", k)
		}
	}
}

// TestOneClock counts the ticks that are on their way: whatever the user does,
// one of them counts at most.
func TestOneClock(t *testing.T) {
	m := newTestModel(t, "en", 80, 24, fixtureWalks()...)
	press(m, "space", "space", "+", "-", "right", "space", "space", "space", "+")
	if !m.ticking {
		t.Fatal("the clock has stopped")
	}
	for g := range m.generation { // the ticks of every clock before
		step, frame := m.player.step, m.player.frame
		if _, cmd := m.Update(tickMsg{g}); cmd != nil || m.player.step != step || m.player.frame != frame {
			t.Fatalf("a tick of generation %d counts in generation %d", g, m.generation)
		}
	}
	generation := m.generation
	if _, cmd := m.Update(walksMsg{fixtureWalks()}); cmd != nil || m.generation != generation {
		t.Error("walks that come in start a second clock")
	}
}

func TestPlaysEverythingThenStops(t *testing.T) {
	m := newTestModel(t, "en", 80, 24, fixtureWalks()...)
	seen := map[int]bool{}
	for i := 0; m.ticking; i++ {
		if i > 10000 {
			t.Fatal("the clock does not stop")
		}
		seen[m.player.current] = true
		m.Update(tickMsg{m.generation})
	}
	if len(seen) != 4 || !m.player.finished() || m.player.current != 3 {
		t.Errorf("played %d walks, finished %v at walk %d", len(seen), m.player.finished(), m.player.current)
	}
	if !strings.Contains(m.frame(), "all played") {
		t.Error("it does not say so")
	}
	next := synWalk()
	next.ID = 5
	if _, cmd := m.Update(walksMsg{[]trace.Walk{next}}); cmd == nil {
		t.Error("a new walk does not start the clock")
	}
	if tickOn(t, m, 1); m.player.current != 4 {
		t.Errorf("the new walk is not played, but %d", m.player.current)
	}
}

func TestSpacePlaysTheLastWalkAgain(t *testing.T) {
	m := newTestModel(t, "en", 80, 24, synWalk())
	for m.ticking {
		m.Update(tickMsg{m.generation})
	}
	if press(m, "space"); m.player.step != 0 || !m.ticking {
		t.Errorf("at step %d, clock %v", m.player.step, m.ticking)
	}
}

func TestLiveWalkGrows(t *testing.T) {
	whole := synWalk()
	m := newTestModel(t, "en", 80, 24)
	if m.ticking {
		t.Fatal("a clock without a walk")
	}
	part := whole
	part.Steps, part.Outcome, part.End = whole.Steps[:3], "", -1
	m.Update(walksMsg{[]trace.Walk{part}})
	for m.ticking {
		m.Update(tickMsg{m.generation})
	}
	if m.player.step != 2 || m.player.finished() {
		t.Fatalf("at step %d, finished %v", m.player.step, m.player.finished())
	}
	m.Update(walksMsg{[]trace.Walk{whole}})
	if m.player.step != 2 || !m.ticking {
		t.Errorf("at step %d, clock %v: it does not go on where it was", m.player.step, m.ticking)
	}
}

func TestWalksInAnyOrder(t *testing.T) {
	ws := fixtureWalks()
	m := newTestModel(t, "en", 80, 24, ws[2], ws[0], ws[3], ws[1])
	for i, w := range m.player.walks {
		if w.ID != i+1 {
			t.Errorf("walk %d stands at %d", w.ID, i)
		}
	}
	if m.player.current != 2 {
		t.Errorf("the walk being played has become %d", m.player.current)
	}
}

func TestEnded(t *testing.T) {
	m := newTestModel(t, "en", 80, 24)
	m.Update(endedMsg{})
	if !strings.Contains(m.frame(), "ended without a packet") {
		t.Error("it still waits")
	}
}

func TestLosses(t *testing.T) {
	m := newTestModel(t, "en", 80, 24, synWalk())
	if strings.Contains(m.frame(), "lost") {
		t.Error("losses are shown without any")
	}
	if m.Update(lossesMsg(3)); !strings.Contains(m.frame(), "3 events lost") {
		t.Error("losses are not shown")
	}
	m.cfg.Rate = 100
	if m.Update(leftOutMsg(12345)); !strings.Contains(m.frame(), "3 events lost · 12345 packets left out, beyond 100/s") {
		t.Error("what is left out is not shown")
	}
}

func TestLightBackground(t *testing.T) {
	m := newTestModel(t, "en", 80, 24, synWalk())
	dark := m.frame()
	if m.Update(tea.BackgroundColorMsg{}); m.frame() != dark {
		t.Error("an unknown background is not taken as dark")
	}
	m.Update(tea.BackgroundColorMsg{Color: ansi.White})
	if light := m.frame(); light == dark || ansi.Strip(light) != ansi.Strip(dark) {
		t.Error("a light background does not change the colours, and them alone")
	}
}

func TestView(t *testing.T) {
	v := newTestModel(t, "en", 80, 24).View()
	if !v.AltScreen || v.WindowTitle != "packetwalk: Publish a container's port" {
		t.Errorf("alternate screen %v, title %q", v.AltScreen, v.WindowTitle)
	}
}

// A trace may go on for days: the oldest walks make room, but for the one that
// is played. The cursor stays on its walk.
func TestOldWalksAreForgotten(t *testing.T) {
	walk := func(id int) trace.Walk {
		w := synWalk()
		w.ID = id
		return w
	}
	m := newTestModel(t, "en", 80, 24, walk(1))
	for id := 2; id <= mostWalks; id++ {
		m.player.take(walk(id))
	}
	m.player.step, m.focus, m.cursor = 2, onWalks, 99
	for id := mostWalks + 1; id <= mostWalks+10; id++ {
		m.Update(walksMsg{[]trace.Walk{walk(id)}})
	}
	if w, ok := m.player.walk(); len(m.player.walks) != mostWalks || !ok || w.ID != 1 || m.player.step != 2 {
		t.Errorf("%d walks are kept, walk %d is played; want %d and walk 1", len(m.player.walks), w.ID, mostWalks)
	}
	if got := m.player.walks[m.cursor].ID; got != 100 {
		t.Errorf("the cursor is on walk %d, want 100", got)
	}
}
