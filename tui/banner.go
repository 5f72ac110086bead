package tui

import "strings"

// bannerHeight is the height of the header in remote mode.
const bannerHeight = 3

// headerHeight is the height of the header: higher for a class, where the stage
// does not need the room.
func (m *model) headerHeight() int {
	if m.lesson == nil || !m.lesson.remote || m.stageShown() && m.height < 40 {
		return 1
	}
	return bannerHeight
}

// drawBanner writes the step's title and the way through the lesson, so that
// they can be read from the last row.
func (m *model) drawBanner(g *grid, r rect) {
	l := m.lesson
	title := clean(l.step().Title.In(m.w.lang))
	if title == "" {
		title = clean(m.cfg.Title)
	}
	number := ""
	if n := len(l.steps); n > 0 {
		number = itoa(l.state.Step+1) + " / " + itoa(n) + "   "
	}
	title = fit(title, r.w-2-width(number))
	x := r.x + (r.w-width(number)-width(title))/2
	x = g.text(x, r.y+1, number, softLook)
	g.text(x, r.y+1, title, accentLook)
	m.drawProgress(g, r.x+2, r.y+2, r.w-4)
}

// drawProgress draws a line with a dot for every step.
func (m *model) drawProgress(g *grid, x, y, w int) {
	n, at := len(m.lesson.steps), m.lesson.state.Step
	if n == 0 || 2*n > w {
		return
	}
	gap := min(6, (w-n)/max(1, n-1))
	x += (w - n - gap*(n-1)) / 2
	for i := range n {
		sign, k := "○", faintLook
		switch {
		case i < at:
			sign, k = "●", passedLook
		case i == at:
			sign, k = "◉", packetLook
		}
		x = g.text(x, y, sign, k)
		if i < n-1 {
			g.wires(x, y, strings.Repeat(choose(i < at, "━", "─"), gap), choose(i < at, passedLook, faintLook))
			x += gap
		}
	}
}

// wires draws several wire characters side by side.
func (g *grid) wires(x, y int, s string, l look) {
	for _, r := range s {
		g.wire(x, y, string(r), l)
		x++
	}
}
