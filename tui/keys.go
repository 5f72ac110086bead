package tui

import (
	"charm.land/bubbles/v2/key"

	"packetwalk/assets"
)

// keyMap is every key of the program. Dispatch, the footer and the help overlay
// all read it.
type keyMap struct {
	Pause, Left, Right, Faster, Slower, Next, Previous, Open key.Binding
	Up, Down, PageUp, PageDown, Home, End                    key.Binding
	Send, Help, Quit, Close                                  key.Binding
	lessonKeys
	whyKeys
}

func newKeyMap(k assets.Keys, canSend bool) keyMap {
	bind := func(name, does string, keys ...string) key.Binding {
		return key.NewBinding(key.WithKeys(keys...), key.WithHelp(name, does))
	}
	m := keyMap{
		Pause:    bind(k.Space, k.Pause, "space"),
		Left:     bind("←", k.Left, "left", "h"),
		Right:    bind("→", k.Right, "right", "l"),
		Faster:   bind("+", k.Faster, "+", "="),
		Slower:   bind("-", k.Slower, "-", "_"),
		Next:     bind("tab", k.Next, "tab"),
		Previous: bind("shift+tab", k.Previous, "shift+tab"),
		Open:     bind(k.Enter, k.Open, "enter"),
		Up:       bind("↑", k.Up, "up", "k"),
		Down:     bind("↓", k.Down, "down", "j"),
		PageUp:   bind(k.PgUp, k.PageUp, "pgup"),
		PageDown: bind(k.PgDn, k.PageDown, "pgdown"),
		Home:     bind(k.HomeKey, k.Home, "home"),
		End:      bind(k.EndKey, k.End, "end"),
		Send:     bind("r", k.Send, "r"),
		Help:     bind("?", k.Help, "?"),
		Quit:     bind("q", k.Quit, "q", "ctrl+c"),
		Close:    bind("esc", k.Close, "esc"),
	}
	m.Send.SetEnabled(canSend)
	return m
}

// all lists the keys in the order of the help overlay.
func (m keyMap) all() []key.Binding {
	return append(append(m.lessonBindings(), m.whyBindings()...), m.Pause, m.Left, m.Right, m.Faster, m.Slower, m.Send, m.Next, m.Previous, m.Open,
		m.Up, m.Down, m.PageUp, m.PageDown, m.Home, m.End, m.Help, m.Close, m.Quit)
}

// hint is a key, or several that belong together, in the footer.
type hint struct {
	keys []key.Binding
	does string
	// weight decides what goes first where there is no room: the lowest.
	weight int
}

// hints are the footer's, for the focused panel.
func (m keyMap) hints(k assets.Keys, f focus, pause string) []hint {
	hs := []hint{
		{[]key.Binding{m.Pause}, pause, 8},
		{[]key.Binding{m.Left, m.Right}, k.StepShort, 7},
		{[]key.Binding{m.Slower, m.Faster}, k.SpeedShort, 3},
		{[]key.Binding{m.Next}, k.FocusShort, 5},
		{[]key.Binding{m.Up, m.Down}, k.ScrollShort, 1},
	}
	if f == onWalks {
		hs = append(hs, hint{[]key.Binding{m.Open}, k.OpenShort, 6})
	}
	return append(hs,
		hint{[]key.Binding{m.Send}, k.SendShort, 4},
		hint{[]key.Binding{m.Help}, k.HelpShort, 9},
		hint{[]key.Binding{m.Quit}, k.QuitShort, 10})
}

// enabled leaves out the hints of keys that do nothing.
func enabled(hs []hint) []hint {
	var out []hint
	for _, h := range hs {
		if h.keys[0].Enabled() {
			out = append(out, h)
		}
	}
	return out
}

// name is the keys of a hint as one word.
func (h hint) name() string {
	s := ""
	for _, k := range h.keys {
		s += k.Help().Key
	}
	return s
}
