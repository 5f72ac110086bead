package tui

import "strconv"

func itoa(n int) string { return strconv.Itoa(n) }

// span is a run of text in one look; a line is several of them.
type span struct {
	text string
	look look
}

// line is one line of a panel. The mark says that the packet is at this line.
type line struct {
	spans []span
	here  bool
}

func textLine(s string, l look) line { return line{spans: []span{{s, l}}} }

// wrapped breaks a text into lines of one look.
func wrapped(s string, w, hang int, l look) []line {
	var lines []line
	for _, t := range wrap(s, w, hang) {
		lines = append(lines, textLine(t, l))
	}
	return lines
}

// window decides which of n lines a room of h lines shows. The offset is
// corrected to lie within the lines.
func window(n, h, offset int) (from, to int) {
	from = max(0, min(offset, n-h))
	return from, min(n, from+h)
}

// reveal is the offset nearest to the given one at which lines a to b (b
// excluded) can be seen in h lines; where they do not all fit, the first can.
func reveal(offset, h, a, b int) int {
	if b > offset+h {
		offset = b - h
	}
	return min(offset, a)
}

// lines draws lines into a rectangle from an offset, and notes on the frame
// around it what could not be shown.
func (g *grid) lines(outer, inner rect, ls []line, offset int, focused bool) {
	from, to := window(len(ls), inner.h, offset)
	for i := from; i < to; i++ {
		y, x := inner.y+i-from, inner.x
		for _, s := range ls[i].spans {
			text := s.text
			if room := inner.x + inner.w - x; width(text) > room {
				text = fit(text, room)
				g.clipped++ // panels wrap their lines, so this is a mistake
			}
			x = g.text(x, y, text, s.look)
		}
		if ls[i].here {
			g.paint(inner.x, y, inner.w, hereLook)
		}
	}
	l := softLook
	if focused {
		l = accentLook
	}
	g.more(outer, from, len(ls)-to, l)
}

// spans writes spans side by side.
func (g *grid) spans(x, y int, ss []span) {
	for _, s := range ss {
		x = g.text(x, y, s.text, s.look)
	}
}

func spansWidth(ss []span) int {
	n := 0
	for _, s := range ss {
		n += width(s.text)
	}
	return n
}

func utoa(n uint64) string { return strconv.FormatUint(n, 10) }
