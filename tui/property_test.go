//go:build !race

package tui

import (
	"fmt"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

// The tests of files like this one draw every frame that there can be, in one
// goroutine: the race detector has nothing to find there, and takes ten times as
// long. So they are built without it only, and .ci/test runs them apart.

func TestEveryFrameFillsTheScreen(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		for _, w := range []int{80, 87, 99, 100, 131, 140, 160, 200} {
			for _, h := range []int{24, 30, 35, 36, 60} {
				m := newTestModel(t, lang, w, h)
				checkFrame(t, m, fmt.Sprintf("%s %dx%d before the first walk", lang, w, h))
				m.Update(walksMsg{fixtureWalks()})
				checkWalks(t, m, (w+h)%7 == 0)
				if t.Failed() {
					return
				}
			}
		}
	}
}

func TestSizesInUse(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		for _, size := range []struct{ w, h int }{{80, 24}, {120, 36}, {200, 50}, {200, 24}, {80, 60}, {300, 90}} {
			m := newTestModel(t, lang, size.w, size.h, fixtureWalks()...)
			m.losses, m.leftOut = 12, 3456789
			checkWalks(t, m, true)
			m.help = true
			checkFrame(t, m, "help")
		}
	}
}

func TestPickerFillsTheScreen(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		for _, size := range []struct{ w, h int }{{80, 24}, {97, 31}, {120, 36}, {300, 90}} {
			p := newTestPicker(lang, size.w, size.h)
			p.items = append(p.items, Item{Name: strings.Repeat("long-name-", 12), Title: strings.Repeat("长标题", 60), Summary: strings.Repeat("summary 摘要 ", 200)}, Item{})
			for range p.items {
				g := p.draw()
				if g.clipped > 0 || g.overlapped > 0 {
					t.Fatalf("%s %dx%d at %d: %d clipped, %d overlapped\n%s", lang, size.w, size.h, p.cursor, g.clipped, g.overlapped, ansi.Strip(p.frame()))
				}
				if !strings.Contains(ansi.Strip(p.frame()), matchGlyph+" ") {
					t.Errorf("%s %dx%d: the cursor at %d cannot be seen", lang, size.w, size.h, p.cursor)
				}
				p.press(keyOf("down"))
			}
		}
	}
}
