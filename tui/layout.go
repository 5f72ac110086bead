package tui

// The smallest screen that holds everything.
const (
	leastWidth  = 80
	leastHeight = 24
)

// besideWidth is the width from which there is room for a lesson beside the stage.
const besideWidth = 160

// place is where a lesson stands.
type place uint8

const (
	nowhere place = iota
	beside        // left of the stage
	instead       // in the place of the stage and the panels
)

// layout is where the parts of the screen lie. The stage may be framed, or have
// a titled line above it, or, in its compact form, neither. Parts that are not
// shown are empty.
type layout struct {
	header, topology, lesson, stage, rules, packet, walks, status, footer rect

	stageFrame, stageTitle bool
}

// newLayout divides a screen of at least leastWidth x leastHeight. The header
// is as many lines high as it is told.
func newLayout(w, h, header int, lesson place) layout {
	l := layout{header: rect{0, 0, w, header}, topology: rect{0, header, w, 1},
		status: rect{0, h - 2, w, 1}, footer: rect{0, h - 1, w, 1}}
	if h >= 30 {
		l.topology.h = 3
	}
	top := l.topology.y + l.topology.h
	body := rect{0, top, w, h - 2 - top}
	switch lesson {
	case instead:
		l.lesson = body
		return l
	case beside:
		l.lesson = rect{0, top, min(body.w*36/100, mostProse+6), body.h}
		body.x, body.w = l.lesson.w, body.w-l.lesson.w
	}
	switch {
	case body.w >= 160 && body.h >= 30:
		l.wide(body)
	case body.w >= fullStageWidth+2 && body.h >= fullStageHeight+1+11:
		l.medium(body)
	default:
		l.compact(body)
	}
	return l
}

// wide has the stage and the rules on the left, packet and walks on the right.
func (l *layout) wide(b rect) {
	side := min(80, b.w*38/100)
	left := b.w - side
	stage := max(fullStageHeight+2, min(b.h*57/100, 28))
	l.stage, l.stageFrame = rect{b.x, b.y, left, stage}, true
	l.rules = rect{b.x, b.y + stage, left, b.h - stage}
	l.column(rect{b.x + left, b.y, side, b.h})
}

// medium has the stage above, and below it the rules beside packet and walks.
func (l *layout) medium(b rect) {
	stage := max(fullStageHeight, min(b.h-1-12, 24))
	l.stage, l.stageTitle = rect{b.x, b.y + 1, b.w, stage}, true
	b.y, b.h = b.y+1+stage, b.h-1-stage
	l.below(b, b.w*48/100)
}

// compact is as medium, with the stage in its least form.
func (l *layout) compact(b rect) {
	l.stage = rect{b.x, b.y, b.w, compactHeight}
	b.y, b.h = b.y+compactHeight, b.h-compactHeight
	if b.w < 140 {
		l.below(b, b.w*51/100)
		return
	}
	packet, walks := b.w*24/100, b.w*34/100
	l.rules = rect{b.x, b.y, b.w - packet - walks, b.h}
	l.packet = rect{l.rules.x + l.rules.w, b.y, packet, b.h}
	l.walks = rect{l.packet.x + packet, b.y, walks, b.h}
}

func (l *layout) below(b rect, rules int) {
	l.rules = rect{b.x, b.y, rules, b.h}
	l.column(rect{b.x + rules, b.y, b.w - rules, b.h})
}

// column puts the packet over the walks. A wide column has the packet's fields
// in fewer lines.
func (l *layout) column(c rect) {
	least := 8
	if c.w >= 56 {
		least = 7
	}
	packet := max(least, min(14, c.h*55/100))
	l.packet = rect{c.x, c.y, c.w, packet}
	l.walks = rect{c.x, c.y + packet, c.w, c.h - packet}
}
