package tui

import (
	"time"

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
	return tea.Exec(unhurried{l.shell(node)}, func(err error) tea.Msg { return shellMsg{node, err} })
}

// unhurried is a command that does not end at once. Bubble Tea stops the clock of
// its renderer in a goroutine: that must not come after the clock was started
// again, or nothing is ever drawn any more.
type unhurried struct{ tea.ExecCommand }

// leastRun is how long a command takes at least.
const leastRun = 100 * time.Millisecond

// Run runs the command.
func (u unhurried) Run() error {
	begin := time.Now()
	err := u.ExecCommand.Run()
	time.Sleep(leastRun - time.Since(begin))
	return err
}

// shellEnded says what went wrong with a shell, if anything did.
func (m *model) shellEnded(msg shellMsg) {
	if msg.err != nil {
		m.complain(fill(m.w.m.Prompt.ShellFailed, "node", msg.node, "error", msg.err.Error()))
	}
}
