package tui

import (
	"slices"
	"strings"

	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"packetwalk/scenarios/play"
)

// asks is what the prompt asks for.
type asks uint8

const (
	asksNothing asks = iota
	asksCommand      // to be run in a node
	asksShell        // in which node to open a shell
	asksYesNo        // whether to do something
)

// prompt is the last line of the screen while it asks for something.
type prompt struct {
	asks  asks
	input textinput.Model
	// at is the place in the history, counted from its end; 0 is what is being typed.
	at      int
	started string // what was being typed before going into the history
	// question and action are those of asksYesNo.
	question string
	action   play.Action
}

func newPrompt() prompt {
	input := textinput.New()
	input.SetVirtualCursor(false)
	input.Prompt = ""
	input.KeyMap.Paste.SetEnabled(false) // a terminal pastes by itself
	return prompt{input: input}
}

// openPrompt asks for a command or a node.
func (m *model) openPrompt(a asks) {
	l := m.lesson
	p := &l.prompt
	p.asks, p.at, p.started = a, 0, ""
	p.input.Reset()
	p.input.Focus()
	if !slices.Contains(m.nodes(), l.node) {
		l.node = m.host()
	}
}

// confirm asks whether to do something.
func (m *model) confirm(question string, a play.Action) {
	p := &m.lesson.prompt
	p.asks, p.question, p.action = asksYesNo, question, a
}

// nodes are the names of the lab's nodes.
func (m *model) nodes() []string {
	var names []string
	for _, n := range m.cfg.Topology.Nodes {
		names = append(names, n.Name)
	}
	return names
}

// promptKey takes a key while the prompt is open.
func (m *model) promptKey(msg tea.KeyPressMsg) tea.Cmd {
	l, k := m.lesson, m.keys
	p := &l.prompt
	switch {
	case msg.String() == "ctrl+c":
		if p.asks == asksCommand && p.input.Value() != "" {
			p.input.Reset()
			return nil
		}
		p.asks = asksNothing
	case key.Matches(msg, k.Close):
		p.asks = asksNothing
	case p.asks == asksYesNo:
		m.answer(msg)
	case key.Matches(msg, k.Next):
		m.otherNode(1)
	case key.Matches(msg, k.Previous):
		m.otherNode(-1)
	case p.asks == asksShell:
		return m.chooseNode(msg)
	case msg.String() == "enter":
		m.typeCommand()
	case msg.String() == "up":
		m.recall(1)
	case msg.String() == "down":
		m.recall(-1)
	default:
		p.input, _ = p.input.Update(msg)
	}
	return nil
}

// answer takes yes or no.
func (m *model) answer(msg tea.KeyPressMsg) {
	p := &m.lesson.prompt
	switch msg.String() {
	case "y", "Y":
		p.asks = asksNothing
		m.act(p.action)
	case "n", "N", "q":
		p.asks = asksNothing
	}
}

// otherNode goes on to the next node of the lab.
func (m *model) otherNode(by int) {
	nodes := m.nodes()
	if len(nodes) == 0 {
		return
	}
	at := slices.Index(nodes, m.lesson.node)
	m.lesson.node = nodes[(at+by+len(nodes))%len(nodes)]
}

// chooseNode takes a key while a node is asked for.
func (m *model) chooseNode(msg tea.KeyPressMsg) tea.Cmd {
	nodes, k := m.nodes(), m.keys
	switch s := msg.String(); {
	case key.Matches(msg, k.Left, k.Up):
		m.otherNode(-1)
	case key.Matches(msg, k.Right, k.Down):
		m.otherNode(1)
	case len(s) == 1 && s[0] >= '1' && int(s[0]-'1') < len(nodes):
		m.lesson.node = nodes[s[0]-'1']
		return m.openShell()
	case s == "enter" || s == "s":
		return m.openShell()
	}
	return nil
}

// typeCommand asks the session to run what was typed. "NODE: command" runs it
// in another node.
func (m *model) typeCommand() {
	l := m.lesson
	text := strings.TrimSpace(l.prompt.input.Value())
	if node, rest, found := strings.Cut(text, ":"); found && slices.Contains(m.nodes(), node) {
		l.node, text = node, strings.TrimSpace(rest)
	}
	if text == "" {
		l.prompt.asks = asksNothing
		return
	}
	if m.act(play.Type{Node: l.node, Command: text}); !l.state.Busy {
		l.history = append(slices.DeleteFunc(l.history, func(s string) bool { return s == text }), text)
		l.prompt.asks = asksNothing
	}
}

// recall goes through the commands that were typed before.
func (m *model) recall(by int) {
	l := m.lesson
	p := &l.prompt
	if p.at == 0 {
		p.started = p.input.Value()
	}
	p.at = max(0, min(p.at+by, len(l.history)))
	text := p.started
	if p.at > 0 {
		text = l.history[len(l.history)-p.at]
	}
	p.input.SetValue(text)
	p.input.CursorEnd()
}

// drawPrompt draws the prompt on the last line, and what can be done above it.
func (m *model) drawPrompt(g *grid, status, footer rect) {
	l, w := m.lesson, m.w.m.Prompt
	switch l.prompt.asks {
	case asksCommand:
		above := choose(l.note != "", l.note, w.Command)
		g.text(status.x+1, status.y, fit(above, status.w-2), choose(l.note != "", packetLook, softLook))
		x := g.text(footer.x+1, footer.y, fit(promptOf(l.node), footer.w/2), accentLook)
		l.prompt.draw(g, rect{x, footer.y, footer.w - 1 - x, 1})
	case asksShell:
		g.text(status.x+1, status.y, fit(w.Shell, status.w-2), packetLook)
		m.drawNodes(g, footer)
	case asksYesNo:
		g.text(status.x+1, status.y, fit(l.prompt.question, status.w-2), packetLook)
		g.text(footer.x+1, footer.y, fit(w.YesNo, footer.w-2), keyLook)
	}
}

// draw draws what has been typed, with the cursor in view.
func (p prompt) draw(g *grid, r rect) {
	value := []rune(p.input.Value())
	at := p.input.Position()
	before, after := clean(string(value[:at])), clean(string(value[at:]))
	if over := width(before) - (r.w - 1); over > 0 {
		before = ellipsis + ansi.TruncateLeft(before, over+1, "")
	}
	x := g.text(r.x, r.y, before, boldLook)
	under, _ := ansi.FirstGraphemeCluster(after, ansi.GraphemeWidth)
	if under == "" || x+width(under) > r.x+r.w {
		under, after = " ", ""
	}
	end := g.text(x, r.y, under, selectedLook)
	g.paint(x, r.y, end-x, selectedLook)
	if after != "" {
		g.text(end, r.y, fit(after[len(under):], r.x+r.w-end), boldLook)
	}
}

// drawNodes draws the nodes to choose from, those around the chosen one where
// there is no room for all.
func (m *model) drawNodes(g *grid, r rect) {
	nodes := m.nodes()
	from := max(0, slices.Index(nodes, m.lesson.node))
	label := func(i int) string { return itoa(i+1) + " " + fit(clean(nodes[i]), 24) }
	room := r.w - 2
	for used := 0; from > 0; from-- {
		if used += width(label(from)) + 3; used+width(label(from-1))+3 > room {
			break
		}
	}
	x := r.x + 1
	for i := from; i < len(nodes); i++ {
		if x+width(label(i))+1 > r.x+r.w {
			break
		}
		x = g.text(x, r.y, label(i), choose(nodes[i] == m.lesson.node, selectedLook, keyLook)) + 3
	}
}
