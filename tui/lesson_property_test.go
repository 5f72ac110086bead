//go:build !race

package tui

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"packetwalk/scenarios/play"
)

func TestEveryLessonFrameFillsTheScreen(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		for _, size := range []struct{ w, h int }{{80, 24}, {81, 25}, {99, 30}, {120, 36}, {159, 40}, {160, 24}, {161, 41}, {200, 50}, {260, 36}, {300, 90}} {
			m, f := newLessonModel(t, lang, size.w, size.h)
			situations(t, m, f, func(what string) {
				checkFrame(t, m, fmt.Sprintf("%s %dx%d %s", lang, size.w, size.h, what))
			})
		}
	}
}

func TestHostileLessons(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		for _, size := range []struct{ w, h int }{{80, 24}, {120, 36}, {163, 38}} {
			f := newFakeSession(hostileSteps())
			f.traffic[0] = fixtureWalks()[:2]
			f.results[0] = newFixtureSession().results[0]
			f.output[f.steps[0].Run[0].Text] = "\x1b]0;title\x07\x1b[31mred\x1b[0m\x00\a\r\nover\rwritten\n" + strings.Repeat("col\t", 60) + "\n" + strings.Repeat("\t", 50) + "数\n" + strings.Repeat("字", 300) + "\xff\xfe"
			c := fixtureConfig(t, lang)
			c.Session, c.Steps = f, f.steps
			m := newModel(c, nil)
			m.Update(tea.WindowSizeMsg{Width: size.w, Height: size.h})
			look := func() {
				t.Helper()
				checkFrame(t, m, fmt.Sprintf("%s %dx%d phase %d", lang, size.w, size.h, f.state.Phase))
			}
			start(m, f)
			for i := 0; f.state.Phase != play.Finished && i < 300; i++ {
				do(m, f, "n")
				playOut(t, m)
				look()
				if f.state.Phase == play.Asking {
					do(m, f, "up")
					look()
				}
				if f.state.Phase == play.Working && !f.state.Solution {
					do(m, f, "t", "t", "o")
					look()
				}
			}
			f.state.Err = errors.New("running a command: \x1b[31m" + strings.Repeat("no such thing ", 30))
			do(m, f, ":")
			m.Update(tea.PasteMsg{Content: strings.Repeat("数据包 x ", 60)})
			look()
			do(m, f, "home", "right", "right")
			look()
			do(m, f, "esc", "end")
			look()
			if strings.Contains(m.frame(), "\x1b[2J") || strings.Contains(m.frame(), "\a") {
				t.Error("what comes from outside reaches the terminal")
			}
		}
	}
}
