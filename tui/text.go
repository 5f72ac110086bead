package tui

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

const ellipsis = "…"

// width is the number of cells a string takes.
func width(s string) int { return ansi.StringWidth(s) }

// fit shortens a string to at most w cells; an ellipsis says that it did.
func fit(s string, w int) string {
	if w <= 0 {
		return ""
	}
	return ansi.Truncate(s, w, ellipsis)
}

// pad fills a string with blanks up to w cells.
func pad(s string, w int) string {
	return s + strings.Repeat(" ", max(0, w-width(s)))
}

// wrap breaks a text into lines of at most w cells: between words, or between
// wide characters, where it can; inside a word where that alone is too long.
// The lines after the first are indented by hang cells.
func wrap(s string, w, hang int) []string {
	w = max(w, 2)
	if hang > w-4 {
		hang = 0
	}
	var lines []string
	indent, line := "", ""
	used := 0 // cells of line
	for _, a := range atoms(s) {
		long := width(a.text)
		for {
			blank := ""
			if a.spaced && line != "" {
				blank = " "
			}
			room := w - len(indent)
			if used+len(blank)+long <= room {
				line, used = line+blank+a.text, used+len(blank)+long
				break
			}
			if line == "" { // longer than a line: break it anywhere
				line = ansi.Truncate(a.text, room, "")
				if line == "" {
					line, _ = ansi.FirstGraphemeCluster(a.text, ansi.GraphemeWidth)
				}
				a.text, a.spaced = a.text[len(line):], false
				long = width(a.text)
			}
			lines = append(lines, indent+line)
			indent, line, used = strings.Repeat(" ", hang), "", 0
			if a.text == "" {
				break
			}
		}
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, indent+line)
	}
	return lines
}

// atom is a piece of text that is not broken if that can be helped; spaced says
// that a blank stands before it.
type atom struct {
	text   string
	spaced bool
}

// The punctuation that does not begin a line, and that does not end one.
const (
	clings = "\u3001\u3002\uff0c\uff1a\uff1b\uff09\uff1f\uff01\u2026\u300d\u300f\u300b\u3009\u3011\u201d\u2019\u2014\u00b7,.;:!?)]}%"
	leads  = "\uff08\u300c\u300e\u300a\u3008\u3010\u201c\u2018([{"
)

// atoms splits a text at its blanks and between its wide characters.
func atoms(s string) []atom {
	var out []atom
	for _, word := range strings.Fields(s) {
		spaced, open := true, false // open: the next character belongs to the last atom
		for len(word) > 0 {
			c, w := ansi.FirstGraphemeCluster(word, ansi.GraphemeWidth)
			word = word[len(c):]
			wide := w == 2
			if !spaced && (open && !wide || strings.Contains(clings, c) || endsIn(out, leads)) {
				out[len(out)-1].text += c
			} else {
				out = append(out, atom{c, spaced})
			}
			spaced, open = false, !wide
		}
	}
	return out
}

// beginsWide and endsWide say whether a text begins or ends with a wide character.
func beginsWide(s string) bool {
	_, w := ansi.FirstGraphemeCluster(s, ansi.GraphemeWidth)
	return w == 2
}

func endsWide(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return s != "" && width(string(r)) == 2
}

// endsIn says whether the last atom ends in one of some characters.
func endsIn(as []atom, chars string) bool {
	r, _ := utf8.DecodeLastRuneInString(as[len(as)-1].text)
	return strings.ContainsRune(chars, r)
}

// clean takes out what would move the terminal's cursor or change its state:
// names and rules come from outside.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if strings.IndexFunc(s, unsafe) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unsafe(r):
			return '\uFFFD'
		}
		return r
	}, s)
}

// unsafe finds control characters, and the format characters that reorder text.
func unsafe(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }
