package tui

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// wrapSpans breaks text of several looks into lines, as wrap does. A line break
// in a span's text is kept.
func wrapSpans(spans []span, w, hang int) []line {
	var lines []line
	for _, paragraph := range splitLines(spans) {
		text, looks := flatten(paragraph)
		lines = append(lines, restyle(wrap(text, w, hang), text, looks)...)
	}
	return lines
}

// splitLines splits spans at the line breaks in their texts.
func splitLines(spans []span) [][]span {
	all := [][]span{nil}
	for _, s := range spans {
		for i, part := range strings.Split(s.text, "\n") {
			if i > 0 {
				all = append(all, nil)
			}
			all[len(all)-1] = append(all[len(all)-1], span{part, s.look})
		}
	}
	return all
}

// flatten is the text of spans, and the look of each of its bytes.
func flatten(spans []span) (string, []look) {
	var b strings.Builder
	var looks []look
	for _, s := range spans {
		b.WriteString(s.text)
		for range len(s.text) {
			looks = append(looks, s.look)
		}
	}
	return b.String(), looks
}

// restyle gives the lines that a text was wrapped into the looks of that text:
// wrapping changes nothing but blanks.
func restyle(wrapped []string, text string, looks []look) []line {
	lines := make([]line, len(wrapped))
	at := 0
	for i, s := range wrapped {
		blanks := 0
		for _, r := range s {
			if unicode.IsSpace(r) {
				blanks++
				continue
			}
			at += len(text[at:]) - len(strings.TrimLeftFunc(text[at:], unicode.IsSpace))
			lines[i].add(strings.Repeat(" ", blanks), blankLook(lines[i], looks[at]))
			lines[i].add(string(r), looks[at])
			blanks, at = 0, at+utf8.RuneLen(r)
		}
	}
	return lines
}

// blankLook is the look of blanks between what a line ends in and a look: theirs
// where they agree, so that a run of code looks like one.
func blankLook(l line, next look) look {
	if n := len(l.spans); n > 0 && l.spans[n-1].look == next {
		return next
	}
	return plainLook
}

// add appends text to a line, to its last span where the look is the same.
func (l *line) add(text string, k look) {
	if text == "" {
		return
	}
	if n := len(l.spans); n > 0 && l.spans[n-1].look == k {
		l.spans[n-1].text += text
		return
	}
	l.spans = append(l.spans, span{text, k})
}

// indented puts a prefix before lines: first before the first one, rest before the others.
func indented(lines []line, first, rest string, k look) []line {
	out := make([]line, len(lines))
	for i, l := range lines {
		out[i] = line{spans: append([]span{{choose(i == 0, first, rest), k}}, l.spans...), here: l.here}
	}
	return out
}

// lineText is a line without its looks.
func lineText(l line) string {
	var b strings.Builder
	for _, s := range l.spans {
		b.WriteString(s.text)
	}
	return strings.TrimRight(b.String(), " ")
}
