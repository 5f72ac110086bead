package tui

import (
	"slices"

	"packetwalk/lab"
	"packetwalk/trace"
)

// topologyLine is the line of nodes, one or three lines high.
type topologyLine struct {
	w        words
	nodes    []string
	others   []string
	segments []segment
	boxes    []rect
	tall     bool
}

// newTopologyLine lays the line out in a rectangle.
func newTopologyLine(w words, t lab.Topology, walk trace.Walk, r rect) topologyLine {
	l := topologyLine{w: w, tall: r.h >= 3}
	l.nodes, l.others = nodeLine(t, walk)
	for i := range max(0, len(l.nodes)-1) {
		l.segments = append(l.segments, segmentBetween(t, l.nodes[i], l.nodes[i+1]))
	}
	l.lay(r)
	return l
}

// lay gives every node its box. Addresses go first when there is no room, then
// the names of interfaces, and the names of nodes are shortened last.
func (l *topologyLine) lay(r rect) {
	room, most := r.w-2, 40
	detail := 3
	if !l.tall {
		detail = 2
	}
	for ; detail > 0 && l.total(detail, most) > room; detail-- {
	}
	for most > 3 && l.total(detail, most) > room {
		most--
	}
	total, stretch := l.total(detail, most), 0
	for i := range l.segments {
		l.segments[i] = l.segments[i].fitLabels(detail)
	}
	if n := len(l.segments); n > 0 {
		stretch = max(0, min(24, (room-total)/n))
	}
	x := r.x + max(1, (r.w-total-stretch*len(l.segments))/2)
	for i, n := range l.nodes {
		w := min(width(clean(n)), most) + 6
		l.boxes = append(l.boxes, rect{x, r.y, w, r.h})
		x += w
		if i < len(l.segments) {
			x += l.segments[i].least() + stretch
		}
	}
}

func (l *topologyLine) total(detail, most int) int {
	n := 0
	for _, name := range l.nodes {
		n += min(width(clean(name)), most) + 6
	}
	for _, s := range l.segments {
		n += s.fitLabels(detail).least()
	}
	return n
}

// middle is the line on which the packet moves.
func (l *topologyLine) middle() int {
	if len(l.boxes) == 0 {
		return 0
	}
	return l.boxes[0].y + l.boxes[0].h/2
}

// draw draws the line with the packet at step at of the walk, part of the way
// to the next step.
func (l *topologyLine) draw(g *grid, r rect, walk trace.Walk, at int, part float64) {
	for i, s := range l.segments {
		l.drawSegment(g, i, s)
	}
	path, crossing := l.crossing(walk, at, part)
	for i, n := range l.nodes {
		st := nodeState(walk, at, n)
		if st == here && crossing {
			st = passed
		}
		l.drawNode(g, l.boxes[i], n, st)
	}
	if at, ok := along(path, part); ok && crossing {
		g.over(at.x, at.y, packetGlyph, packetLook)
	}
	l.drawOthers(g, r)
}

// drawOthers names the nodes that are not on the line, where there is room.
func (l *topologyLine) drawOthers(g *grid, r rect) {
	if len(l.others) == 0 || len(l.boxes) == 0 {
		return
	}
	last := l.boxes[len(l.boxes)-1]
	note := fill(l.w.m.Screen.AlsoThere, "nodes", joinNames(l.others))
	if room := r.x + r.w - last.x - last.w - 2; width(note) <= room {
		g.text(last.x+last.w+1, l.middle(), note, softLook)
	}
}

// nodeState is how far the packet has come with a node.
func nodeState(walk trace.Walk, at int, node string) state {
	st := offPath
	for i, s := range walk.Steps {
		switch {
		case s.Node != node:
		case i == at:
			return here
		case i < at:
			st = passed
		default:
			st = max(st, ahead)
		}
	}
	if st == passed && walk.Steps[at].Node == node {
		return here
	}
	return st
}

// crossing is the way of a packet that is between two nodes.
func (l *topologyLine) crossing(walk trace.Walk, at int, part float64) ([]point, bool) {
	if part == 0 || at+1 >= len(walk.Steps) || walk.Steps[at].Node == walk.Steps[at+1].Node {
		return nil, false
	}
	a, b := slices.Index(l.nodes, walk.Steps[at].Node), slices.Index(l.nodes, walk.Steps[at+1].Node)
	y := l.middle()
	if a < b {
		return []point{{l.boxes[a].x + l.boxes[a].w, y}, {l.boxes[b].x, y}}, true
	}
	return []point{{l.boxes[a].x - 1, y}, {l.boxes[b].x + l.boxes[b].w - 1, y}}, true
}

func (l *topologyLine) drawNode(g *grid, b rect, name string, st state) {
	sign, look := st.sign(), st.look()
	if st == here {
		sign = packetGlyph
	}
	if st == offPath {
		look = softLook
	}
	y := b.y
	if l.tall {
		y++
		g.frame(b, frameOf(st), look)
	} else {
		g.wire(b.x, y, "[", look)
		g.wire(b.x+b.w-1, y, "]", look)
	}
	g.text(b.x+2, y, sign+" "+fit(clean(name), b.w-6), look)
	if st == here {
		g.paint(b.x+1, y, b.w-2, hereLook)
	}
}

func (l *topologyLine) drawSegment(g *grid, i int, s segment) {
	from, to := l.boxes[i].x+l.boxes[i].w, l.boxes[i+1].x-1
	y := l.middle()
	wire := "─"
	if !s.linked {
		wire = "┄"
	}
	for x := from; x <= to; x++ {
		g.wire(x, y, wire, faintLook)
	}
	if s.left != "" {
		g.text(from+1, y, " "+s.left+" ", softLook)
	}
	if s.right != "" {
		g.text(to-1-width(s.right)-1, y, " "+s.right+" ", softLook)
	}
	if l.tall {
		g.text(from+2, y+1, s.leftAddr, faintLook)
		g.text(to-1-width(s.rightAddr), y+1, s.rightAddr, faintLook)
	}
}
