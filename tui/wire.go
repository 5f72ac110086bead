package tui

// point is a cell of the screen.
type point struct{ x, y int }

// wireRunes are the characters of a way on the stage: a line, its corners by
// where they lead (right and down is "╭"), and the arrow heads.
type wireRunes struct{ h, v, rightDown, leftDown, rightUp, leftUp string }

var (
	lightWire = wireRunes{"─", "│", "╭", "╮", "╰", "╯"}
	heavyWire = wireRunes{"━", "┃", "┏", "┓", "┗", "┛"}
)

func (s state) wire() wireRunes {
	if s >= passed {
		return heavyWire
	}
	return lightWire
}

// look is the look of a wire, a frame or a name in this state.
func (s state) look() look {
	switch s {
	case ahead:
		return plainLook
	case passed:
		return passedLook
	case within, here:
		return packetLook
	}
	return faintLook
}

// sign is what stands before a station, so that its state is not said by colour alone.
func (s state) sign() string {
	switch s {
	case ahead:
		return "○"
	case passed, here:
		return "✓"
	case within:
		return "▾"
	}
	return " "
}

// cells lists every cell of a path of straight pieces. Between two points that
// are not in line it goes sideways first.
func cells(path []point) []point {
	if len(path) == 0 {
		return nil
	}
	all := []point{path[0]}
	at := path[0]
	for _, to := range path[1:] {
		for at.x != to.x {
			at.x += sign(to.x - at.x)
			all = append(all, at)
		}
		for at.y != to.y {
			at.y += sign(to.y - at.y)
			all = append(all, at)
		}
	}
	return all
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

// along is the cell on a path after a part of it, from 0 to 1.
func along(path []point, part float64) (point, bool) {
	all := cells(path)
	if len(all) == 0 {
		return point{}, false
	}
	i := int(part*float64(len(all)-1) + 0.5)
	return all[max(0, min(i, len(all)-1))], true
}

// way draws a wire along a path, with an arrow head at its end.
func (g *grid) way(s state, path ...point) {
	all, runes := cells(path), s.wire()
	for i, p := range all {
		switch {
		case i == len(all)-1:
			g.wire(p.x, p.y, arrowHead(all, i), s.look())
		case i == 0:
			g.wire(p.x, p.y, runes.between(p, p, all[1]), s.look())
		default:
			g.wire(p.x, p.y, runes.between(all[i-1], p, all[i+1]), s.look())
		}
	}
}

func arrowHead(all []point, i int) string {
	if i == 0 {
		return "▶"
	}
	switch (point{all[i].x - all[i-1].x, all[i].y - all[i-1].y}) {
	case point{-1, 0}:
		return "◀"
	case point{0, -1}:
		return "▲"
	case point{0, 1}:
		return "▼"
	}
	return "▶"
}

// between is the character of a cell that connects two neighbours.
func (r wireRunes) between(a, at, b point) string {
	if a.y == b.y {
		return r.h
	}
	if a.x == b.x {
		return r.v
	}
	right := a.x > at.x || b.x > at.x
	down := a.y > at.y || b.y > at.y
	switch {
	case right && down:
		return r.rightDown
	case down:
		return r.leftDown
	case right:
		return r.rightUp
	}
	return r.leftUp
}
