package tui

import (
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

// rulesPanel shows the chain that the packet is in: its rules, its policy, and
// what became of the packet there.
type rulesPanel struct {
	w        words
	rulesets map[string]ruleset.Ruleset
	focused  bool
	// offset is the line scrolled to; follow keeps the packet's line in view instead.
	offset int
	follow bool
}

// The sign before the rule that matched, or the policy that decided.
const matchGlyph = "▶"

// draw draws the panel for the packet at step at of a walk.
func (p rulesPanel) draw(g *grid, r rect, walk trace.Walk, at int) {
	step := walk.Steps[at]
	title := p.w.m.Screen.Rules + " · " + p.chain(step)
	if width(title)+width(step.Node)+12 > r.w {
		title = p.chain(step)
	}
	g.panel(r, title, clean(step.Node), p.focused)
	verdict, body := p.split(r, walk, at)
	y := body.y + body.h
	g.divider(r, y, p.focused)
	lines := p.lines(walk, at, body)
	g.lines(rect{r.x, r.y, r.w, y - r.y + 1}, body, lines, p.scrolled(lines, body.h), p.focused)
	for i, l := range verdict {
		g.text(body.x, y+1+i, l.spans[0].text, l.spans[0].look)
	}
}

// split is the verdict, which stands at the bottom, and the room above it for
// the rules: at least two lines.
func (p rulesPanel) split(r rect, walk trace.Walk, at int) (verdict []line, body rect) {
	body = r.inset(2, 1)
	verdict = p.verdict(walk, at, body.w)
	if most := max(1, body.h-3); len(verdict) > most {
		last := &verdict[most-1].spans[0]
		last.text = fit(pad(last.text, body.w)+ellipsis, body.w)
		verdict = verdict[:most]
	}
	body.h -= len(verdict) + 1
	return verdict, body
}

// extent is the number of lines and the room for them, and the line shown first.
func (p rulesPanel) extent(r rect, walk trace.Walk, at int) (n, h, first int) {
	_, body := p.split(r, walk, at)
	lines := p.lines(walk, at, body)
	return len(lines), body.h, p.scrolled(lines, body.h)
}

// scrolled is the first line shown.
func (p rulesPanel) scrolled(lines []line, h int) int {
	if !p.follow {
		return p.offset
	}
	a, b := -1, 0
	for i, l := range lines {
		if l.here && a < 0 {
			a = i
		}
		if l.here {
			b = i + 1
		}
	}
	if a < 0 {
		return 0
	}
	// The lines around it are what one compares it with.
	return reveal(0, h, max(0, a-1), min(len(lines), b+1))
}

// chain names the chain of a step.
func (p rulesPanel) chain(s trace.Step) string {
	if s.Table == trace.ConntrackTable {
		return p.w.m.Walk.Conntrack + ", " + s.Hook.String()
	}
	return string(s.Table) + "/" + clean(s.Chain)
}

// verdict says what the step did, in its colour.
func (p rulesPanel) verdict(walk trace.Walk, at, w int) []line {
	step := walk.Steps[at]
	l := verdictLook(step)
	return wrapped(matchGlyph+" "+clean(p.w.verdict(walk, at)), w, 2, l)
}

func verdictLook(s trace.Step) look {
	switch {
	case s.Table == trace.ConntrackTable || s.Verdict.Rewrites():
		return changedLook
	case s.Verdict == trace.Accept:
		return goodLook
	case s.Verdict == trace.Drop || s.Verdict == trace.Reject:
		return badLook
	case s.Verdict == trace.Continue && s.Rule == 0:
		return boldLook
	}
	return packetLook
}

// lines are the rules of the step's chain, each wrapped, and how the chain ends.
func (p rulesPanel) lines(walk trace.Walk, at int, body rect) []line {
	s, w := walk.Steps[at], body.w
	if s.Table == trace.ConntrackTable {
		return p.conntrack(s, w)
	}
	rules, known := p.rulesets[s.Node]
	chain, ok := rules.Chain(s.Table, s.Chain)
	switch {
	case !known, !ok && s.Rule > 0:
		return p.unknown(s, w)
	case !ok: // nobody has put a rule into the table yet
		chain = ruleset.Chain{Name: s.Chain, Policy: trace.Accept}
	}
	if changed(chain, s) {
		lines := wrapped(p.w.m.Lesson.RulesChanged, w, 0, softLook)
		return append(lines, ruleLines(s.Rule, len(itoa(s.Rule)), stripChain(s.Text), true, w)...)
	}
	digits := len(itoa(len(chain.Rules)))
	lines := p.called(walk, at, body)
	for i, r := range chain.Rules {
		lines = append(lines, ruleLines(i+1, digits, ruleText(r), s.Rule == i+1, w)...)
	}
	if len(chain.Rules) == 0 {
		lines = append(lines, textLine("  "+p.w.m.Rules.NoRules, softLook))
	}
	return append(lines, p.end(chain, s, w)...)
}

// changed says that a chain no longer has the rule of a step where it was.
func changed(c ruleset.Chain, s trace.Step) bool {
	if s.Rule == 0 || s.Text == "" {
		return false
	}
	return s.Rule > len(c.Rules) || ruleText(c.Rules[s.Rule-1]) != stripChain(s.Text)
}

// called says which rules led into the chain, where there is room for it.
func (p rulesPanel) called(walk trace.Walk, at int, body rect) []line {
	var lines []line
	for _, c := range callers(walk.Steps, at) {
		text := fill(p.w.m.Rules.CalledBy, "table", string(c.Table), "chain", c.Chain, "rule", itoa(c.Rule))
		lines = append(lines, wrapped(clean(text)+"  "+stripChain(c.Text), body.w, 2, softLook)...)
	}
	if len(lines) == 0 || body.h < 8+len(lines) {
		return nil
	}
	return append(lines, line{})
}

// end is how the chain ends for a packet that no rule decided about.
func (p rulesPanel) end(c ruleset.Chain, s trace.Step, w int) []line {
	text := p.w.m.Rules.ReturnsAtEnd
	decided := s.Rule == 0 && s.Verdict == trace.Return
	if c.Base() {
		text = fill(p.w.m.Rules.Policy, "policy", string(c.Policy))
		decided = s.Policy
	}
	sign := "  "
	if decided {
		sign = matchGlyph + " "
	}
	var lines []line
	for i, t := range wrap(text, w-2, 0) {
		lines = append(lines, line{spans: []span{{choose(i == 0, sign, "  ") + t, softLook}}, here: decided})
	}
	return lines
}

// unknown shows what a step alone tells of its chain.
func (p rulesPanel) unknown(s trace.Step, w int) []line {
	if s.Rule == 0 || s.Text == "" {
		return wrapped(p.w.m.Rules.Unknown, w, 0, softLook)
	}
	lines := ruleLines(s.Rule, len(itoa(s.Rule)), stripChain(s.Text), true, w)
	return append(lines, wrapped(p.w.m.Rules.Only, w, 0, softLook)...)
}

// conntrack explains a step of connection tracking, with the rule that it goes back to.
func (p rulesPanel) conntrack(s trace.Step, w int) []line {
	why := wrapped(p.w.m.Rules.Conntrack, w, 0, softLook)
	m := s.Remembered
	if m == nil {
		return why
	}
	chain, _ := p.rulesets[m.Node].Chain(m.Table, m.Chain)
	if m.Rule < 1 || m.Rule > len(chain.Rules) {
		return why
	}
	was := fill(p.w.m.Rules.RuleWas, "node", m.Node, "table", string(m.Table), "chain", m.Chain, "rule", itoa(m.Rule))
	lines := wrapped(clean(was), w, 0, plainLook)
	lines = append(lines, ruleLines(m.Rule, len(itoa(m.Rule)), ruleText(chain.Rules[m.Rule-1]), true, w)...)
	return append(append(lines, line{}), why...)
}

// ruleLines is one rule with its number; the lines that it is continued on
// stand under its text.
func ruleLines(number, digits int, text string, matched bool, w int) []line {
	n := itoa(number)
	sign := choose(matched, matchGlyph, " ")
	head := sign + " " + strings.Repeat(" ", digits-len(n)) + n + "  "
	hang := width(head)
	var lines []line
	for i, t := range wrap(text, w-hang, 0) {
		indent := strings.Repeat(" ", hang)
		if i == 0 {
			indent = head
		}
		lines = append(lines, line{spans: []span{{indent, softLook}, {t, plainLook}}, here: matched})
	}
	return lines
}

// ruleText is a rule without the chain, which the panel's title names.
func ruleText(r ruleset.Rule) string {
	if r.Text != "" {
		return stripChain(r.Text)
	}
	ws := append([]string{}, r.Match...)
	if r.Target != "" {
		ws = append(ws, choose(r.Goto, "-g", "-j"), r.Target)
	}
	return clean(ruleset.Join(append(ws, r.Options...)))
}

// stripChain takes "-A CHAIN" off a rule.
func stripChain(text string) string {
	if rest, ok := strings.CutPrefix(text, "-A "); ok {
		_, rest, _ = strings.Cut(rest, " ")
		return clean(rest)
	}
	return clean(text)
}
