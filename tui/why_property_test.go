package tui

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"packetwalk/trace/why"
)

// whyStates are the screens that an answer can have, a key at a time.
var whyStates = [][]string{{}, {"w"}, {"enter"}, {"enter", "left", "left"}, {"w", "tab", "tab"}, {"?"}, {"f"}, {"end"}, {"space"}}

// TestEveryWhyFrameFillsTheScreen goes through every width and every height,
// each with answers, languages and states in turn.
func TestEveryWhyFrameFillsTheScreen(t *testing.T) {
	all := []why.Answer{blocked(), served(), unheard(), routeless(), unknown(), hostile()}
	n := 0
	check := func(w, h int) {
		if t.Failed() {
			return
		}
		n++
		lang, keys := []string{"en", "zh"}[n%2], whyStates[n/2%len(whyStates)]
		a := &asker{answers: []why.Answer{all[n/5%len(all)]}}
		m := newTestWhy(t, lang, w, h, a, n%3 == 0)
		if m.width < leastWidth || m.height < leastHeight {
			checkSize(t, m)
			a.settleJobs(t, m)
			checkSize(t, m)
			return
		}
		checkFrame(t, m, fmt.Sprintf("%s %dx%d asking", lang, w, h))
		a.settleJobs(t, m)
		a.press(t, m, keys...)
		checkFrame(t, m, fmt.Sprintf("%s %dx%d answer %d after %q", lang, w, h, n/5%len(all), keys))
	}
	for w := 60; w <= 220; w++ {
		for _, h := range []int{20, 24, 41} {
			check(w, h)
		}
	}
	for h := 20; h <= 60; h++ {
		for _, w := range []int{60, 80, 120, 160, 220} {
			check(w, h)
		}
	}
}

// checkSize holds a frame to the screen where there is too little room for more.
func checkSize(t *testing.T, m *model) {
	t.Helper()
	lines := strings.Split(m.frame(), "\n")
	if len(lines) != m.height {
		t.Errorf("%dx%d: %d lines", m.width, m.height, len(lines))
	}
	for i, l := range lines {
		if width(l) != m.width {
			t.Errorf("%dx%d: line %d is %d wide", m.width, m.height, i+1, width(l))
		}
	}
}

func TestHostileWhy(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		for _, size := range []struct{ w, h int }{{80, 24}, {120, 36}, {200, 50}} {
			a := &asker{answers: []why.Answer{hostile()}, outputs: map[string]string{}}
			for _, c := range hostile().Fix.Commands {
				a.outputs[c] = "\x1b[2J\x1b]0;title\x07" + strings.Repeat("字", 300)
			}
			a.exits = map[string]int{hostile().Fix.Commands[1]: 127}
			m := answeredWhy(t, lang, size.w, size.h, a, true)
			m.cfg.Title = "\x1b[2J" + strings.Repeat("标题", 100)
			look := func(what string) {
				t.Helper()
				checkFrame(t, m, fmt.Sprintf("%s %dx%d %s", lang, size.w, size.h, what))
				if frame := m.frame(); strings.Contains(frame, "\x1b[2J") || strings.Contains(frame, "\a") || strings.Contains(frame, "\u202e") {
					t.Errorf("%s: what comes from outside reaches the terminal", what)
				}
			}
			look("answer")
			a.press(t, m, "pgdown", "end")
			look("its end")
			a.press(t, m, "f")
			look("fix")
			a.press(t, m, "end")
			look("the fix's end")
			a.press(t, m, "y")
			look("what was run")
			a.err = errors.New("\x1b[2Jasking: " + strings.Repeat("no such thing ", 40))
			a.press(t, m, "a")
			look("an error")
			a.press(t, m, "w")
			look("the walk")
		}
	}
}
