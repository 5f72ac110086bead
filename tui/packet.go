package tui

import (
	"net/netip"

	"packetwalk/trace"
)

// packetPanel shows what is known of the packet at a step.
type packetPanel struct {
	w       words
	focused bool
	offset  int
}

func (p packetPanel) draw(g *grid, r rect, walk trace.Walk, at int) {
	note := fill(p.w.m.Walk.Walk, "id", itoa(walk.ID))
	if !roomy(r.inset(2, 1).h) {
		note, _ = p.outcomeWord(walk, at)
	}
	inner := g.panel(r, p.w.m.Screen.Packet, note, p.focused)
	g.lines(r, inner, p.lines(walk, at, inner.w, inner.h), p.offset, p.focused)
}

// extent is the number of lines and the room for them.
func (p packetPanel) extent(r rect, walk trace.Walk, at int) (n, h int) {
	inner := r.inset(2, 1)
	return len(p.lines(walk, at, inner.w, inner.h)), inner.h
}

// lines are the packet's fields. Where there is room, each has a line of its own.
func (p packetPanel) lines(walk trace.Walk, at, w, h int) []line {
	s, m := walk.Steps[at], p.w.m.Packet
	labels := 0
	for _, l := range []string{m.Src, m.Dst, m.In, m.Out} {
		labels = max(labels, width(l))
	}
	roomy := roomy(h)
	if roomy {
		for _, l := range []string{m.State, m.Direction, m.Outcome, m.Length} {
			labels = max(labels, width(l))
		}
	}
	lines := p.head(walk, s, w, roomy)
	lines = append(lines, p.address(m.Src, labels, w, walk, at, func(s trace.Step) netip.AddrPort { return s.Src }, walk.Packet.Src)...)
	lines = append(lines, p.address(m.Dst, labels, w, walk, at, func(s trace.Step) netip.AddrPort { return s.Dst }, walk.Packet.Dst)...)
	lines = append(lines, p.interfaces(s, labels, w, roomy)...)
	if roomy {
		lines = append(lines,
			field(m.State, labels, orDash(clean(string(s.CTState))), boldLook),
			field(m.Direction, labels, orDash(arrowOf(walk.Direction)+p.w.direction(walk.Direction)), plainLook))
		if walk.Packet.Length > 0 {
			lines = append(lines, field(m.Length, labels, fill(m.Bytes, "n", itoa(walk.Packet.Length)), plainLook))
		}
	}
	if !roomy {
		return lines
	}
	text, l := p.outcomeWord(walk, at)
	if atEnd(walk, at) {
		text = outcomeSign(walk.Outcome) + " " + p.w.outcome(walk)
	}
	return append(lines, fieldLines(m.Outcome, labels, w, clean(text), l)...)
}

// roomy says whether every field can have a line of its own.
func roomy(h int) bool { return h >= 10 }

// head names the packet; without room for lines of their own, it also says state and direction.
func (p packetPanel) head(walk trace.Walk, s trace.Step, w int, roomy bool) []line {
	parts := []span{{p.w.packet(walk.Packet), packetLook}}
	if !roomy && s.CTState != "" {
		parts = append(parts, span{string(s.CTState), boldLook})
	}
	if !roomy && walk.Direction != "" {
		parts = append(parts, span{arrowOf(walk.Direction) + p.w.direction(walk.Direction), plainLook})
	}
	lines := []line{{spans: parts[:1:1]}}
	for _, part := range parts[1:] {
		last := &lines[len(lines)-1]
		if spansWidth(last.spans)+3+width(part.text) > w {
			lines = append(lines, line{spans: []span{part}})
			continue
		}
		last.spans = append(last.spans, span{" · ", faintLook}, part)
	}
	return lines
}

// address is a source or destination, and what NAT made of it.
func (p packetPanel) address(label string, labels, w int, walk trace.Walk, at int, of func(trace.Step) netip.AddrPort, first netip.AddrPort) []line {
	now := of(walk.Steps[at])
	if !now.IsValid() || now == first {
		return fieldLines(label, labels, w, named(walk, first), plainLook)
	}
	lines := fieldLines(label, labels, w, named(walk, first), softLook)
	change := "→ " + named(walk, now) + " (" + p.cause(walk, at, of, first) + ")"
	if labels+1+width(named(walk, first))+1+width(change) <= w {
		lines[0].spans = append(lines[0].spans, span{" " + change, changedLook})
		return lines
	}
	return append(lines, fieldLines("", labels, w, change, changedLook)...)
}

// cause names the translation that last changed an address.
func (p packetPanel) cause(walk trace.Walk, at int, of func(trace.Step) netip.AddrPort, first netip.AddrPort) string {
	for i := at; i >= 0; i-- {
		before := first
		if i > 0 {
			before = of(walk.Steps[i-1])
		}
		s := walk.Steps[i]
		if of(s) == before {
			continue
		}
		switch {
		case s.Remembered != nil && s.Remembered.Undone:
			return fill(p.w.m.Packet.TurnedBack, "nat", natName(s))
		case s.Verdict.Rewrites():
			return string(s.Verdict)
		case s.Table == trace.ConntrackTable:
			return string(trace.ConntrackTable)
		}
		return "NAT"
	}
	return "NAT"
}

func (p packetPanel) interfaces(s trace.Step, labels, w int, roomy bool) []line {
	m := p.w.m.Packet
	in, out := orDash(clean(s.In)), orDash(clean(s.Out))
	if roomy || labels+width(m.Out)+width(in+out)+4 > w {
		return append(fieldLines(m.In, labels, w, with(in, s.PhysIn), plainLook),
			fieldLines(m.Out, labels, w, with(out, s.PhysOut), plainLook)...)
	}
	l := field(m.In, labels, in, plainLook)
	l.spans = append(l.spans, span{"  " + m.Out + " ", softLook}, span{out, plainLook})
	return []line{l}
}

// with adds the bridge's port to an interface.
func with(name, port string) string {
	if port == "" {
		return name
	}
	return name + " (" + clean(port) + ")"
}

// outcomeWord is the outcome as far as the packet has come: it is known at the
// end of the walk. In a small panel it stands in the border, and the status line
// has the sentence.
func (p packetPanel) outcomeWord(walk trace.Walk, at int) (string, look) {
	if !atEnd(walk, at) {
		return p.w.m.Outcome.UnderwayWord, softLook
	}
	return outcomeSign(walk.Outcome) + " " + p.w.outcomeWord(walk.Outcome), outcomeLook(walk.Outcome)
}

// atEnd says whether step at is the last of a finished walk.
func atEnd(walk trace.Walk, at int) bool { return walk.Done() && at >= len(walk.Steps)-1 }

// fieldLines is a field whose value is wrapped.
func fieldLines(label string, labels, w int, value string, l look) []line {
	var lines []line
	for i, t := range wrap(value, w-labels-1, 0) {
		lines = append(lines, field(choose(i == 0, label, ""), labels, t, l))
	}
	return lines
}

// field is a label and its value.
func field(label string, labels int, value string, l look) line {
	return line{spans: []span{{pad(label, labels) + " ", softLook}, {value, l}}}
}

func orDash(s string) string { return choose(s == "", "–", s) }

// arrowOf is the sign of a direction.
func arrowOf(d trace.Direction) string {
	switch d {
	case trace.Original:
		return "→ "
	case trace.Reply:
		return "← "
	}
	return ""
}

// outcomeSign and outcomeLook are the sign and the colour of an outcome.
func outcomeSign(o trace.Outcome) string {
	switch o {
	case trace.Delivered:
		return "✓"
	case trace.Forwarded:
		return "»"
	case trace.Dropped, trace.Rejected, trace.Lost:
		return stoppedGlyph
	case "":
		return ellipsis
	}
	return "?"
}

func outcomeLook(o trace.Outcome) look {
	switch o {
	case trace.Delivered, trace.Forwarded:
		return goodLook
	case trace.Dropped, trace.Rejected, trace.Lost:
		return badLook
	}
	return softLook
}
