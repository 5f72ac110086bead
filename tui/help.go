package tui

import (
	"charm.land/lipgloss/v2"

	"packetwalk/assets"
)

// helpBox is where the help overlay lies on a screen.
func helpBox(w, h int) rect {
	r := rect{w: min(w-6, 104), h: h - 4}
	r.x, r.y = (w-r.w)/2, (h-r.h)/2
	return r
}

// helpLines is the text of the help overlay: the keys, the signs, the words.
func (m *model) helpLines(w int) []line {
	h := m.w.m.Help
	var terms []assets.Term
	for _, k := range m.keys.all() {
		if k.Enabled() {
			terms = append(terms, assets.Term{Name: k.Help().Key, Meaning: k.Help().Desc})
		}
	}
	lines := section(h.KeysTitle, terms, w, keyLook)
	lines = append(append(lines, line{}), section(h.MarksTitle, m.marks(), w, packetLook)...)
	return append(append(lines, line{}), section(h.WordsTitle, h.Terms(), w, boldLook)...)
}

// section is a title and its terms, the meanings in a column of their own.
func section(title string, terms []assets.Term, w int, l look) []line {
	lines := []line{textLine(title, accentLook)}
	column := 0
	for _, t := range terms {
		column = max(column, width(t.Name))
	}
	for _, t := range terms {
		for i, text := range wrap(t.Meaning, w-column-4, 0) {
			lines = append(lines, line{spans: []span{{"  " + pad(choose(i == 0, t.Name, ""), column) + "  ", l}, {text, plainLook}}})
		}
	}
	return lines
}

// marks are the signs on the screen.
func (m *model) marks() []assets.Term {
	marks := m.w.m.Help.Marks()
	if m.inquiry != nil {
		marks = append(marks, m.w.m.WhyScreen.MarkDecided)
	}
	return marks
}

// helpOverlay lays the help over a frame.
func (m *model) helpOverlay(frame string) string {
	box := helpBox(m.width, m.height)
	return m.overlay(frame, box, m.w.m.Help.Title, m.w.m.Help.Close, m.helpLines(box.inset(2, 1).w), m.helpOffset)
}

// overlay lays a panel with lines from an offset on over a frame.
func (m *model) overlay(frame string, box rect, title, note string, lines []line, offset int) string {
	g := newGrid(box.w, box.h)
	r := rect{0, 0, box.w, box.h}
	g.lines(r, g.panel(r, title, note, true), lines, offset, true)
	return lipgloss.NewCompositor(
		lipgloss.NewLayer(frame),
		lipgloss.NewLayer(g.render(m.palette)).X(box.x).Y(box.y).Z(1),
	).Render()
}
