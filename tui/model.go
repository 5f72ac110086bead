package tui

import (
	"context"
	"slices"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"packetwalk/assets"
	"packetwalk/lab"
	"packetwalk/scenarios"
	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

// Config is what the program shows and can do.
type Config struct {
	// Title and Intro name and describe the scenario in the user's language.
	// Intro may be empty.
	Title string
	Intro string
	// Lang is the language, as assets.For takes it.
	Lang     string
	Topology lab.Topology
	// Rulesets are the rules of each node by its name, without probes. What is
	// missing here is shown as far as the walks tell it.
	Rulesets map[string]ruleset.Ruleset
	// Variant tells the order of the tables. It need not be set where a walk
	// through INPUT shows it.
	Variant trace.Variant
	// Walks sends snapshots: a walk is sent again whenever it grew, and replaces
	// the one of the same ID. Closed when no more will come.
	Walks <-chan trace.Walk
	// Send sends the request: once at the start, and again whenever the user
	// asks for it. It may block, and must return when its
	// context ends. Nil where there is nothing to send.
	Send func(ctx context.Context) error
	// Request is the request in words, such as "curl http://192.168.23.149/".
	Request string
	// Losses counts the events lost so far. May be nil.
	Losses func() uint64
	// LeftOut counts the packets that were not followed so far because more walks
	// would have begun than Rate allows a second. May be nil.
	LeftOut func() uint64
	Rate    int

	// Session is the scenario being played, and Steps its steps. It sends walks,
	// requests, topology and rulesets, so Walks and Send are not used. Nil where
	// there is nothing but walks to show.
	Session Session
	Steps   []scenarios.Step
	// Shell makes a shell in a node that takes the terminal over. May be nil.
	Shell func(node string) tea.ExecCommand
	// Remote says that a teacher leads through the lesson with a clicker: space
	// and PageDown go on, b and PageUp go back.
	Remote bool
}

// focus is the panel that the scroll keys go to.
type focus uint8

const (
	onRules focus = iota
	onPacket
	onWalks
	onCard // the lesson's, or the answer
	numFocus
)

// model is the whole state of the program.
type model struct {
	cfg           Config
	w             words
	keys          keyMap
	palette       *palette
	width, height int

	// lesson is nil where there is no session, inquiry where nothing is asked.
	lesson  *lesson
	inquiry *inquiry

	player player
	// generation numbers the ticks: one of another generation is from a clock
	// that was stopped. ticking says that a tick of this generation is to come.
	generation int
	ticking    bool

	focus focus
	// rules is the scrolled rules panel; it follows the packet until moved.
	rules struct {
		offset int
		moved  bool
	}
	packetOffset int
	cursor       int // in the list of walks; follows the player unless focused
	help         bool
	helpOffset   int

	// send asks for the request to be sent, without waiting for it.
	send    func()
	sending bool
	sendErr error
	losses  uint64
	leftOut uint64
	ended   bool // no more walks will come
}

// The messages that Run sends to the model.
type (
	// walksMsg brings walks that are new or grew.
	walksMsg struct{ walks []trace.Walk }
	// endedMsg says that no more walks will come.
	endedMsg struct{}
	// sentMsg says how sending went.
	sentMsg struct{ err error }
	// lossesMsg is the number of events lost so far.
	lossesMsg uint64
	// leftOutMsg is the number of packets left out so far.
	leftOutMsg uint64
	// tickMsg is the player's clock.
	tickMsg struct{ generation int }
)

func newModel(c Config, send func()) *model {
	w := newWords(c.Lang)
	w.variant = c.Variant
	m := &model{cfg: c, w: w, palette: newPalette(assets.ThemeFor(true)), player: newPlayer(), send: send, lesson: newLesson(c)}
	if len(c.Steps) > 0 {
		m.focus = onCard
	}
	m.bindKeys()
	return m
}

// bindKeys binds the keys that are of use.
func (m *model) bindKeys() {
	m.keys = newKeyMap(m.w.m.Keys, m.send != nil)
	if m.lesson != nil {
		m.keys = m.keys.forLesson(m.w.m, m.lesson.remote)
	}
	if m.inquiry != nil {
		m.keys = m.keys.forWhy(m.w.m, m.inquiry.cfg.Fix != nil)
	}
}

// Init asks the terminal for its background, which decides the colours, and
// sends the first request, or asks what is asked.
func (m *model) Init() tea.Cmd {
	if m.inquiry != nil {
		return tea.Batch(tea.RequestBackgroundColor, m.ask(askingFirst))
	}
	return tea.Batch(tea.RequestBackgroundColor, m.request())
}

// Update takes one message in. It does no I/O.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if _, tick := msg.(tickMsg); m.lesson != nil && !tick {
		// At the end, since a key may look at the card before it changes something.
		defer m.lesson.card.stale()
	}
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
		return m, m.resume()
	case tea.BackgroundColorMsg:
		m.palette = newPalette(assets.ThemeFor(msg.IsDark()))
	case walksMsg:
		return m, m.take(msg.walks)
	case playMsg:
		return m, tea.Batch(m.take(msg.walks), m.learn(msg.state))
	case shellMsg:
		m.shellEnded(msg)
	case tea.PasteMsg:
		if m.lesson != nil && m.lesson.prompt.asks == asksCommand {
			m.lesson.prompt.input, _ = m.lesson.prompt.input.Update(msg)
		}
	case endedMsg:
		m.ended = true
	case lossesMsg:
		m.losses = uint64(msg)
	case leftOutMsg:
		m.leftOut = uint64(msg)
	case sentMsg:
		m.sending, m.sendErr = false, msg.err
	case tickMsg:
		return m, m.tick(msg)
	case answeredMsg, runningMsg, ranMsg, fixedMsg:
		return m, m.inquire(msg)
	case tea.KeyPressMsg:
		return m, m.press(msg)
	}
	return m, nil
}

// take brings walks to the player. A clock that runs is left alone, so that
// walks coming in quickly do not hold it up.
func (m *model) take(walks []trace.Walk) tea.Cmd {
	for _, w := range walks {
		m.player.take(w)
		m.w.variant = variantOf(w, m.w.variant)
	}
	m.cursor = max(0, m.cursor-m.player.forget())
	m.followCursor()
	if m.lesson != nil {
		return m.settle()
	}
	return m.resume()
}

// resume starts the clock, unless it runs already.
func (m *model) resume() tea.Cmd {
	if m.ticking && m.stageShown() {
		return nil
	}
	return m.schedule()
}

func (m *model) tick(msg tickMsg) tea.Cmd {
	if msg.generation != m.generation {
		return nil
	}
	current, step := m.player.current, m.player.step
	m.player.tick()
	if m.player.current != current || m.player.step != step {
		m.unscroll()
	}
	if m.lesson != nil && m.atEnd() {
		m.settle()
	}
	return m.schedule()
}

// schedule starts the clock for the player's next change, if there is one, and
// stops the one before.
func (m *model) schedule() tea.Cmd {
	m.generation++
	d, ok := m.player.wait()
	ok = ok && m.stageShown()
	m.ticking = ok
	if !ok {
		return nil
	}
	generation := m.generation
	return tea.Tick(d, func(time.Time) tea.Msg { return tickMsg{generation} })
}

// unscroll lets the panels follow the packet again.
func (m *model) unscroll() {
	m.rules.moved, m.rules.offset, m.packetOffset = false, 0, 0
	m.followCursor()
}

func (m *model) followCursor() {
	if m.focused() != onWalks {
		m.cursor = max(m.listed(), m.player.current)
	}
	m.cursor = max(m.cursor, m.listed())
}

// listed is the index of the first walk that is listed: in a lesson those of
// the newest traffic are, unless the user asks for the others.
func (m *model) listed() int {
	if m.lesson == nil || m.lesson.older {
		return 0
	}
	return m.player.firstIndex()
}

// press dispatches a key.
func (m *model) press(msg tea.KeyPressMsg) tea.Cmd {
	k := m.keys
	if m.lesson != nil {
		m.lesson.note = ""
		if m.lesson.prompt.asks != asksNothing {
			return m.promptKey(msg)
		}
		if cmd, ok := m.lessonKey(msg); ok {
			return cmd
		}
	}
	if m.inquiry != nil {
		if cmd, ok := m.whyKey(msg); ok {
			return cmd
		}
	}
	switch {
	case key.Matches(msg, k.Quit):
		return tea.Quit
	case key.Matches(msg, k.Help):
		m.help, m.helpOffset = !m.help, 0
	case key.Matches(msg, k.Close):
		m.help = false
	case key.Matches(msg, k.Next):
		m.refocus(1)
	case key.Matches(msg, k.Previous):
		m.refocus(-1)
	case key.Matches(msg, k.Send):
		return m.request()
	default:
		if by, ok := m.scrollKey(msg); ok {
			m.scroll(by)
			return nil
		}
		return m.play(msg)
	}
	return nil
}

// play dispatches the keys of the player.
func (m *model) play(msg tea.KeyPressMsg) tea.Cmd {
	p, k := &m.player, m.keys
	switch {
	case key.Matches(msg, k.Pause):
		p.toggle()
	case key.Matches(msg, k.Left):
		p.back()
	case key.Matches(msg, k.Right):
		p.forward()
	case key.Matches(msg, k.Faster):
		p.faster()
	case key.Matches(msg, k.Slower):
		p.slower()
	case key.Matches(msg, k.Open) && m.focused() == onWalks && !m.help && m.cursor < len(p.walks):
		p.open(m.cursor)
		p.paused = false
	default:
		return nil
	}
	if !key.Matches(msg, k.Faster, k.Slower) {
		m.unscroll()
	}
	if m.lesson != nil {
		m.settle()
	}
	return m.schedule()
}

// panels are those that can have the focus, in their order.
func (m *model) panels() []focus {
	switch m.place() {
	case instead:
		return []focus{onCard}
	case beside:
		return []focus{onCard, onRules, onPacket, onWalks}
	}
	return []focus{onRules, onPacket, onWalks}
}

// focused is the panel that has the focus: the first where the one that had it
// is not shown.
func (m *model) focused() focus {
	panels := m.panels()
	if slices.Contains(panels, m.focus) {
		return m.focus
	}
	return panels[0]
}

func (m *model) refocus(by int) {
	if m.help {
		return
	}
	panels := m.panels()
	m.focus = panels[(slices.Index(panels, m.focused())+by+len(panels))%len(panels)]
	m.followCursor()
}

// request sends the request, one at a time.
func (m *model) request() tea.Cmd {
	if m.sending || m.send == nil {
		return nil
	}
	m.sending, m.sendErr = true, nil
	send := m.send
	return func() tea.Msg {
		send()
		return nil
	}
}
