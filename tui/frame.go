package tui

import "strings"

// rect is a part of the screen, in cells.
type rect struct{ x, y, w, h int }

// inset is the rectangle with dx and dy cells taken off on every side.
func (r rect) inset(dx, dy int) rect {
	return rect{r.x + dx, r.y + dy, max(0, r.w-2*dx), max(0, r.h-2*dy)}
}

// frameRunes are corner, edge and junction characters of a frame.
type frameRunes struct{ tl, tr, bl, br, h, v string }

var (
	roundFrame = frameRunes{"╭", "╮", "╰", "╯", "─", "│"}
	heavyFrame = frameRunes{"┏", "┓", "┗", "┛", "━", "┃"}
)

// frame draws a border around a rectangle.
func (g *grid) frame(r rect, f frameRunes, l look) {
	if r.w < 2 || r.h < 2 {
		return
	}
	right, bottom := r.x+r.w-1, r.y+r.h-1
	for x := r.x + 1; x < right; x++ {
		g.wire(x, r.y, f.h, l)
		g.wire(x, bottom, f.h, l)
	}
	for y := r.y + 1; y < bottom; y++ {
		g.wire(r.x, y, f.v, l)
		g.wire(right, y, f.v, l)
	}
	g.wire(r.x, r.y, f.tl, l)
	g.wire(right, r.y, f.tr, l)
	g.wire(r.x, bottom, f.bl, l)
	g.wire(right, bottom, f.br, l)
}

// panel draws a titled border and returns the room inside. The focused panel
// has a heavy border and a mark before its title.
func (g *grid) panel(r rect, title, note string, focused bool) rect {
	f, l := roundFrame, faintLook
	if focused {
		f, l = heavyFrame, accentLook
		title = "▸ " + title
	}
	g.frame(r, f, l)
	titleLook := boldLook
	if focused {
		titleLook = accentLook
	}
	end := g.text(r.x+2, r.y, " "+fit(title, r.w-6)+" ", titleLook)
	if room := r.x + r.w - 2 - end - 1; note != "" && room > 4 {
		note = " " + fit(note, room-2) + " "
		g.text(r.x+r.w-2-width(note), r.y, note, softLook)
	}
	return r.inset(2, 1)
}

// divider draws a line across a panel.
func (g *grid) divider(r rect, y int, focused bool) {
	left, right, l := "├", "┤", faintLook
	if focused {
		left, right, l = "┠", "┨", accentLook
	}
	for x := r.x + 1; x < r.x+r.w-1; x++ {
		g.wire(x, y, "─", l)
	}
	g.wire(r.x, y, left, l)
	g.wire(r.x+r.w-1, y, right, l)
}

// more notes on a panel's border how many lines are hidden above and below.
func (g *grid) more(r rect, above, below int, l look) {
	var parts []string
	if above > 0 {
		parts = append(parts, "↑"+itoa(above))
	}
	if below > 0 {
		parts = append(parts, "↓"+itoa(below))
	}
	if len(parts) == 0 {
		return
	}
	note := " " + strings.Join(parts, " ") + " "
	g.text(r.x+r.w-2-width(note), r.y+r.h-1, note, l)
}
