package tui

import (
	"strings"

	"packetwalk/trace"
)

// walksPanel lists the walks, the one being played marked.
type walksPanel struct {
	w       words
	walks   []trace.Walk
	playing int // index of the walk being played
	cursor  int
	focused bool
	// from is the index of the first walk that is listed, newest that of the
	// newest traffic's first: the ones before it are of the past.
	from, newest int
	// hidden says that the outcome of a walk is not told yet. May be nil.
	hidden func(id int) bool
	// olderKey is the name of the key that lists those before from, too.
	olderKey string
	// decided is the ID of the walk that an answer's deciding step is part of, 0 for none.
	decided int
}

func (p walksPanel) draw(g *grid, r rect) {
	inner := g.panel(r, p.w.m.Screen.Walks, p.note(), p.focused)
	cols := p.columns(inner.w)
	var lines []line
	var a, b int
	for i := p.from; i < len(p.walks); i++ {
		if i == p.cursor {
			a = len(lines)
		}
		lines = append(lines, p.entry(i, p.walks[i], cols, inner.w)...)
		if i == p.cursor {
			b = len(lines)
		}
	}
	from, to := window(len(lines), inner.h, reveal(0, inner.h, a, b))
	g.lines(r, inner, lines, from, p.focused)
	if !p.focused {
		return
	}
	for i := max(a, from); i < min(b, to); i++ {
		g.paint(inner.x, inner.y+i-from, inner.w, selectedLook)
	}
}

// note is the number of walks that are listed, and of those that are not.
func (p walksPanel) note() string {
	note := itoa(len(p.walks) - p.from)
	if p.from > 0 {
		note = fill(p.w.m.Lesson.Earlier, "n", itoa(p.from), "key", p.olderKey) + " · " + note
	}
	return note
}

// page is how many entries a page key goes over.
func (p walksPanel) page(r rect) int { return max(1, r.h-3) }

// columns are the widths of a list's columns; a column of width 0 has no room.
type columns struct{ id, flow, summary, src, dst, outcome int }

func (p walksPanel) columns(w int) columns {
	var c columns
	for _, walk := range p.walks[p.from:] {
		c.id = max(c.id, width(itoa(walk.ID)))
		c.flow = max(c.flow, width(p.flow(walk)))
		c.summary = max(c.summary, width(walk.Packet.Summary()))
		c.src = max(c.src, width(addr(walk.Packet.Src)))
		c.dst = max(c.dst, width(addr(walk.Packet.Dst)))
		c.outcome = max(c.outcome, width(p.outcome(walk)))
	}
	// What can be missed goes first: the outcome's word, since its sign stays;
	// then the addresses, which leaves room for the word again.
	if outcome := c.outcome; c.total() > w {
		c.outcome = 1
		if c.total() > w {
			c.src, c.dst, c.outcome = 0, 0, outcome
		}
		if c.total() > w {
			c.outcome = 1
		}
	}
	if over := c.total() - w; over > 0 {
		c.summary = max(3, c.summary-over)
	}
	return c
}

func (c columns) total() int {
	n := 2 + c.id + 1 + c.flow + 1 + 2 + c.summary + 1 + c.outcome
	if c.src > 0 {
		n += c.src + 3 + c.dst + 1
	}
	return n
}

func (p walksPanel) flow(w trace.Walk) string { return "f" + itoa(w.Flow) }

func (p walksPanel) outcome(w trace.Walk) string {
	o := p.told(w)
	return outcomeSign(o) + " " + p.w.outcomeWord(o)
}

// told is the outcome as far as it may be told.
func (p walksPanel) told(w trace.Walk) trace.Outcome {
	if p.hidden != nil && p.hidden(w.ID) {
		return ""
	}
	return w.Outcome
}

// entry is one walk: a line, and for the selected one in a narrow list a second
// with the addresses.
func (p walksPanel) entry(i int, w trace.Walk, c columns, room int) []line {
	sign := "  "
	switch {
	case i == p.playing:
		sign = matchGlyph + " "
	case w.ID == p.decided:
		sign = decidedGlyph + " "
	}
	arrow := pad(arrowOf(w.Direction), 2)
	l := line{spans: []span{
		{sign, packetLook},
		{strings.Repeat(" ", c.id-len(itoa(w.ID))) + itoa(w.ID) + " ", boldLook},
		{pad(p.flow(w), c.flow) + " ", softLook},
		{arrow, softLook},
		{pad(fit(w.Packet.Summary(), c.summary), c.summary) + " ", plainLook},
	}}
	if c.src > 0 {
		l.spans = append(l.spans, span{pad(addr(w.Packet.Src), c.src) + " → " + pad(addr(w.Packet.Dst), c.dst) + " ", softLook})
	}
	l.spans = append(l.spans, span{fit(p.outcome(w), max(1, c.outcome)), outcomeLook(p.told(w))})
	if c.outcome == 1 {
		l.spans[len(l.spans)-1].text = outcomeSign(p.told(w))
	}
	if i < p.newest {
		for j := range l.spans {
			l.spans[j].look = faintLook
		}
	}
	lines := []line{l}
	if c.src == 0 && p.focused && i == p.cursor {
		for _, t := range wrap(named(w, w.Packet.Src)+" → "+named(w, w.Packet.Dst), room-2, 2) {
			lines = append(lines, textLine("  "+t, softLook))
		}
	}
	return lines
}
