package tui

import (
	"slices"

	"packetwalk/scenarios"
)

// question adds the question and its answers.
func (p cardPanel) question(d *document, w int) {
	q := p.l.step().Ask
	d.add(mark{part: partAsk}, append(heading(p.w.m.Lesson.Question, w), markdownLines(q.Text.In(p.w.lang), w)...))
	a := len(d.lines)
	d.lines = append(d.lines, line{})
	for i, c := range q.Choices {
		d.join(mark{partAsk, i + 1}, p.choice(i, c, w))
	}
	d.marks[mark{part: partAsk}] = stretch{d.marks[mark{part: partAsk}].a, len(d.lines)}
	if a == len(d.lines)-1 { // no choices
		d.lines = d.lines[:a]
	}
}

// choice is one answer: the cursor stands before it while the question waits,
// and once the walks have been seen, a sign says whether it is right.
func (p cardPanel) choice(i int, c scenarios.Choice, w int) []line {
	sign, k := " ", softLook
	chosen := p.l.state.Choice == i || p.l.asking() && p.l.choice == i
	if chosen {
		sign, k = matchGlyph, packetLook
	}
	switch {
	case p.l.revealed() && c.Right:
		sign, k = "✓", goodLook
	case p.l.revealed() && chosen:
		sign, k = "✗", badLook
	}
	head := sign + " " + itoa(i+1) + "  "
	lines := indented(markdownLines(c.Text.In(p.w.lang), w-width(head)), head, pad("", width(head)), k)
	for j := range lines {
		lines[j].here = chosen && p.l.asking()
	}
	return lines
}

// revealChoice is the offset at which the answer that the cursor is on can be seen.
func (p cardPanel) revealChoice(d *document, offset, h int) int {
	at, ok := d.marks[mark{partAsk, p.l.choice + 1}]
	if !ok || p.l.choice < 0 {
		return offset
	}
	return reveal(offset, h, at.a, at.b)
}

// verdictOnAnswer says whether the user was right, and why.
func (p cardPanel) verdictOnAnswer(w int) []line {
	q, m := p.l.step().Ask, p.w.m.Lesson
	if q == nil {
		return nil
	}
	right := slices.IndexFunc(q.Choices, func(c scenarios.Choice) bool { return c.Right })
	chosen := p.l.state.Choice
	if chosen >= 0 && chosen < len(q.Choices) && q.Choices[chosen].Right {
		return p.because("✓ "+m.Right, q.Choices[chosen].Why, w, goodLook)
	}
	var lines []line
	switch {
	case chosen >= 0 && chosen < len(q.Choices):
		lines = p.because("✗ "+m.Wrong, q.Choices[chosen].Why, w, badLook)
	default:
		lines = wrapped(m.NotAnswered, w, 0, softLook)
	}
	if right < 0 {
		return lines
	}
	answer := fill(m.RightIs, "n", itoa(right+1), "text", "")
	spans := append([]span{{answer, goodLook}}, inlineMarkdown(q.Choices[right].Text.In(p.w.lang))...)
	lines = append(lines, wrapSpans(spans, min(w, mostProse), 2)...)
	return append(lines, indented(markdownLines(q.Choices[right].Why.In(p.w.lang), w-2), "  ", "  ", plainLook)...)
}

// because is a verdict, and what is said for it below.
func (p cardPanel) because(verdict string, why scenarios.Text, w int, k look) []line {
	lines := wrapped(verdict, w, 2, k)
	return append(lines, indented(markdownLines(why.In(p.w.lang), w-2), "  ", "  ", plainLook)...)
}
