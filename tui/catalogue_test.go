//go:build !race

package tui

import (
	"fmt"
	"testing"

	tea "charm.land/bubbletea/v2"

	"packetwalk/scenarios"
	"packetwalk/scenarios/play"
)

// TestCatalogueFits leads through every scenario of the catalogue, in both
// languages and on the usual screens, and holds every frame to the screen.
func TestCatalogueFits(t *testing.T) {
	for _, s := range scenarios.List() {
		for _, lang := range []string{"en", "zh"} {
			for _, size := range []struct{ w, h int }{{80, 24}, {120, 36}} {
				t.Run(fmt.Sprintf("%s/%s/%dx%d", s.Name, lang, size.w, size.h), func(t *testing.T) {
					f := newFakeSession(s.Steps)
					m := newModel(Config{Title: s.Title.In(lang), Lang: lang, Topology: s.Topology, Session: f, Steps: f.steps}, nil)
					m.Update(tea.WindowSizeMsg{Width: size.w, Height: size.h})
					start(m, f)
					for i := 0; i < 100; i++ {
						checkFrame(t, m, fmt.Sprintf("step %d, phase %d", f.state.Step+1, f.state.Phase))
						if f.state.Phase == play.Working && !f.state.Solution {
							do(m, f, "t", "t", "t", "o")
							checkFrame(t, m, fmt.Sprintf("step %d, hints and solution", f.state.Step+1))
						}
						if f.state.Step == len(s.Steps)-1 && f.state.Phase == play.Finished {
							return
						}
						do(m, f, "n")
						playOut(t, m)
					}
					t.Fatalf("step %d, phase %d is as far as it went", f.state.Step+1, f.state.Phase)
				})
			}
		}
	}
}
