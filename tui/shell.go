package tui

import (
	tea "charm.land/bubbletea/v2"
)

// shellMsg says that the shell in a node has ended.
type shellMsg struct {
	node string
	err  error
}

// openShell gives the terminal to a shell in the chosen node, until it ends.
func (m *model) openShell() tea.Cmd {
	l := m.lesson
	l.prompt.asks = asksNothing
	if l.shell == nil || l.node == "" {
		m.complain(m.w.m.Prompt.NoShell)
		return nil
	}
	node := l.node
	return tea.Exec(l.shell(node), func(err error) tea.Msg { return shellMsg{node, err} })
}

// shellEnded says what went wrong with a shell, if anything did.
func (m *model) shellEnded(msg shellMsg) {
	if msg.err != nil {
		m.complain(fill(m.w.m.Prompt.ShellFailed, "node", msg.node, "error", msg.err.Error()))
	}
}
