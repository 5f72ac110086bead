package tui

import (
	"packetwalk/scenarios/play"
	"packetwalk/trace"
)

// part is a part of the card.
type part uint8

const (
	partText part = iota
	partRan
	partAsk
	partResult
	partAfter
	partGoal
	partHint
	partSolution
	partTyped
	partError
)

// mark is a part of the card, one of several where there can be more.
type mark struct {
	part part
	n    int
}

// stretch is the lines from a to b, b excluded.
type stretch struct{ a, b int }

// document is the whole text of a card.
type document struct {
	lines []line
	marks map[mark]stretch
}

// add adds a part, apart from the one before it.
func (d *document) add(m mark, lines []line) {
	if len(lines) == 0 {
		return
	}
	if len(d.lines) > 0 {
		d.lines = append(d.lines, line{})
	}
	d.join(m, lines)
}

// join adds a part without an empty line before it.
func (d *document) join(m mark, lines []line) {
	a := len(d.lines)
	d.lines = append(d.lines, lines...)
	d.marks[m] = stretch{a, len(d.lines)}
}

// card is what is remembered of the card between two frames.
type card struct {
	// at is the part that is kept in view until the user scrolls to offset.
	at     mark
	offset int
	moved  bool
	// drawn is the document for a width; nil where something has changed.
	drawn *document
	width int
}

// follow keeps a part in view.
func (c *card) follow(part mark) { c.at, c.moved = part, false }

// scrollTo shows the lines from an offset on.
func (c *card) scrollTo(offset int) { c.offset, c.moved = offset, true }

// stale says that the document is to be written anew.
func (c *card) stale() { c.drawn = nil }

// cardPanel draws the card: the step's text, its commands, question, results
// and goal, one below the other.
type cardPanel struct {
	w       words
	l       *lesson
	walks   []trace.Walk
	keys    keyMap
	focused bool
}

func (m *model) cardPanel() cardPanel {
	return cardPanel{w: m.w, l: m.lesson, walks: m.player.walks, keys: m.keys, focused: m.focused() == onCard}
}

func (p cardPanel) draw(g *grid, r rect) {
	inner := g.panel(r, p.title(), p.note(), p.focused)
	d := p.document(inner.w)
	g.lines(r, inner, d.lines, p.first(d, inner.h), p.focused)
}

func (p cardPanel) title() string {
	if len(p.l.steps) == 0 {
		return p.w.m.LessonKeys.CommandShort
	}
	return fill(p.w.m.Lesson.StepOf, "step", itoa(p.l.state.Step+1), "steps", itoa(len(p.l.steps)))
}

// note is the goal's state, where there is a goal.
func (p cardPanel) note() string {
	m, s := p.w.m.Lesson, p.l.state
	switch {
	case p.l.step().Goal == nil || s.Phase < play.Working:
		return ""
	case s.Reached:
		return m.Goal + " ✓ " + m.Reached
	case s.Checking:
		return m.Goal + " " + ellipsis
	}
	return m.Goal + " ○ " + m.NotReached
}

// extent is the number of lines and the room for them, and the line shown first.
func (p cardPanel) extent(r rect) (n, h, first int) {
	inner := r.inset(2, 1)
	d := p.document(inner.w)
	return len(d.lines), inner.h, p.first(d, inner.h)
}

// first is the first line shown.
func (p cardPanel) first(d *document, h int) int {
	c := &p.l.card
	offset := c.offset
	if at, ok := d.marks[c.at]; !c.moved {
		offset = 0
		if ok {
			offset = reveal(0, h, at.a, at.b)
		}
		if p.l.asking() {
			offset = p.revealChoice(d, offset, h)
		}
	}
	return max(0, min(offset, len(d.lines)-h))
}

// document is the card's text for a width. It is written once for every change.
func (p cardPanel) document(w int) *document {
	c := &p.l.card
	if c.drawn == nil || c.width != w {
		c.drawn, c.width = p.write(w), w
	}
	return c.drawn
}

// write puts the parts together.
func (p cardPanel) write(w int) *document {
	d := &document{marks: map[mark]stretch{}}
	l, step := p.l, p.l.step()
	d.add(mark{part: partText}, p.text(w))
	p.commands(d, w, partRan)
	if step.Ask != nil && l.state.Phase >= play.Asking {
		p.question(d, w)
	}
	if l.revealed() {
		d.add(mark{part: partResult}, p.result(w))
		d.add(mark{part: partAfter}, markdownLines(step.After.In(p.w.lang), w))
	}
	if step.Goal != nil && l.state.Phase >= play.Working {
		p.goal(d, w)
	}
	p.commands(d, w, partTyped)
	if l.state.Err != nil {
		d.add(mark{part: partError}, wrapped("✗ "+clean(l.state.Err.Error()), w, 2, badLook))
	}
	return d
}

// text is the step's title and text, and what the lab does meanwhile.
func (p cardPanel) text(w int) []line {
	step, s := p.l.step(), p.l.state
	var lines []line
	if title := step.Title.In(p.w.lang); title != "" {
		lines = append(wrapped(clean(title), min(w, mostProse), 0, accentLook), line{})
	}
	if s.Phase == play.Preparing {
		return append(lines, wrapped(p.w.m.Lesson.Preparing, w, 0, packetLook)...)
	}
	return append(lines, markdownLines(step.Text.In(p.w.lang), w)...)
}

// heading is the title of a part.
func heading(s string, w int) []line { return wrapped(s, w, 0, accentLook) }
