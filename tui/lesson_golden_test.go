package tui

import (
	"fmt"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

func TestLessonFrames(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		for _, size := range []struct{ w, h int }{{80, 24}, {120, 36}, {200, 50}} {
			m, f := newLessonModel(t, lang, size.w, size.h)
			var b strings.Builder
			situations(t, m, f, func(what string) {
				fmt.Fprintf(&b, "== %s\n%s\n", what, ansi.Strip(m.frame()))
			})
			golden(t, fmt.Sprintf("lesson-%dx%d-%s", size.w, size.h, lang), b.String())
		}
	}
}
