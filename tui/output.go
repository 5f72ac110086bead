package tui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// tabStop is the distance of a terminal's tabulators.
const tabStop = 8

// outputLines is what a program printed, as lines that are safe to draw: without
// colours and other escape sequences, with blanks for tabulators, and with what
// stood last where a line was written over.
func outputLines(s string) []string {
	s = ansi.Strip(strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.TrimRight(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	if s == "" {
		return nil
	}
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		l = strings.TrimRight(l, "\r")
		l = l[strings.LastIndexByte(l, '\r')+1:]
		lines[i] = strings.TrimRight(clean(expandTabs(l)), " ")
	}
	return lines
}

func expandTabs(s string) string {
	if !strings.Contains(s, "\t") {
		return s
	}
	var b strings.Builder
	column := 0
	for i, part := range strings.Split(s, "\t") {
		if i > 0 {
			n := tabStop - column%tabStop
			b.WriteString(strings.Repeat(" ", n))
			column += n
		}
		b.WriteString(part)
		column += width(part)
	}
	return b.String()
}

// foldHang is how far the continuation of a folded line is indented.
const foldHang = 4

// fold breaks a line of output or code that is too long: at a blank where there
// is one in its last third, else anywhere. Blanks inside stay as they are.
func fold(s string, w int) []string {
	hang := foldHang
	if w < 4*foldHang {
		hang = 0
	}
	var lines []string
	indent := ""
	for {
		room := max(2, w-len(indent))
		if width(s) <= room {
			return append(lines, indent+s)
		}
		head := ansi.Truncate(s, room, "")
		if at := strings.LastIndexByte(head, ' '); at > len(head)*2/3 && !strings.HasPrefix(s[len(head):], " ") {
			head = head[:at]
		}
		if head == "" { // a character that is wider than the room
			return append(lines, indent+fit(s, room))
		}
		lines = append(lines, indent+strings.TrimRight(head, " "))
		s = strings.TrimLeft(s[len(head):], " ")
		indent = strings.Repeat(" ", hang)
	}
}

// preformatted draws lines that keep their blanks.
func preformatted(text []string, w int, k look) []line {
	var lines []line
	for _, t := range text {
		for _, part := range fold(t, w) {
			lines = append(lines, textLine(part, k))
		}
	}
	return lines
}
