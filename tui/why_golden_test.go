package tui

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"packetwalk/trace/why"
)

func TestWhyFrames(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		for _, size := range []struct{ w, h int }{{80, 24}, {120, 36}, {200, 50}} {
			var b strings.Builder
			whySituations(t, lang, size.w, size.h, func(m *model, what string) {
				fmt.Fprintf(&b, "== %s\n%s\n", what, ansi.Strip(m.frame()))
			})
			golden(t, fmt.Sprintf("why-%dx%d-%s", size.w, size.h, lang), b.String())
		}
	}
}

// whySituations shows every answer of the fixture, and leads through one.
func whySituations(t *testing.T, lang string, w, h int, look func(m *model, what string)) {
	t.Helper()
	all := answers()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m := answeredWhy(t, lang, w, h, &asker{answers: []why.Answer{all[name]}}, true)
		look(m, name)
	}
	a := &asker{answers: []why.Answer{blocked(), served()}, outputs: map[string]string{blocked().Fix.Commands[0]: "Warning: iptables-legacy tables present\n"}}
	m := newTestWhy(t, lang, w, h, a, true)
	look(m, "asking")
	a.settleJobs(t, m)
	a.press(t, m, "enter")
	look(m, "the step that decided")
	a.press(t, m, "left", "left", "left", "left")
	look(m, "before it")
	a.press(t, m, "f")
	look(m, "the fix")
	perform(press(m, "y"))
	m.Update(runningMsg{blocked().Fix.Commands[0]})
	look(m, "the fix is run")
	a.settleJobs(t, m)
	look(m, "mended")
}
