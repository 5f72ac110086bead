package tui

import (
	"context"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"packetwalk/assets"
)

// Item is something to choose. Items of the same Chapter, which may be empty,
// stand behind each other. Summary is Markdown.
type Item struct {
	Name, Title, Summary string
	Chapter              string
	Progress             Progress
}

// Progress is how far the user has come with an item.
type Progress uint8

// The kinds of progress.
const (
	Untouched Progress = iota
	Begun
	Done
)

func (p Progress) sign() string {
	switch p {
	case Begun:
		return "◐"
	case Done:
		return "✓"
	}
	return " "
}

func (p Progress) look() look {
	switch p {
	case Begun:
		return packetLook
	case Done:
		return goodLook
	}
	return softLook
}

// Sign is the progress as one character.
func (p Progress) Sign() string { return p.sign() }

// In is the progress in a word of a language; empty for an untouched item.
func (p Progress) In(lang string) string {
	m := assets.For(lang).Pick
	switch p {
	case Begun:
		return m.Begun
	case Done:
		return m.Done
	}
	return ""
}

// Pick lets the user choose among items, beginning with the one of the index
// at. It returns the index of the one chosen, or -1 when the user quit or ctx
// ended.
func Pick(ctx context.Context, lang string, items []Item, at int) (int, error) {
	m := newPicker(lang, items)
	m.cursor = at
	ctx, cancel := untilHangup(ctx)
	defer cancel()
	_, err := tea.NewProgram(m, tea.WithContext(ctx)).Run()
	return m.chosen, ending(err)
}

// pickPage is how many items a page key goes over.
const pickPage = 8

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
	case key.Matches(msg, k.Home):
		p.cursor = 0
	case key.Matches(msg, k.End):
		p.cursor = last
	case key.Matches(msg, k.PageUp):
		p.cursor = max(0, p.cursor-pickPage)
	case key.Matches(msg, k.PageDown):
		p.cursor = min(last, p.cursor+pickPage)
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

// mostSummary is the most lines that the summary of an item may take.
const mostSummary = 7

func (p *picker) draw() *grid {
	g := newGrid(p.width, p.height)
	m := p.w.m
	g.text(2, 0, fit(m.Pick.Title, p.width-4), accentLook)
	w := min(p.width-2, 110)
	below := p.summaryHeight(w - 4)
	r := rect{1, 1, w, p.height - 3 - below}
	inner := g.panel(r, m.Pick.Question, p.tally(), true)
	lines, at := p.lines(inner.w)
	a := at
	if a > 0 && len(lines[a-1].spans) == 1 { // the chapter's title, with the first of its items
		a--
	}
	from, _ := window(len(lines), inner.h, reveal(max(0, p.offset(len(lines), inner.h, at)), inner.h, a, at+1))
	g.lines(r, inner, lines, from, true)
	if len(p.items) > 0 {
		g.paint(inner.x, inner.y+at-from, inner.w, selectedLook)
		p.drawSummary(g, rect{r.x, r.y + r.h, w, below})
	}
	x := 2
	for _, h := range []hint{{keys: []key.Binding{p.keys.Up, p.keys.Down}, does: m.Keys.ScrollShort}, {keys: []key.Binding{p.choose}, does: m.Keys.Choose}, {keys: []key.Binding{p.keys.Quit}, does: m.Keys.QuitShort}} {
		x = g.text(x, p.height-1, h.name(), keyLook)
		x = g.text(x, p.height-1, " "+h.does, softLook) + 2
	}
	return g
}

// offset is the first line shown: the cursor's line stands in the middle where it can.
func (p *picker) offset(n, h, at int) int { return min(at-h/2, n-h) }

// tally says how many items are done, begun, and there.
func (p *picker) tally() string {
	done, begun := 0, 0
	for _, item := range p.items {
		switch item.Progress {
		case Done:
			done++
		case Begun:
			begun++
		}
	}
	m, note := p.w.m.Pick, itoa(len(p.items))
	if begun > 0 {
		note = Begun.sign() + " " + itoa(begun) + " " + m.Begun + " · " + note
	}
	if done > 0 {
		note = Done.sign() + " " + itoa(done) + " " + m.Done + " · " + note
	}
	return note
}

// summaryHeight is the room that the longest summary needs.
func (p *picker) summaryHeight(w int) int {
	n := 0
	for _, item := range p.items {
		n = max(n, len(p.summary(item, w)))
	}
	return min(n, mostSummary) + 2
}

// summary is the title and what it says of an item.
func (p *picker) summary(item Item, w int) []line {
	lines := wrapped(clean(choose(item.Title != "", item.Title, item.Name)), w, 0, boldLook)
	if item.Summary == "" {
		return lines
	}
	return append(lines, markdownLines(item.Summary, w)...)
}

func (p *picker) drawSummary(g *grid, r rect) {
	inner := g.panel(r, clean(p.items[p.cursor].Name), "", false)
	g.lines(r, inner, p.summary(p.items[p.cursor], inner.w), 0, false)
}

// lines are the items, a line each, below the titles of their chapters, and the
// index of the line that the cursor is on.
func (p *picker) lines(w int) (lines []line, at int) {
	if len(p.items) == 0 {
		return wrapped(p.w.m.Pick.None, w, 0, softLook), 0
	}
	names := 0
	for _, item := range p.items {
		names = max(names, min(width(clean(item.Name)), w/3))
	}
	for i, item := range p.items {
		if item.Chapter != "" && (i == 0 || p.items[i-1].Chapter != item.Chapter) {
			lines = append(lines, textLine(fit(clean(item.Chapter), w), accentLook))
		}
		if i == p.cursor {
			at = len(lines)
		}
		lines = append(lines, line{spans: []span{
			{choose(i == p.cursor, matchGlyph, " ") + " ", packetLook},
			{item.Progress.sign() + " ", item.Progress.look()},
			{pad(fit(clean(item.Name), names), names) + "  ", softLook},
			{fit(clean(item.Title), w-names-6), boldLook},
		}})
	}
	return lines, at
}
