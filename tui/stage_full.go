package tui

import "packetwalk/trace"

// fullStage is where the parts of the full stage lie.
//
//	▶ PREROUTING ─▶ routing ─▶ FORWARD ─▶ POSTROUTING ▶
//	                   │                      ▲
//	                   ▼                   routing
//	                 INPUT ─▶ process ─▶ OUTPUT
type fullStage struct {
	boxes            [5]rect
	rows             [5][]row
	routing, process rect
	// margin is the length of the ways in and out.
	margin int
}

// The least widths of the hooks' boxes, so that a title fits, and of their rows.
const boxFrame = 6 // border, blank, sign, blank … blank, border

func (s *stage) drawFull(g *grid, r rect) {
	f := s.layFull(r)
	s.fullWays(g, r, f)
	for _, h := range trace.Hooks() {
		s.drawBox(g, f.boxes[h], h, f.rows[h])
	}
	s.drawPlace(g, f.routing, s.w.m.Screen.Routing, s.routing())
	s.drawPlace(g, f.process, s.w.m.Screen.Process, s.process())
}

// layFull finds a place for everything.
func (s *stage) layFull(r rect) fullStage {
	f := s.fullRows(r)
	size := func(h trace.Hook) (w, height int) { return f.boxWidth(h), len(f.rows[h]) + 2 }
	var ws, hs [5]int
	for _, h := range trace.Hooks() {
		ws[h], hs[h] = size(h)
	}
	routing := width(s.w.m.Screen.Routing) + 6
	shrink(r.w-routing-4-9, &ws[trace.Prerouting], &ws[trace.Forward], &ws[trace.Postrouting])

	extra := r.w - ws[trace.Prerouting] - routing - ws[trace.Forward] - ws[trace.Postrouting]
	f.margin = max(2, min(extra/5, 14))
	gap := max(3, min((extra-2*f.margin)/3, 14))
	x := r.x + (extra-2*f.margin-3*gap)/2 + f.margin
	top := max(hs[trace.Prerouting], hs[trace.Forward], hs[trace.Postrouting], 7)
	bottom := max(hs[trace.Input], hs[trace.Output])
	space := max(1, min(4, r.h-top-bottom))
	y := r.y + max(0, (r.h-top-bottom-space)/2)
	place := func(h trace.Hook, x, y int) { f.boxes[h] = rect{x, y, ws[h], hs[h]} }

	place(trace.Prerouting, x, y)
	x += ws[trace.Prerouting] + gap
	f.routing = rect{x, y + 1, routing, 3}
	x += routing + gap
	place(trace.Forward, x, y)
	x += ws[trace.Forward] + gap
	place(trace.Postrouting, x, y)

	y += top + space
	process := width(s.w.m.Screen.Process) + 6
	mid := func(b rect) int { return b.x + b.w/2 }
	room := mid(f.boxes[trace.Postrouting]) - mid(f.routing)
	ws[trace.Input] = min(ws[trace.Input], room-process-8)
	ws[trace.Output] = min(ws[trace.Output], room-process-8)
	shrink(2*(room-process-8), &ws[trace.Input], &ws[trace.Output])
	place(trace.Input, max(r.x, mid(f.routing)-ws[trace.Input]/2), y)
	place(trace.Output, min(r.x+r.w-ws[trace.Output], mid(f.boxes[trace.Postrouting])-ws[trace.Output]/2), y)
	left := f.boxes[trace.Input].x + ws[trace.Input]
	f.process = rect{left + (f.boxes[trace.Output].x-left-process)/2, y + 1, process, 3}
	return f
}

// fullRows lists the rows of every box. Where they are too many, the tallest
// boxes give way until both bands fit.
func (s *stage) fullRows(r rect) fullStage {
	var f fullStage
	room := r.h - 1 - 4 // a blank line between the bands, and four borders
	for limit := room; ; limit-- {
		upper, lower := 5, 0 // the upper band leaves room for the routing after OUTPUT
		for _, h := range trace.Hooks() {
			f.rows[h] = s.rows(h, limit)
			if h == trace.Input || h == trace.Output {
				lower = max(lower, len(f.rows[h]))
			} else {
				upper = max(upper, len(f.rows[h]))
			}
		}
		if upper+lower <= room || limit <= 0 {
			return f
		}
	}
}

func (f *fullStage) boxWidth(h trace.Hook) int {
	w := width(h.String()) + 6
	for _, r := range f.rows[h] {
		w = max(w, width(r.label)+r.indent+boxFrame+1)
	}
	return w
}

// shrink takes cells from the widest until they fit into the room together.
func shrink(room int, ws ...*int) {
	for {
		sum, widest := 0, ws[0]
		for _, w := range ws {
			sum += *w
			if *w > *widest {
				widest = w
			}
		}
		if sum <= room || *widest <= 12 {
			return
		}
		*widest--
	}
}

// drawBox draws a hook with its tables.
func (s *stage) drawBox(g *grid, b rect, h trace.Hook, rows []row) {
	st := s.hook(h)
	g.frame(b, frameOf(st), st.look())
	l := st.look()
	if st == ahead {
		l = boldLook
	}
	g.text(b.x+2, b.y, " "+h.String()+" ", l)
	for i, r := range rows {
		s.drawRow(g, b.x+2, b.y+1+i, b.w-4, r)
	}
}

// frameOf is heavy where the packet is.
func frameOf(s state) frameRunes {
	if s == here {
		return heavyFrame
	}
	return roundFrame
}

// drawPlace draws the routing decision or the local process.
func (s *stage) drawPlace(g *grid, b rect, label string, st state) {
	g.frame(b, roundFrame, st.look())
	if b.w >= width(label)+6 {
		label = st.sign() + " " + label
	}
	g.text(b.x+(b.w-width(label))/2, b.y+1, label, st.look())
}

// fullWays draws the ways between the boxes, and notes those the packet takes.
func (s *stage) fullWays(g *grid, r rect, f fullStage) {
	pre, fwd, post := f.boxes[trace.Prerouting], f.boxes[trace.Forward], f.boxes[trace.Postrouting]
	in, out := f.boxes[trace.Input], f.boxes[trace.Output]
	y := f.routing.y + 1
	rx, px := f.routing.x+f.routing.w/2, post.x+post.w/2
	right := func(b rect) int { return b.x + b.w }

	g.way(s.arriving(), point{pre.x - f.margin, y}, point{pre.x - 1, y})
	g.way(s.routing(), point{right(pre), y}, point{f.routing.x - 1, y})
	g.way(s.between(trace.Prerouting, trace.Forward), point{right(f.routing), y}, point{fwd.x - 1, y})
	g.way(s.between(trace.Forward, trace.Postrouting), point{right(fwd), y}, point{post.x - 1, y})
	g.way(s.leaving(), point{right(post), y}, point{right(post) + f.margin - 1, y})
	g.way(s.between(trace.Prerouting, trace.Input), point{rx, f.routing.y + 3}, point{rx, in.y - 1})
	y2 := f.process.y + 1
	g.way(s.delivering(), point{right(in), y2}, point{f.process.x - 1, y2})
	g.way(s.sending(), point{right(f.process), y2}, point{out.x - 1, y2})
	s.routedOut(g, right(f.process), out.x, y2-1)
	g.way(s.between(trace.Output, trace.Postrouting), point{px, out.y - 1}, point{px, post.y + post.h})
	s.interfaces(g, f, y)

	s.ways[[2]trace.Hook{trace.Prerouting, trace.Forward}] = []point{{right(pre) - 1, y}, {fwd.x, y}}
	s.ways[[2]trace.Hook{trace.Prerouting, trace.Input}] = []point{{right(pre) - 1, y}, {rx, y}, {rx, in.y}}
	s.ways[[2]trace.Hook{trace.Forward, trace.Postrouting}] = []point{{right(fwd) - 1, y}, {post.x, y}}
	s.ways[[2]trace.Hook{trace.Output, trace.Postrouting}] = []point{{px, out.y}, {px, post.y + post.h - 1}}
}

// routedOut names the routing decision on the way from the local process to
// OUTPUT: the kernel makes it before the hook, and again only where a rule
// changes what it depends on.
func (s *stage) routedOut(g *grid, from, to, y int) {
	if label := s.w.m.Screen.RoutingShort; to-from >= width(label)+2 {
		g.text(from+(to-from-width(label))/2, y, label, s.sending().look())
	}
}

// interfaces writes the names of the interfaces on the ways in and out.
func (s *stage) interfaces(g *grid, f fullStage, y int) {
	if s.p == nil {
		return
	}
	in, out := s.p.interfaces()
	pre, post := f.boxes[trace.Prerouting], f.boxes[trace.Postrouting]
	if in != "" && width(in) < f.margin {
		g.text(pre.x-f.margin, y-1, in, s.arriving().look())
	}
	if out != "" && width(out) < f.margin {
		g.text(post.x+post.w+1, y-1, out, s.leaving().look())
	}
}

// interfaces are the names by which the packet comes into the node and leaves it.
func (p *progress) interfaces() (in, out string) {
	for _, s := range p.walk.Steps[p.stay.from:p.stay.to] {
		if s.Hook == trace.Prerouting && s.In != "" {
			in = clean(s.In)
		}
		if s.Hook == trace.Postrouting && s.Out != "" {
			out = clean(s.Out)
		}
	}
	return in, out
}
