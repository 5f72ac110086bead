package tui

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOutputLines(t *testing.T) {
	for _, c := range []struct {
		what, output string
		want         []string
	}{
		{"nothing", "", nil},
		{"line breaks at the end", "a\n\nb\n\n", []string{"a", "", "b"}},
		{"colours", "1: \x1b[36mlo\x1b[0m: mtu", []string{"1: lo: mtu"}},
		{"a title and a cleared screen", "\x1b]0;evil\x07\x1b[2Ja", []string{"a"}},
		{"tabulators", "a\tb\n数\tb", []string{"a       b", "数      b"}},
		{"a line written over", "10%\r100%\r\nnext", []string{"100%", "next"}},
		{"control characters", "a\x00b\u202ec", []string{"a\uFFFDb\uFFFDc"}},
		{"no UTF-8", "a\xffb", []string{"a\uFFFDb"}},
	} {
		if diff := cmp.Diff(c.want, outputLines(c.output)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
}

func TestFold(t *testing.T) {
	for _, c := range []struct {
		s    string
		w    int
		want []string
	}{
		{"short  line", 20, []string{"short  line"}},
		{"-A DOCKER -p tcp --dport 80 -j ACCEPT", 24, []string{"-A DOCKER -p tcp --dport", "    80 -j ACCEPT"}},
		{"abcdefghijklmnopqrstuvwxyz", 18, []string{"abcdefghijklmnopqr", "    stuvwxyz"}},
		{"数据包走过表和链", 9, []string{"数据包走", "过表和链"}},
	} {
		if diff := cmp.Diff(c.want, fold(c.s, c.w)); diff != "" {
			t.Errorf("fold(%q, %d) (-want +got):\n%s", c.s, c.w, diff)
		}
	}
}

func FuzzFold(f *testing.F) {
	f.Add("-A DOCKER ! -i docker0\t数据包 \x1b[31m-j DNAT", 20)
	f.Fuzz(func(t *testing.T, s string, w int) {
		w = 2 + abs(w)%100
		for _, l := range outputLines(s) {
			folded := fold(l, w)
			for _, part := range folded {
				if width(part) > w || strings.IndexFunc(part, unsafe) >= 0 {
					t.Errorf("fold(%q, %d): %q is %d wide", l, w, part, width(part))
				}
			}
			squash := func(s string) string { return strings.ReplaceAll(s, " ", "") }
			if squash(strings.Join(folded, "")) != squash(l) {
				t.Errorf("fold(%q, %d) loses text: %q", l, w, folded)
			}
		}
	})
}
