package tui

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text    string
		w, hang int
		want    []string
	}{
		{"", 10, 0, []string{""}},
		{"short", 10, 0, []string{"short"}},
		{"one two three", 8, 0, []string{"one two", "three"}},
		{"one two three four", 8, 2, []string{"one two", "  three", "  four"}},
		{"--dport 80 -j ACCEPT", 10, 0, []string{"--dport 80", "-j ACCEPT"}},
		{"abcdefghijkl", 5, 0, []string{"abcde", "fghij", "kl"}},
		{"数据包走过表和链", 8, 0, []string{"数据包走", "过表和链"}},
		{"进入下一张表。", 12, 0, []string{"进入下一张", "表。"}},
		{"经过 nat 表", 7, 0, []string{"经过", "nat 表"}},
		{"A（只计数）B", 4, 0, []string{"A", "（只", "计", "数）", "B"}},
	} {
		got := wrap(c.text, c.w, c.hang)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("wrap(%q, %d, %d) (-want +got):\n%s", c.text, c.w, c.hang, diff)
		}
		for _, l := range got {
			if width(l) > c.w {
				t.Errorf("wrap(%q, %d, %d): %q is %d wide", c.text, c.w, c.hang, l, width(l))
			}
		}
	}
}

func FuzzWrap(f *testing.F) {
	f.Add("数据包走过 nat 表，rule 2: -j DNAT --to-destination 172.17.0.2:80", 9, 2)
	f.Fuzz(func(t *testing.T, s string, w, hang int) {
		w, hang = 2+abs(w)%100, abs(hang)%10
		s = clean(s)
		lines := wrap(s, w, hang)
		for _, l := range lines {
			if width(l) > w {
				t.Errorf("%q is %d wide, more than %d", l, width(l), w)
			}
		}
		squash := func(s string) string { return strings.Join(strings.Fields(s), "") }
		if got := squash(strings.Join(lines, "")); got != squash(s) {
			t.Errorf("wrap(%q, %d, %d) loses text: %q", s, w, hang, lines)
		}
	})
}

func abs(n int) int { return max(n, -(n + 1)) }

func TestCleanTakesOutControl(t *testing.T) {
	if got := clean("a\x1b[31mb\nc\td\u202ee"); strings.ContainsAny(got, "\x1b\n\t\u202e") {
		t.Errorf("clean leaves %q", got)
	}
}

func TestGridWideCharacters(t *testing.T) {
	g := newGrid(6, 1)
	g.text(0, 0, "数据包", plainLook)
	g.over(3, 0, "●", plainLook)
	if got := g.render(&palette{}); got != "数 ●包" {
		t.Errorf("a glyph on half a character leaves %q", got)
	}
	if g.clipped != 0 || g.overlapped != 0 {
		t.Errorf("%d clipped, %d overlapped", g.clipped, g.overlapped)
	}
	g.text(5, 0, "表", plainLook)
	if g.clipped != 1 {
		t.Errorf("half a character at the edge: %d clipped", g.clipped)
	}
	g.text(0, 0, "x", plainLook)
	if g.overlapped == 0 {
		t.Error("text on text is not counted")
	}
}
