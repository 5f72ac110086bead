package tui

import (
	"context"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"packetwalk/assets"
)

// Item is something to choose.
type Item struct{ Name, Title, Summary string }

// Pick lets the user choose among items. It returns the index of the one
// chosen, or -1 when the user quit or ctx ended.
func Pick(ctx context.Context, lang string, items []Item) (int, error) {
	m := newPicker(lang, items)
	_, err := tea.NewProgram(m, tea.WithContext(ctx)).Run()
	return m.chosen, ending(err)
}

// picker is the choice of an item.
type picker struct {
	w             words
	keys          keyMap
	choose        key.Binding
	palette       *palette
	items         []Item
	width, height int
	cursor        int
	chosen        int
}

func newPicker(lang string, items []Item) *picker {
	w := newWords(lang)
	k := w.m.Keys
	return &picker{w: w, keys: newKeyMap(k, false), items: items, chosen: -1, palette: newPalette(assets.ThemeFor(true)),
		choose: key.NewBinding(key.WithKeys("enter", "space"), key.WithHelp(k.Enter, k.Choose))}
}

// Init asks the terminal for its background, which decides the colours.
func (p *picker) Init() tea.Cmd { return tea.RequestBackgroundColor }

// Update takes one message in.
func (p *picker) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		p.width, p.height = msg.Width, msg.Height
	case tea.BackgroundColorMsg:
		p.palette = newPalette(assets.ThemeFor(msg.IsDark()))
	case tea.KeyPressMsg:
		return p, p.press(msg)
	}
	return p, nil
}

func (p *picker) press(msg tea.KeyPressMsg) tea.Cmd {
	k, last := p.keys, max(0, len(p.items)-1)
	switch {
	case key.Matches(msg, k.Quit, k.Close):
		return tea.Quit
	case key.Matches(msg, p.choose) && len(p.items) > 0:
		p.chosen = p.cursor
		return tea.Quit
	case key.Matches(msg, k.Up):
		p.cursor = max(0, p.cursor-1)
	case key.Matches(msg, k.Down):
		p.cursor = min(last, p.cursor+1)
	case key.Matches(msg, k.Home, k.PageUp):
		p.cursor = 0
	case key.Matches(msg, k.End, k.PageDown):
		p.cursor = last
	}
	return nil
}

// View draws the list.
func (p *picker) View() tea.View {
	v := tea.NewView(p.frame())
	v.AltScreen, v.WindowTitle = true, "packetwalk"
	return v
}

func (p *picker) frame() string {
	switch {
	case p.width <= 0 || p.height <= 0:
		return ""
	case p.width < leastWidth || p.height < leastHeight:
		return tooSmall(p.w, p.width, p.height).render(p.palette)
	}
	return p.draw().render(p.palette)
}

func (p *picker) draw() *grid {
	g := newGrid(p.width, p.height)
	m := p.w.m
	g.text(2, 1, fit(m.Pick.Title, p.width-4), accentLook)
	w := min(p.width-2, 110)
	r := rect{1, 3, w, p.height - 5}
	inner := g.panel(r, m.Pick.Question, itoa(len(p.items)), true)
	lines, a, b := p.lines(inner.w)
	from, to := window(len(lines), inner.h, reveal(0, inner.h, a, b))
	g.lines(r, inner, lines, from, true)
	for i := max(a, from); i < min(b, to); i++ {
		g.paint(inner.x, inner.y+i-from, inner.w, selectedLook)
	}
	x := 2
	for _, h := range []hint{{keys: []key.Binding{p.keys.Up, p.keys.Down}, does: m.Keys.ScrollShort}, {keys: []key.Binding{p.choose}, does: m.Keys.Choose}, {keys: []key.Binding{p.keys.Quit}, does: m.Keys.QuitShort}} {
		x = g.text(x, p.height-1, h.name(), keyLook)
		x = g.text(x, p.height-1, " "+h.does, softLook) + 2
	}
	return g
}

// lines are the items, each with its summary below its title, and the lines of
// the one the cursor is on.
func (p *picker) lines(w int) (lines []line, a, b int) {
	if len(p.items) == 0 {
		return wrapped(p.w.m.Pick.None, w, 0, softLook), 0, 0
	}
	for i, item := range p.items {
		if i == p.cursor {
			a = len(lines)
		}
		head := choose(i == p.cursor, matchGlyph, " ") + " " + clean(item.Name)
		l := line{spans: []span{{fit(head, w), accentLook}}}
		if room := w - width(head) - 3; item.Title != "" && room > 0 {
			l.spans = append(l.spans, span{" · ", faintLook}, span{fit(clean(item.Title), room), boldLook})
		}
		lines = append(lines, l)
		if item.Summary != "" {
			for _, t := range wrap(clean(item.Summary), w-2, 0) {
				lines = append(lines, textLine("  "+t, softLook))
			}
		}
		if i == p.cursor {
			b = len(lines)
		}
		lines = append(lines, line{})
	}
	return lines, a, b
}
