package tui

import (
	"strings"

	"packetwalk/lab"
	"packetwalk/trace"
)

// drawHeader writes the title, and how far the player is.
func (m *model) drawHeader(g *grid, r rect) {
	if r.h >= bannerHeight {
		m.drawBanner(g, r)
		return
	}
	var right []span
	switch {
	case m.inquiry != nil && m.player.current < 0: // nothing is played
	case m.stageShown():
		right = m.playback()
	case m.lesson != nil:
		right = m.stepOf()
	}
	x := r.x + r.w - 1 - spansWidth(right)
	end := g.text(r.x+1, r.y, "packetwalk", accentLook)
	if title := fit(clean(m.cfg.Title), x-end-5); title != "" {
		end = g.text(end, r.y, " · ", faintLook)
		g.text(end, r.y, title, boldLook)
	}
	g.spans(x, r.y, right)
}

// playback is the player's place and pace.
func (m *model) playback() []span {
	s := m.w.m.Screen
	var out []span
	if w, ok := m.player.walk(); ok {
		out = append(out,
			span{fill(s.WalkOf, "walk", itoa(max(1, m.player.current+1-m.listed())), "walks", itoa(len(m.player.walks)-m.listed())), softLook},
			span{" · ", faintLook},
			span{fill(s.StepOf, "step", itoa(m.player.step+1), "steps", itoa(len(w.Steps))), softLook},
			span{" · ", faintLook})
	}
	switch {
	case m.player.paused:
		out = append(out, span{"‖ " + s.Paused, packetLook})
	case m.player.finished():
		out = append(out, span{"■ " + s.Finished, softLook})
	default:
		out = append(out, span{"▶ " + s.Playing, goodLook})
	}
	return append(out, span{" " + speedNames[m.player.speed], boldLook})
}

// stepOf is the way through the lesson, a dot for every step.
func (m *model) stepOf() []span {
	n, at := len(m.lesson.steps), m.lesson.state.Step
	if n == 0 {
		return nil
	}
	out := []span{{fill(m.w.m.Lesson.Step, "step", itoa(at+1), "steps", itoa(n)) + " ", softLook}}
	if n > 20 {
		return out
	}
	done, rest := max(0, min(at, n-1)), max(0, n-at-1)
	return append(out, span{strings.Repeat("●", done), passedLook}, span{"◉", packetLook}, span{strings.Repeat("○", rest), faintLook})
}

// drawStatus says what the program is about, and what went wrong.
func (m *model) drawStatus(g *grid, r rect) {
	text, l := m.status()
	room := r.w - 2
	if missing := m.missing(); missing != "" {
		missing = fit("⚠ "+missing, room)
		g.text(r.x+r.w-1-width(missing), r.y, missing, warningLook)
		room = max(0, room-width(missing)-2)
	}
	g.text(r.x+1, r.y, fit(clean(text), room), l)
}

// missing says what is not shown.
func (m *model) missing() string {
	var parts []string
	if m.losses > 0 {
		parts = append(parts, fill(m.w.m.Screen.Losses, "n", utoa(m.losses)))
	}
	if m.leftOut > 0 {
		parts = append(parts, fill(m.w.m.Screen.LeftOut, "n", utoa(m.leftOut), "rate", itoa(m.cfg.Rate)))
	}
	return strings.Join(parts, " · ")
}

func (m *model) status() (string, look) {
	if m.lesson != nil {
		if text, l := m.lessonStatus(); text != "" {
			return text, l
		}
	}
	if m.inquiry != nil {
		if text, l := m.whyStatus(); text != "" {
			return text, l
		}
	}
	s := m.w.m.Screen
	w, played := m.player.walk()
	switch {
	case m.sending:
		return fill(s.Sending, "request", m.cfg.Request), packetLook
	case m.sendErr != nil:
		return "✗ " + fill(s.Failed, "error", m.sendErr.Error()), badLook
	case !played:
		return m.waiting(), softLook
	case atEnd(w, m.player.step):
		return outcomeSign(w.Outcome) + " " + m.w.outcome(w), outcomeLook(w.Outcome)
	case m.cfg.Request != "":
		return fill(s.Request, "request", m.cfg.Request), softLook
	}
	return "", softLook
}

// waiting says what goes on before the first walk.
func (m *model) waiting() string {
	s := m.w.m.Screen
	switch {
	case m.inquiry != nil:
		return m.noWalks()
	case m.ended:
		return s.Ended
	case m.lesson != nil && len(m.lesson.steps) > 0 && len(m.lesson.step().Send) == 0:
		return "" // nothing is sent in this step
	case m.cfg.Request != "":
		return fill(s.WaitingFor, "request", m.cfg.Request)
	}
	return s.Waiting
}

// drawFooter writes the hints for which there is room, the weightiest at least.
func (m *model) drawFooter(g *grid, r rect) {
	hs := enabled(m.hints())
	for hintsWidth(hs) > r.w-2 && len(hs) > 1 {
		least := 0
		for i, h := range hs {
			if h.weight < hs[least].weight {
				least = i
			}
		}
		hs = append(hs[:least], hs[least+1:]...)
	}
	x := r.x + 1
	for _, h := range hs {
		x = g.text(x, r.y, h.name(), keyLook)
		x = g.text(x, r.y, " "+h.does, softLook) + 2
	}
}

// hints are the footer's: those of a lesson, and those of the stage.
func (m *model) hints() []hint {
	stage := m.keys.hints(m.w.m.Keys, m.focused(), m.pauseHint())
	switch {
	case m.inquiry != nil:
		return m.whyHints()
	case m.lesson == nil:
		return stage
	case m.lesson.remote:
		return m.lessonHints()
	case !m.stageShown():
		return append(m.lessonHints(), stage[len(stage)-2:]...) // help and quit
	}
	return append(m.lessonHints(), stage...)
}

// pauseHint is what the pause key does now.
func (m *model) pauseHint() string {
	k := m.w.m.Keys
	switch {
	case m.player.finished():
		return k.AgainShort
	case m.player.paused:
		return k.GoOnShort
	}
	return k.PauseShort
}

func hintsWidth(hs []hint) int {
	n := -2
	for _, h := range hs {
		n += width(h.name()) + 1 + width(h.does) + 2
	}
	return n
}

// node is the node that the stage shows: before the first walk the host.
func (m *model) node() string {
	if w, ok := m.player.walk(); ok {
		return w.Steps[m.player.step].Node
	}
	return m.host()
}

// host is the first host among the nodes or, where there is none, the first node.
func (m *model) host() string {
	for _, n := range m.cfg.Topology.Nodes {
		if n.Kind == lab.Host {
			return n.Name
		}
	}
	if ns := m.cfg.Topology.Nodes; len(ns) > 0 {
		return ns[0].Name
	}
	return ""
}

// progress is what the stage draws; nil before the first walk.
func (m *model) progress() *progress {
	w, ok := m.player.walk()
	if !ok {
		return nil
	}
	return newProgress(w, m.player.step)
}

// walkOrNone is the walk being played, or one without steps.
func (m *model) walkOrNone() trace.Walk {
	w, _ := m.player.walk()
	return w
}
