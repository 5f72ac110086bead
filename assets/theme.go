package assets

// Theme is the colours of the screen, as "#rrggbb". An empty colour is the
// terminal's own. Every meaning that has a colour also has a sign or a word,
// so that the screen reads the same with NO_COLOR.
type Theme struct {
	Faint    string // frames, wires and stations off the packet's path
	Soft     string // labels
	Accent   string // titles, the focused panel
	Packet   string // the packet and where it is
	PacketBG string // behind the current station and the matched rule
	Passed   string // the way taken
	Good     string // ACCEPT, delivered
	Bad      string // DROP, rejected, lost
	Changed  string // what NAT rewrote
	Warning  string
	Code     string // code in a text, and what was typed
	SelectBG string // behind the selected line
}

// ThemeFor is the theme for a dark or a light background. The colours are those
// of the 256-colour palette, so that they look the same on every terminal that
// has as many.
func ThemeFor(dark bool) Theme {
	if dark {
		return Theme{
			Faint: "#6c6c6c", Soft: "#a8a8a8", Accent: "#5fafff", Packet: "#ffd75f", PacketBG: "#3a3a3a",
			Passed: "#5fd7af", Good: "#87d787", Bad: "#ff5f5f", Changed: "#d7afff", Warning: "#ffaf5f", SelectBG: "#005f87",
			Code: "#87d7d7",
		}
	}
	return Theme{
		Faint: "#8a8a8a", Soft: "#585858", Accent: "#005faf", Packet: "#875f00", PacketBG: "#ffffaf",
		Passed: "#00875f", Good: "#008700", Bad: "#af0000", Changed: "#8700af", Warning: "#af5f00", SelectBG: "#afd7ff",
		Code: "#005f5f",
	}
}
