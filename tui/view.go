package tui

import (
	tea "charm.land/bubbletea/v2"
)

// View draws the screen.
func (m *model) View() tea.View {
	v := tea.NewView(m.frame())
	v.AltScreen = true
	v.WindowTitle = "packetwalk"
	if m.cfg.Title != "" {
		v.WindowTitle += ": " + clean(m.cfg.Title)
	}
	return v
}

// frame is the screen as one string: a line for every row, each as wide as the screen.
func (m *model) frame() string {
	if m.width <= 0 || m.height <= 0 {
		return "" // the size is not known yet
	}
	if !m.bigEnough() {
		return tooSmall(m.w, m.width, m.height).render(m.palette)
	}
	frame := m.draw().render(m.palette)
	switch {
	case m.help:
		return m.helpOverlay(frame)
	case m.inquiry != nil && m.inquiry.asksFix:
		return m.fixOverlay(frame)
	}
	return frame
}

func (m *model) bigEnough() bool { return m.width >= leastWidth && m.height >= leastHeight }

// layout is where the parts of the screen lie now.
func (m *model) layout() layout {
	return newLayout(m.width, m.height, m.headerHeight(), m.place())
}

// tooSmall says what size is needed.
func tooSmall(w words, cols, rows int) *grid {
	g := newGrid(cols, rows)
	text := fill(w.m.Screen.TooSmall, "needw", itoa(leastWidth), "needh", itoa(leastHeight), "w", itoa(cols), "h", itoa(rows))
	lines := wrap(text, cols, 0)
	for i, t := range lines[:min(len(lines), rows)] {
		g.text(max(0, (cols-width(t))/2), max(0, (rows-len(lines))/2)+i, t, plainLook)
	}
	return g
}

// draw draws the frame on a grid.
func (m *model) draw() *grid {
	g := newGrid(m.width, m.height)
	l := m.layout()
	m.drawHeader(g, l.header)
	w, part := m.walkOrNone(), m.player.part()
	t := newTopologyLine(m.w, m.cfg.Topology, w, l.topology)
	t.draw(g, l.topology, w, m.player.step, part)
	switch {
	case m.place() == nowhere:
	case m.inquiry != nil:
		m.answerPanel().draw(g, l.lesson)
	default:
		m.cardPanel().draw(g, l.lesson)
	}
	if m.stageShown() {
		m.drawStage(g, l, part)
		m.drawPanels(g, l)
	}
	if m.lesson != nil && m.lesson.prompt.asks != asksNothing {
		m.drawPrompt(g, l.status, l.footer)
		return g
	}
	m.drawStatus(g, l.status)
	m.drawFooter(g, l.footer)
	return g
}

// drawPanels draws what is known of the packet where it is.
func (m *model) drawPanels(g *grid, l layout) {
	w := m.walkOrNone()
	if len(w.Steps) == 0 {
		m.drawBefore(g, l)
		return
	}
	m.rulesPanel().draw(g, l.rules, w, m.player.step)
	m.packetPanel().draw(g, l.packet, w, m.player.step)
	m.walksPanel().draw(g, l.walks)
}

func (m *model) drawStage(g *grid, l layout, part float64) {
	title := fill(m.w.m.Screen.Stage, "node", clean(m.node()))
	r := l.stage
	switch {
	case l.stageFrame:
		r = g.panel(r, title, "", false)
	case l.stageTitle:
		for x := range r.w {
			g.wire(r.x+x, r.y-1, "─", faintLook)
		}
		g.text(r.x+2, r.y-1, " "+fit(title, r.w-6)+" ", boldLook)
	}
	s := newStage(m.w, m.progress())
	s.mark = m.decision(s.p)
	s.draw(g, r)
	s.drawPacket(g, part)
}

// drawBefore fills the panels before the first walk: what the scenario is
// about, and what the program waits for.
func (m *model) drawBefore(g *grid, l layout) {
	s := m.w.m.Screen
	inner := g.panel(l.rules, s.Rules, "", m.focused() == onRules)
	g.lines(l.rules, inner, m.introLines(inner.w), m.rules.offset, m.focused() == onRules)
	for _, p := range []struct {
		r     rect
		title string
		f     focus
	}{{l.packet, s.Packet, onPacket}, {l.walks, s.Walks, onWalks}} {
		inner := g.panel(p.r, p.title, "", m.focused() == p.f)
		g.lines(p.r, inner, wrapped(s.NoWalks, inner.w, 0, softLook), 0, m.focused() == p.f)
	}
}

// introLines is the scenario's text and what the program waits for.
func (m *model) introLines(w int) []line {
	var lines []line
	if m.cfg.Intro != "" {
		lines = append(wrapped(clean(m.cfg.Intro), w, 0, plainLook), line{})
	}
	return append(lines, wrapped(clean(m.waiting()), w, 0, packetLook)...)
}

func (m *model) rulesPanel() rulesPanel {
	return rulesPanel{w: m.w, rulesets: m.cfg.Rulesets, focused: m.focused() == onRules, offset: m.rules.offset, follow: !m.rules.moved}
}

func (m *model) packetPanel() packetPanel {
	return packetPanel{w: m.w, focused: m.focused() == onPacket, offset: m.packetOffset}
}

func (m *model) walksPanel() walksPanel {
	p := walksPanel{w: m.w, walks: m.player.walks, playing: m.player.current, cursor: m.cursor, from: m.listed(), focused: m.focused() == onWalks}
	if m.inquiry != nil {
		p.decided = m.inquiry.at.walk
	}
	if m.lesson != nil {
		p.newest, p.hidden, p.olderKey = m.player.firstIndex(), m.lesson.hides, m.keys.Older.Help().Key
	}
	return p
}
