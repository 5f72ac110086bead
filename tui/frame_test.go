package tui

import (
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"packetwalk/trace"
)

// newTestModel is a model of a given size that has the fixture's walks.
func newTestModel(t testing.TB, lang string, w, h int, walks ...trace.Walk) *model {
	m := newModel(fixtureConfig(t, lang), func() {})
	m.Update(tea.WindowSizeMsg{Width: w, Height: h})
	if len(walks) > 0 {
		m.Update(walksMsg{walks})
	}
	return m
}

// checkFrame holds a frame to the screen's size, and its grid to drawing
// nothing outside of it and no text on text.
func checkFrame(t *testing.T, m *model, where string) {
	t.Helper()
	g := m.draw()
	frame := g.render(m.palette)
	dialog := m.help || m.inquiry != nil && m.inquiry.asksFix
	if dialog {
		frame = m.frame()
	}
	lines := strings.Split(frame, "\n")
	if len(lines) != m.height {
		t.Errorf("%s: %d lines, want %d", where, len(lines), m.height)
	}
	for i, l := range lines {
		// A dialog's layers come without the blanks at the ends of lines.
		if w := ansi.StringWidth(l); w > m.width || w < m.width && !dialog {
			t.Errorf("%s: line %d is %d wide, want %d: %q", where, i+1, w, m.width, ansi.Strip(l))
		}
	}
	if g.clipped > 0 || g.overlapped > 0 {
		t.Errorf("%s: %d cells clipped, %d overlapped\n%s", where, g.clipped, g.overlapped, ansi.Strip(m.frame()))
	}
}

// checkWalks looks at every step of every walk, at rest and, if asked to, half
// way to the next.
func checkWalks(t *testing.T, m *model, half bool) {
	t.Helper()
	for i, w := range m.player.walks {
		m.player.open(i)
		m.focus = focus(i % int(numFocus))
		for s := range w.Steps {
			m.player.step, m.player.frame = s, 0
			where := fmt.Sprintf("%s %dx%d walk %d step %d", m.cfg.Lang, m.width, m.height, w.ID, s+1)
			checkFrame(t, m, where)
			if half && s+1 < len(w.Steps) {
				m.player.frame = m.player.frames() / 2
				checkFrame(t, m, where+" and a half")
			}
		}
	}
}

func TestTooSmall(t *testing.T) {
	for _, size := range []struct{ w, h int }{{79, 24}, {80, 23}, {20, 5}, {3, 2}, {1, 1}} {
		m := newTestModel(t, "en", size.w, size.h, synWalk())
		lines := strings.Split(m.frame(), "\n")
		if len(lines) != size.h {
			t.Errorf("%dx%d: %d lines", size.w, size.h, len(lines))
		}
		if text := strings.Join(strings.Fields(m.frame()), " "); size.w >= 20 && !strings.Contains(text, fmt.Sprintf("80x24 characters; this one is %dx%d", size.w, size.h)) {
			t.Errorf("%dx%d says %q", size.w, size.h, text)
		}
	}
}

func BenchmarkFrame(b *testing.B) {
	m := newTestModel(b, "en", 200, 50, fixtureWalks()...)
	m.player.step, m.player.frame = 20, 3
	for b.Loop() {
		m.frame()
	}
}
