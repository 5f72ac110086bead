package tui

import (
	"slices"
	"strings"

	"packetwalk/trace/why"
)

// answerText writes an answer as lines, for the screen and the plain printer.
type answerText struct {
	w words
	a why.Answer
	t why.Text
	// width of the lines; 0 breaks none.
	width int
	// whole leaves commands and the words of other tools unbroken, so that they
	// can be copied.
	whole bool
	// spaced puts an empty line between the parts.
	spaced bool
}

func newAnswerText(w words, a why.Answer, width int) answerText {
	return answerText{w: w, a: a, t: a.Text(w.lang), width: width}
}

// unbroken is a width that no text has.
const unbroken = 1 << 20

func (p answerText) room() int {
	if p.width <= 0 {
		return unbroken
	}
	return p.width
}

// join puts parts below each other.
func (p answerText) join(parts ...[]line) []line {
	var all []line
	for _, lines := range parts {
		if p.spaced && len(all) > 0 && len(lines) > 0 {
			all = append(all, line{})
		}
		all = append(all, lines...)
	}
	return all
}

// headline says whether the target is reachable, and the one thing to blame.
func (p answerText) headline() []line {
	text := choose(p.a.Reachable, p.w.m.Why.Reachable, p.w.m.Why.NotReachable)
	return wrapped(clean(fill(text, "title", p.t.Title)), p.room(), 2, headlineLook(p.a))
}

func headlineLook(a why.Answer) look {
	if a.Reachable {
		return goodLook
	}
	return badLook
}

// asked is the question, and what the request brought.
func (p answerText) asked() []line {
	m, q := p.w.m.Why, p.a.Question
	text := fill(choose(q.From == "", m.AskedAbout, m.Asked), "target", q.Target.String(), "from", q.From, "result", p.result())
	return wrapped(clean(text), p.room(), 2, softLook)
}

// result is what the request brought its sender.
func (p answerText) result() string {
	m, t := p.w.m.Why, p.a.Attempt
	text, known := map[why.Result]string{
		why.Answered: m.Answered, why.Refused: m.Refused, why.Unreachable: m.Unreachable,
		why.Silent: m.Silent, why.Stalled: m.Stalled,
	}[t.Result]
	if !known {
		text = string(t.Result)
	}
	if t.Err != "" {
		text = fill(m.WithError, "result", text, "error", t.Err)
	}
	return text
}

// labelled is a text behind its label: message has the text in braces.
func (p answerText) labelled(message, text string, l look) []line {
	if text == "" {
		return nil
	}
	return wrapSpans([]span{{head(message), softLook}, {clean(text), l}}, p.prose(), 2)
}

// prose is the width of sentences: on the screen, what can be read well.
func (p answerText) prose() int { return choose(p.whole, p.room(), min(p.room(), mostProse)) }

func (p answerText) because() []line { return p.labelled(p.w.m.Why.Because, p.t.Because, plainLook) }

func (p answerText) opens() []line { return p.labelled(p.w.m.Why.Opens, p.t.Opens, plainLook) }

// code is text that is not ours: a command, or a thing in its own tool's words.
func (p answerText) code(text string) []line {
	if p.whole {
		return []line{textLine(codeIndent+clean(text), codeLook)}
	}
	return indented(preformatted([]string{clean(text)}, p.room()-len(codeIndent), codeLook), codeIndent, codeIndent, plainLook)
}

const codeIndent = "    "

// culprit names the thing to blame, and gives its own tool's words for it.
func (p answerText) culprit() []line {
	c := p.a.Culprit
	if c == nil {
		return nil
	}
	m := p.w.m.Why
	text := p.kind(c.Kind)
	if c.Node != "" {
		text = fill(m.CulpritIn, "kind", text, "node", c.Node)
	}
	message := strings.Replace(m.Culprit, "{culprit}", "{text}", 1)
	if place := p.place(*c); place != "" {
		return append(p.labelled(message, text+p.colon()+place, boldLook), p.code(c.Text)...)
	}
	return p.labelled(message, text+p.colon()+c.Text, boldLook)
}

// colon is the one of the language.
func (p answerText) colon() string { return choose(p.w.lang == "zh", "：", ": ") }

func (p answerText) kind(k why.Kind) string {
	m := p.w.m.Why
	text, known := map[why.Kind]string{
		why.Rule: m.Rule, why.Policy: m.Policy, why.Chain: m.Chain, why.NativeRule: m.NativeRule, why.Route: m.Route, why.Choice: m.Choice,
		why.Sysctl: m.Sysctl, why.Socket: m.Socket, why.Neighbor: m.Neighbor, why.Link: m.Link, why.Connection: m.Connection,
	}[k]
	if !known {
		return string(k)
	}
	return text
}

// place is where a culprit of the packet filter stands; empty for all others.
func (p answerText) place(c why.Culprit) string {
	m := p.w.m.Why
	text := ""
	switch c.Kind {
	case why.Rule:
		text = m.RulePlace
	case why.Policy:
		text = m.PolicyPlace
	case why.Chain:
		text = m.ChainPlace
	case why.NativeRule:
		text = choose(c.Handle > 0, m.HandlePlace, m.ChainPlace)
	default:
		return ""
	}
	text = fill(text, "table", string(c.Table), "chain", c.Chain, "rule", itoa(c.Rule), "handle", utoa(c.Handle))
	if c.Variant != "" && c.Kind != why.NativeRule {
		text = fill(m.Iptables, "place", text, "variant", c.Variant)
	}
	return text
}

// unseen lists what could not be seen.
func (p answerText) unseen() []line {
	lines := p.facts(p.unseenFacts(func(f why.Fact) bool { return f.Kind != why.Assumed }))
	if len(lines) == 0 {
		return nil
	}
	return append([]line{textLine(p.w.m.Why.Unseen, softLook)}, lines...)
}

// assumed lists what was assumed of a host that was rebuilt. The facts say so themselves.
func (p answerText) assumed() []line {
	return p.facts(p.unseenFacts(func(f why.Fact) bool { return f.Kind == why.Assumed }))
}

func (p answerText) unseenFacts(is func(why.Fact) bool) []why.Fact {
	return slices.DeleteFunc(slices.Clone(p.a.Unseen), func(f why.Fact) bool { return !is(f) })
}

// facts says each once.
func (p answerText) facts(facts []why.Fact) []line {
	var lines []line
	said := map[string]bool{}
	for _, f := range facts {
		text := clean(f.Text(p.w.lang))
		if said[text] {
			continue
		}
		said[text] = true
		lines = append(lines, indented(wrapped(text, p.room()-4, 0, plainLook), "  - ", "    ", softLook)...)
	}
	return lines
}

// fix is the commands that mend it, with what else they change.
func (p answerText) fix() []line {
	f := p.a.Fix
	if len(f.Commands) == 0 {
		return nil
	}
	m := p.w.m.Why
	lines := wrapped(clean(fill(choose(f.Node == "", m.FixAnywhere, m.Fix), "node", f.Node)), p.room(), 2, softLook)
	for _, c := range f.Commands {
		lines = append(lines, p.code(c)...)
	}
	return append(lines, p.opens()...)
}
