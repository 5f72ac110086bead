package tui

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares a text with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// The moments that the golden files show: the walk, the step (from 1), and how
// far the packet is on its way to the next one, in quarters.
var moments = []struct {
	what                 string
	walk, step, quarters int
}{
	{"on its way from the client to the host", 0, 7, 2},
	{"a rule of PREROUTING jumps to DOCKER", 0, 11, 0},
	{"DNAT", 0, 13, 0},
	{"on its way from PREROUTING to FORWARD", 0, 13, 2},
	{"the third chain called from FORWARD", 0, 24, 0},
	{"delivered", 0, 35, 0},
	{"a reply in a chain that a chain called", 1, 17, 0},
	{"conntrack turns DNAT back", 1, 22, 0},
	{"conntrack remembers DNAT", 2, 8, 0},
	{"dropped by the policy", 3, 16, 0},
}

func TestFrames(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		for _, size := range []struct{ w, h int }{{80, 24}, {120, 36}, {200, 50}} {
			m := newTestModel(t, lang, size.w, size.h)
			var b strings.Builder
			show := func(what string) {
				fmt.Fprintf(&b, "== %s\n%s\n", what, ansi.Strip(m.frame()))
			}
			show("before the first walk")
			m.Update(walksMsg{fixtureWalks()})
			for _, at := range moments {
				m.player.open(at.walk)
				m.player.step = at.step - 1
				m.player.frame = m.player.frames() * at.quarters / 4
				show(at.what)
			}
			m.player.frame, m.help = 0, true
			show("help")
			golden(t, fmt.Sprintf("frames-%dx%d-%s", size.w, size.h, lang), b.String())
		}
	}
}

func TestFrameInColour(t *testing.T) {
	m := newTestModel(t, "en", 80, 24, fixtureWalks()...)
	m.player.step = 12
	golden(t, "colour-80x24-en", m.frame()+"\n")
}

func TestPlain(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		var b strings.Builder
		p := &Plain{W: &b, Lang: lang}
		for _, w := range fixtureWalks() {
			if err := p.Walk(w); err != nil {
				t.Fatal(err)
			}
		}
		golden(t, "plain-"+lang, b.String())
	}
}
