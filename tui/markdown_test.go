package tui

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func plainLines(lines []line) []string {
	var out []string
	for _, l := range lines {
		out = append(out, lineText(l))
	}
	return out
}

func TestMarkdown(t *testing.T) {
	for _, c := range []struct {
		name, source string
		w            int
		plain        bool
		want         []string
	}{
		{"paragraphs", "one\ntwo\n\nthree", 20, false, []string{"one two", "", "three"}},
		{"a line break between wide characters", "数据包\n走过 nat\n表", 20, false, []string{"数据包走过 nat 表"}},
		{"a hard line break", "one\\\ntwo  \nthree", 20, false, []string{"one", "two", "three"}},
		{"emphasis and code", "**a** *b* `c  d`, e", 20, false, []string{"a b c d, e"}},
		{"code keeps its quotes in plain text", "the `nat` table", 20, true, []string{"the `nat` table"}},
		{"a tight list", "- one\n- two words here\n  - nested", 11, false, []string{"• one", "• two words", "  here", "  • nested"}},
		{"a loose list from 9", "9. one\n\n10. two", 20, false, []string{"9.  one", "", "10. two"}},
		{"a list in plain text", "- one", 20, true, []string{"- one"}},
		{"a code block", "```\na  b\n\tc\n```", 20, false, []string{"    a  b", "            c"}},
		{"a long line of code", "    iptables -t nat -A DOCKER", 26, false, []string{"    iptables -t nat -A", "        DOCKER"}},
		{"a long line of code in plain text", "    iptables -t nat -A DOCKER", 20, true, []string{"    iptables -t nat -A DOCKER"}},
		{"a heading and a rule", "# Head\n---", 10, false, []string{"Head", "", "──────────"}},
		{"a quotation", "> a\n> b", 10, false, []string{"│ a b"}},
		{"links", "[here](https://a.org) <https://b.org> https://c.org [https://d.org](https://d.org)", 80, false,
			[]string{"here (https://a.org) https://b.org https://c.org https://d.org"}},
		{"a table", "|a|b|\n|-|-|\n|one|`two`|", 20, false, []string{"a    b", "───  ───", "one  two"}},
		{"a table whose cells are wrapped", "|a|b|\n|-|-|\n|one two three|数据包走过", 20, false,
			[]string{"a          b", "─────────  ─────────", "one two    数据包走", "three      过"}},
		{"a table without room", "|a|b|c|\n|-|-|-|\n|one two|three|four five six|", 16, false,
			[]string{"• a: one two", "  b: three", "  c: four five", "  six"}},
		{"a table whose cells plain text does not wrap", "|a|b|\n|-|-|\n|one two three|four five|", 20, true,
			[]string{"- a: one two three", "  b: four five"}},
		{"control characters", "a\x1b[31mb\x07", 20, false, []string{"a\uFFFD[31mb\uFFFD"}},
		{"escapes", "\\*a\\* &lt;b&gt; `\\*&lt;` \\&amp;", 30, false, []string{"*a* <b> \\*&lt; &amp;"}},
		{"nothing", "", 20, false, nil},
	} {
		got := plainLines(newMarkdown(c.source, c.plain).render(c.w))
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestMarkdownLooks(t *testing.T) {
	got := markdownLines("the **`nat` table** is *one*", 14)
	want := []line{
		{spans: []span{{"the ", plainLook}, {"nat", codeLook}, {" ", plainLook}, {"table", strongLook}}},
		{spans: []span{{"is ", plainLook}, {"one", emphasisLook}}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(line{}, span{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEscapeMarkdown(t *testing.T) {
	s := "a_b*c*[d](e) `f` <g> \\ | ~~h~~ 1.2.3.4:80"
	if got := lineText(line{spans: inlineMarkdown(escapeMarkdown(s))}); got != s {
		t.Errorf("%q has become %q", s, got)
	}
}

func FuzzMarkdown(f *testing.F) {
	f.Add("# 标题\n\n1. `a`\n2. **b**\n\n|x|y|\n|-|-|\n|数|包|\n\n> q\n\n    code\tx", 30)
	f.Fuzz(func(t *testing.T, source string, w int) {
		w = 4 + abs(w)%100
		for _, plain := range []bool{false, true} {
			for _, l := range newMarkdown(source, plain).render(w) {
				text := lineText(l)
				if strings.IndexFunc(text, unsafe) >= 0 {
					t.Errorf("%q holds a control character", text)
				}
				if !plain && width(text) > w {
					t.Errorf("%q is %d wide, more than %d", text, width(text), w)
				}
			}
		}
	})
}
