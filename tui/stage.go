package tui

import (
	"strconv"

	"packetwalk/trace"
)

// The packet, where it was stopped, and a step that decided about it.
const packetGlyph, stoppedGlyph, decidedGlyph = "●", "✗", "◆"

// stage is the netfilter path of one node, ready to be drawn into a rectangle.
// The packet's movement needs to know where things came to lie: draw fills in
// anchors and ways.
type stage struct {
	w       words
	p       *progress // nil before the first walk
	anchors map[station]point
	ways    map[[2]trace.Hook][]point
	// mark is the station of the step that an answer says decided; nil for none.
	mark *station
}

func newStage(w words, p *progress) *stage {
	return &stage{w: w, p: p, anchors: map[station]point{}, ways: map[[2]trace.Hook][]point{}}
}

// The smallest room for the full stage; the compact one fits everything above 80x7.
const (
	fullStageWidth  = 98
	fullStageHeight = 17
	compactHeight   = 7
)

// draw draws the stage and then the packet on it.
func (s *stage) draw(g *grid, r rect) {
	if r.w >= fullStageWidth && r.h >= fullStageHeight {
		s.drawFull(g, r)
		return
	}
	s.drawCompact(g, r)
}

// state of a station, a hook, or a way between hooks.
func (s *stage) station(at station) state {
	if s.p == nil {
		return offPath
	}
	return s.p.states[at]
}

func (s *stage) hook(h trace.Hook) state {
	if s.p == nil {
		return offPath
	}
	return s.p.hooks[h]
}

func (s *stage) between(a, b trace.Hook) state {
	if s.p == nil {
		return offPath
	}
	return s.p.ways[[2]trace.Hook{a, b}]
}

// sign is what stands before a station, and in which look.
func (s *stage) sign(at station) (string, look) {
	st := s.station(at)
	if s.mark != nil && *s.mark == at {
		return decidedGlyph, badLook
	}
	return st.sign(), st.look()
}

// routing is the state of the routing decision after PREROUTING.
func (s *stage) routing() state {
	return max(s.between(trace.Prerouting, trace.Forward), s.between(trace.Prerouting, trace.Input))
}

// The states of the ways that lead to a hook from outside of netfilter, and out of one.

func (s *stage) arriving() state { return min(s.hook(trace.Prerouting), passed) }

func (s *stage) leaving() state {
	switch st := s.hook(trace.Postrouting); {
	case st != here || s.p.at < s.p.stay.to-1 || stopped(s.p.walk, s.p.at):
		return min(st, ahead)
	}
	return passed
}

func (s *stage) delivering() state {
	if s.p != nil && s.p.delivered() {
		return passed
	}
	return min(s.hook(trace.Input), ahead)
}

func (s *stage) sending() state {
	if s.p != nil && s.p.sent() {
		return passed
	}
	return offPath
}

// process is the state of the local process.
func (s *stage) process() state { return max(s.delivering(), s.sending()) }

// row is a line in a hook's box: a table, or a chain under it.
type row struct {
	at     station
	label  string
	indent int
	// hidden is how many chains this row stands for, because there is no room for them.
	hidden int
}

// mostIndent keeps chains that are called very deep readable.
const mostIndent = 6

// rows lists a hook's tables, and the chains called from each, in at most limit lines.
func (s *stage) rows(h trace.Hook, limit int) []row {
	var rows []row
	for _, t := range tablesOn(s.w.variant, h) {
		at := station{hook: h, table: t}
		rows = append(rows, row{at: at, label: string(t)})
		if s.p == nil {
			continue
		}
		for _, call := range s.p.calls[at] {
			r := row{at: call, label: "↳ " + clean(call.chain), indent: min(2*(s.p.depth[call]-1), mostIndent)}
			if call.chain == atNAT {
				r.label = "↳ " + string(trace.ConntrackTable)
			}
			rows = append(rows, r)
		}
	}
	return s.squeeze(rows, limit)
}

// squeeze leaves out the chains that are farthest from the packet until the
// rest fits, and says how many there are.
func (s *stage) squeeze(rows []row, limit int) []row {
	kept := make([]bool, len(rows))
	current := 0
	for i, r := range rows {
		kept[i] = true
		if s.station(r.at) == here {
			current = i
		}
	}
	for height(kept) > limit {
		far := -1
		for i, r := range rows {
			if kept[i] && r.at.chain != "" && i != current && (far < 0 || distance(i, current) > distance(far, current)) {
				far = i
			}
		}
		if far < 0 {
			break
		}
		kept[far] = false
	}
	var out []row
	for i, r := range rows {
		switch {
		case kept[i]:
			out = append(out, r)
		case i > 0 && !kept[i-1]:
			last := &out[len(out)-1]
			last.hidden++
			last.label = "⋮ " + strconv.Itoa(last.hidden)
		default:
			out = append(out, row{at: r.at, label: "⋮ 1", hidden: 1})
		}
	}
	return out
}

func distance(a, b int) int { return max(a-b, b-a) }

// height is the number of lines that the kept rows take, with one for each gap.
func height(kept []bool) int {
	n := 0
	for i, k := range kept {
		if k || i == 0 || kept[i-1] {
			n++
		}
	}
	return n
}

// drawRow draws a station: its sign, and its name.
func (s *stage) drawRow(g *grid, x, y, w int, r row) {
	st := s.station(r.at)
	sign, signLook := s.sign(r.at)
	l := st.look()
	if r.hidden > 0 {
		sign, signLook, l = st.sign(), softLook, softLook
	}
	s.anchors[r.at] = point{x, y}
	g.text(x, y, sign, signLook)
	g.text(x+2+r.indent, y, fit(r.label, w-2-r.indent), l)
	if st == here {
		g.paint(x-1, y, w+2, hereLook)
	}
}

// anchor is where a station is drawn: where its own row is left out, that of its table.
func (s *stage) anchor(at station) (point, bool) {
	p, ok := s.anchors[at]
	if !ok {
		p, ok = s.anchors[station{hook: at.hook, table: at.table}]
	}
	return p, ok
}

// packet is the cell of the packet, part of the way from the step of the stage
// to the next one; false when it is on its way to another node.
func (s *stage) packet(part float64) (point, bool) {
	steps, i := s.p.walk.Steps, s.p.at
	from, ok := s.anchor(stationOf(steps, i))
	if !ok || part == 0 || i+1 >= len(steps) {
		return from, ok
	}
	if steps[i+1].Node != steps[i].Node {
		return point{}, false
	}
	to, ok := s.anchor(stationOf(steps, i+1))
	path := []point{from}
	if steps[i].Hook != steps[i+1].Hook {
		path = append(path, s.ways[[2]trace.Hook{steps[i].Hook, steps[i+1].Hook}]...)
	}
	if !ok {
		return from, true
	}
	return along(append(path, to), part)
}

// drawPacket puts the packet on the stage.
func (s *stage) drawPacket(g *grid, part float64) {
	if s.p == nil {
		return
	}
	at, ok := s.packet(part)
	if !ok {
		return
	}
	if part == 0 && stopped(s.p.walk, s.p.at) {
		g.over(at.x, at.y, stoppedGlyph, badLook)
		return
	}
	l := packetLook
	if part == 0 {
		l = hereLook
	}
	g.over(at.x, at.y, packetGlyph, l)
}
