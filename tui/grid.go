package tui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// cell is one character cell of the screen. A wide character has width 2 and is
// followed by a cell of width 0.
type cell struct {
	text  string
	width uint8
	look  look
	wire  bool // part of a frame, wire or arrow, which text may be set on
}

var blank = cell{text: " ", width: 1}

// grid is one frame of the screen. What is drawn outside of it, or text on
// text, is counted, so that tests find what a person would find ugly.
type grid struct {
	w, h                int
	cells               []cell
	clipped, overlapped int
}

func newGrid(w, h int) *grid {
	g := &grid{w: w, h: h, cells: make([]cell, w*h)}
	for i := range g.cells {
		g.cells[i] = blank
	}
	return g
}

func (g *grid) at(x, y int) *cell {
	if x < 0 || y < 0 || x >= g.w || y >= g.h {
		return nil
	}
	return &g.cells[y*g.w+x]
}

// text writes a line and returns the column behind it.
func (g *grid) text(x, y int, s string, l look) int {
	for len(s) > 0 {
		c, w := ansi.FirstGraphemeCluster(s, ansi.GraphemeWidth)
		s = s[len(c):]
		if w <= 0 {
			continue
		}
		g.put(x, y, cell{text: c, width: uint8(w), look: l}, false)
		x += w
	}
	return x
}

// wire draws part of a frame or an arrow.
func (g *grid) wire(x, y int, s string, l look) {
	g.put(x, y, cell{text: s, width: 1, look: l, wire: true}, false)
}

// over draws on top of whatever is there: the packet.
func (g *grid) over(x, y int, s string, l look) {
	g.put(x, y, cell{text: s, width: 1, look: l}, true)
}

func (g *grid) put(x, y int, c cell, over bool) {
	last := g.at(x+int(c.width)-1, y)
	first := g.at(x, y)
	if first == nil || last == nil {
		g.clipped++
		return
	}
	for i := range int(c.width) {
		old := g.at(x+i, y)
		if !over && old.text != " " && !old.wire {
			g.overlapped++
		}
		g.split(x+i, y)
	}
	*first = c
	if c.width == 2 {
		*last = cell{look: c.look}
	}
}

// split turns both halves of a wide character into blanks, since one of them is
// about to be overwritten.
func (g *grid) split(x, y int) {
	c := g.at(x, y)
	switch {
	case c.width == 2:
		*g.at(x+1, y) = blank
	case c.width == 0:
		*g.at(x-1, y) = blank
	}
}

// paint gives a run of cells another look and leaves their text.
func (g *grid) paint(x, y, w int, l look) {
	for i := range w {
		if c := g.at(x+i, y); c != nil {
			c.look = l
		}
	}
}

// render is the frame as one string, with the palette's escape sequences.
func (g *grid) render(p *palette) string {
	var b strings.Builder
	b.Grow(len(g.cells) * 2)
	for y := range g.h {
		if y > 0 {
			b.WriteByte('\n')
		}
		current := plainLook
		for _, c := range g.cells[y*g.w : (y+1)*g.w] {
			if c.width == 0 {
				continue
			}
			if c.look != current {
				b.WriteString(ansi.ResetStyle)
				b.WriteString(p.open[c.look])
				current = c.look
			}
			b.WriteString(c.text)
		}
		if current != plainLook {
			b.WriteString(ansi.ResetStyle)
		}
	}
	return b.String()
}
