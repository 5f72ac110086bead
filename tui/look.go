package tui

import (
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"packetwalk/assets"
)

// look is what a cell looks like, by what it means.
type look uint8

const (
	plainLook    look = iota
	boldLook          // names that stand out
	faintLook         // frames, wires, what is off the packet's path
	softLook          // labels
	accentLook        // titles, the focused panel
	packetLook        // the packet itself
	hereLook          // the station, node or rule the packet is at
	passedLook        // the way it has taken
	goodLook          // let through, delivered
	badLook           // dropped, rejected, lost
	changedLook       // rewritten by NAT
	warningLook       // losses, failures
	selectedLook      // the line the cursor is on
	keyLook           // names of keys
	codeLook          // code in a text, and what was typed
	linkLook          // addresses on the web
	strongLook        // what a text stresses
	emphasisLook      // what a text emphasises
	numLooks
)

// palette holds the escape sequence that opens each look. Bubble Tea turns the
// colours into those that the terminal has, or into none with NO_COLOR; bold
// and reverse stay, and no meaning rests on either alone.
type palette struct {
	open [numLooks]string
}

func newPalette(t assets.Theme) *palette {
	fg := func(hex string) ansi.Style { return ansi.NewStyle().ForegroundColor(lipgloss.Color(hex)) }
	styles := [numLooks]ansi.Style{
		plainLook:    nil,
		boldLook:     ansi.NewStyle().Bold(),
		faintLook:    fg(t.Faint),
		softLook:     fg(t.Soft),
		accentLook:   fg(t.Accent).Bold(),
		packetLook:   fg(t.Packet).Bold(),
		hereLook:     fg(t.Packet).BackgroundColor(lipgloss.Color(t.PacketBG)).Bold(),
		passedLook:   fg(t.Passed),
		goodLook:     fg(t.Good).Bold(),
		badLook:      fg(t.Bad).Bold(),
		changedLook:  fg(t.Changed).Bold(),
		warningLook:  fg(t.Warning).Bold(),
		selectedLook: ansi.NewStyle().BackgroundColor(lipgloss.Color(t.SelectBG)).Bold(),
		keyLook:      fg(t.Accent),
		codeLook:     fg(t.Code),
		linkLook:     fg(t.Accent).Underline(true),
		strongLook:   ansi.NewStyle().Bold(),
		emphasisLook: ansi.NewStyle().Italic(true),
	}
	p := &palette{}
	for l, s := range styles {
		if len(s) > 0 {
			p.open[l] = s.String()
		}
	}
	return p
}
