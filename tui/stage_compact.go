package tui

import (
	"strings"

	"packetwalk/trace"
)

// The compact stage is seven lines high: a hook is a box with its tables side
// by side, and the chains of the table the packet is in stand below.
//
//	▶ PREROUTING ─ routing ─▶ FORWARD ─▶ POSTROUTING ▶
//	                  ▼                    ▲ routing
//	       INPUT ─▶ local ─▶ OUTPUT ───────╯
//	filter/FORWARD ↳ ✓ DOCKER-USER ↳ ● DOCKER
type compactStage struct {
	boxes [5]rect
	cells [5][]tableCell
	wide  bool // room for whole words
	// y is the line of the upper row's ways, y2 that of the lower one's.
	y, y2 int
}

// tableCell is a table in a compact box: a sign and a name.
type tableCell struct {
	at    station
	label string
}

func (s *stage) drawCompact(g *grid, r rect) {
	c := s.layCompact(r)
	for _, h := range trace.Hooks() {
		s.drawTables(g, c.boxes[h], h, c.cells[h])
	}
	s.compactWays(g, r, c)
	s.drawCalls(g, rect{r.x, r.y + 6, r.w, 1})
}

func (s *stage) layCompact(r rect) compactStage {
	c := compactStage{y: r.y + 1, y2: r.y + 4}
	routing := width(s.w.m.Screen.RoutingShort) + 4
	upper := func(spare int) int {
		return c.size(s, trace.Prerouting, spare) + routing + c.size(s, trace.Forward, spare) + 2 + c.size(s, trace.Postrouting, spare)
	}
	lower := func(spare int) int {
		return c.size(s, trace.Input, spare) + width(s.w.m.Screen.ProcessShort) + 2 + c.size(s, trace.Output, spare)
	}
	// The way down from the routing must meet INPUT's box.
	meets := func(spare int) bool {
		return c.size(s, trace.Input, spare)+r.w-lower(spare) >= c.size(s, trace.Prerouting, spare)+6
	}
	fits := func(spare int) bool { return upper(spare)+2 <= r.w && lower(spare) <= r.w && meets(spare) }
	c.wide = true
	c.wide = fits(0)
	spare := 0
	for spare < 2 && fits(spare+1) {
		spare++
	}
	rest := r.w - upper(spare)
	// What is left lengthens the ways: half of it around the routing, the rest
	// before, between and behind the boxes.
	around, edge := rest/2, rest/6
	x := r.x + max(1, edge)
	place := func(h trace.Hook, x, y int) int {
		c.boxes[h] = rect{x, y, c.size(s, h, spare), 3}
		return x + c.boxes[h].w
	}
	x = place(trace.Prerouting, x, r.y) + routing + around
	x = place(trace.Forward, x, r.y)
	w := c.size(s, trace.Postrouting, spare)
	place(trace.Postrouting, min(x+2+edge, r.x+r.w-w-1), r.y)
	slack := r.w - lower(spare)
	least := c.boxes[trace.Prerouting].x + c.boxes[trace.Prerouting].w + 4 - c.size(s, trace.Input, spare)
	place(trace.Input, max(r.x+min(edge, slack/4), least), r.y+3)
	w = c.size(s, trace.Output, spare)
	place(trace.Output, r.x+r.w-w-min(edge, slack/4), r.y+3)
	return c
}

// size is the width of a hook's box with some blanks to spare around each table.
func (c *compactStage) size(s *stage, h trace.Hook, spare int) int {
	c.cells[h] = s.tableCells(h, c.wide)
	w := 1 - spare
	for _, t := range c.cells[h] {
		w += width(t.label) + 2 + spare
	}
	return max(w, width(h.String())+4)
}

// tableCells lists the tables of a hook. Where conntrack did the work of nat, it
// stands in its place.
func (s *stage) tableCells(h trace.Hook, wide bool) []tableCell {
	var out []tableCell
	for _, t := range tablesOn(s.w.variant, h) {
		at := station{hook: h, table: t}
		c := tableCell{at: at, label: string(t)}
		if t == trace.ConntrackTable && !wide {
			c.label = "ct"
		}
		if nat := (station{hook: h, table: t, chain: atNAT}); s.station(nat) != offPath {
			c = tableCell{at: nat, label: pad("ct", width(string(t)))}
		}
		out = append(out, c)
	}
	return out
}

func (s *stage) drawTables(g *grid, b rect, h trace.Hook, tables []tableCell) {
	st := s.hook(h)
	g.frame(b, frameOf(st), st.look())
	l := st.look()
	if st == ahead {
		l = boldLook
	}
	g.text(b.x+1, b.y, " "+h.String()+" ", l)
	used := 0
	for _, t := range tables {
		used += width(t.label) + 1
	}
	gap := max(1, min(3, (b.w-2-used)/max(1, len(tables)-1)))
	x := b.x + 1
	for _, t := range tables {
		st := s.tableState(t.at)
		s.anchors[t.at] = point{x, b.y + 1}
		sign, l := s.tableSign(t.at, st)
		g.text(x, b.y+1, sign, l)
		g.text(x+1, b.y+1, t.label, st.look())
		if st == here {
			g.paint(x, b.y+1, width(t.label)+1, hereLook)
		}
		x += width(t.label) + 1 + gap
	}
}

// tableState is the state of a table with all its chains: the packet is in the
// table while it is in one of them.
func (s *stage) tableState(at station) state {
	st := s.station(at)
	if s.p != nil && at.chain == "" {
		if now := stationOf(s.p.walk.Steps, s.p.at); now.hook == at.hook && now.table == at.table && now.chain != atNAT {
			return here
		}
	}
	return st
}

// tableSign is the sign of a table with all its chains.
func (s *stage) tableSign(at station, st state) (string, look) {
	if s.mark != nil && s.mark.hook == at.hook && s.mark.table == at.table {
		return decidedGlyph, badLook
	}
	return st.sign(), st.look()
}

// compactWays draws the ways between the boxes, and notes those the packet takes.
func (s *stage) compactWays(g *grid, r rect, c compactStage) {
	pre, fwd, post := c.boxes[trace.Prerouting], c.boxes[trace.Forward], c.boxes[trace.Postrouting]
	in, out := c.boxes[trace.Input], c.boxes[trace.Output]
	right := func(b rect) int { return b.x + b.w }
	label := s.w.m.Screen.RoutingShort
	lx := right(pre) + (fwd.x-right(pre)-width(label))/2
	rx, px := min(lx+width(label)/2, right(in)-3), post.x+post.w/2

	g.way(s.arriving(), point{r.x, c.y}, point{pre.x - 1, c.y})
	g.way(s.routing(), point{right(pre), c.y}, point{lx, c.y})
	g.way(s.between(trace.Prerouting, trace.Forward), point{lx + width(label), c.y}, point{fwd.x - 1, c.y})
	g.text(lx, c.y, label, s.routing().look())
	g.way(s.between(trace.Forward, trace.Postrouting), point{right(fwd), c.y}, point{post.x - 1, c.y})
	g.way(s.leaving(), point{right(post), c.y}, point{r.x + r.w - 1, c.y})
	g.way(s.between(trace.Prerouting, trace.Input), point{rx, c.y + 1}, point{rx, in.y})
	s.compactProcess(g, right(in), out.x, c.y2)
	// The boxes touch: the way runs in their borders.
	g.way(s.between(trace.Output, trace.Postrouting), point{px, out.y}, point{px, post.y + 2})

	s.ways[[2]trace.Hook{trace.Prerouting, trace.Forward}] = []point{{right(pre) - 1, c.y}, {fwd.x, c.y}}
	s.ways[[2]trace.Hook{trace.Prerouting, trace.Input}] = []point{{right(pre) - 1, c.y}, {rx, c.y}, {rx, in.y}}
	s.ways[[2]trace.Hook{trace.Forward, trace.Postrouting}] = []point{{right(fwd) - 1, c.y}, {post.x, c.y}}
	s.ways[[2]trace.Hook{trace.Output, trace.Postrouting}] = []point{{px, out.y}, {px, post.y + 2}}
}

// compactProcess draws the local process between INPUT and OUTPUT.
func (s *stage) compactProcess(g *grid, from, to, y int) {
	label := s.w.m.Screen.Process
	if to-from < width(label)+4 {
		label = s.w.m.Screen.ProcessShort
	}
	x := from + (to-from-width(label))/2
	g.way(s.delivering(), point{from, y}, point{x - 1, y})
	g.text(x, y, label, s.process().look())
	g.way(s.sending(), point{x + width(label), y}, point{to - 1, y})
}

// drawCalls writes the chains of the packet's table, in the order in which it
// came into them.
func (s *stage) drawCalls(g *grid, r rect) {
	if s.p == nil {
		return
	}
	now := stationOf(s.p.walk.Steps, s.p.at)
	table := station{hook: now.hook, table: now.table}
	head := clean(s.p.stay.node) + ": "
	if now.table == trace.ConntrackTable || now.chain == atNAT {
		head += string(trace.ConntrackTable) + ", " + now.hook.String()
	} else {
		head += string(now.table) + "/" + now.hook.String()
	}
	var calls []station
	for _, c := range s.p.calls[table] {
		if c.chain != atNAT {
			calls = append(calls, c)
		}
	}
	x := g.text(r.x+1, r.y, head, s.callLook(now, table))
	// The chains before the current one give way when there are too many.
	skip := 0
	for skip < len(calls) && s.callsWidth(calls[skip:], skip) > r.x+r.w-x && s.station(calls[skip]) != here {
		skip++
	}
	if skip > 0 {
		x = g.text(x, r.y, " ↳ "+ellipsis, softLook)
	}
	for _, c := range calls[skip:] {
		st := s.station(c)
		sign, _ := s.sign(c)
		if st == here {
			sign = packetGlyph
		}
		label := " ↳ " + sign + " " + clean(c.chain)
		if room := r.x + r.w - x; width(label) > room {
			g.text(x, r.y, fit(label, room), st.look())
			return
		}
		x = g.text(x, r.y, label, st.look())
	}
}

func (s *stage) callLook(now, at station) look {
	if now == at {
		return packetLook
	}
	return passedLook
}

func (s *stage) callsWidth(calls []station, skipped int) int {
	var b strings.Builder
	if skipped > 0 {
		b.WriteString(" ↳ " + ellipsis)
	}
	for _, c := range calls {
		b.WriteString(" ↳ ✓ " + clean(c.chain))
	}
	return width(b.String())
}
