package tui

import (
	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"
)

// scrolling is a movement within a panel: lines, pages, or to one of its ends.
type scrolling struct{ lines, pages, ends int }

// scrollKey tells whether a key scrolls, and how.
func (m *model) scrollKey(msg tea.KeyPressMsg) (scrolling, bool) {
	k := m.keys
	switch {
	case key.Matches(msg, k.Up):
		return scrolling{lines: -1}, true
	case key.Matches(msg, k.Down):
		return scrolling{lines: 1}, true
	case key.Matches(msg, k.PageUp):
		return scrolling{pages: -1}, true
	case key.Matches(msg, k.PageDown):
		return scrolling{pages: 1}, true
	case key.Matches(msg, k.Home):
		return scrolling{ends: -1}, true
	case key.Matches(msg, k.End):
		return scrolling{ends: 1}, true
	}
	return scrolling{}, false
}

// of is the new position among n, of which h can be seen at once.
func (s scrolling) of(at, n, h int) int {
	at += s.lines + s.pages*max(1, h-1) + s.ends*n
	return max(0, min(at, n-1))
}

// offset is as of, for the first line shown.
func (s scrolling) offset(at, n, h int) int { return max(0, min(s.of(at, n, h), n-h)) }

// scroll moves within the help overlay or the focused panel.
func (m *model) scroll(by scrolling) {
	if !m.bigEnough() {
		return
	}
	l, w := m.layout(), m.walkOrNone()
	switch {
	case m.help:
		inner := helpBox(m.width, m.height).inset(2, 1)
		m.helpOffset = by.offset(m.helpOffset, len(m.helpLines(inner.w)), inner.h)
	case m.inquiry != nil && m.inquiry.asksFix:
		box, lines := m.fixBox()
		m.inquiry.fixOffset = by.offset(m.inquiry.fixOffset, len(lines), box.inset(2, 1).h)
	case m.inquiry != nil && m.focused() == onCard:
		n, h := m.answerPanel().extent(l.lesson)
		m.inquiry.offset = by.offset(m.inquiry.offset, n, h)
	case m.focused() == onCard:
		n, h, first := m.cardPanel().extent(l.lesson)
		m.lesson.card.scrollTo(by.offset(first, n, h))
	case len(w.Steps) == 0:
		inner := l.rules.inset(2, 1)
		m.rules.offset = by.offset(m.rules.offset, len(m.introLines(inner.w)), inner.h)
	case m.focused() == onRules:
		n, h, first := m.rulesPanel().extent(l.rules, w, m.player.step)
		m.rules.offset, m.rules.moved = by.offset(first, n, h), true
	case m.focused() == onPacket:
		n, h := m.packetPanel().extent(l.packet, w, m.player.step)
		m.packetOffset = by.offset(m.packetOffset, n, h)
	case m.focused() == onWalks:
		m.cursor = max(m.listed(), by.of(m.cursor, len(m.player.walks), m.walksPanel().page(l.walks)))
	}
}
