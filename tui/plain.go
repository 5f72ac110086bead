package tui

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"packetwalk/trace"
	passedover "packetwalk/trace/passed"
)

// Plain prints walks as labelled lines, append-only: for pipes, for terminals
// that cannot be drawn on, and for screen readers.
type Plain struct {
	W    io.Writer
	Lang string
	// Over finds the rules that a walk passed over, to be printed too. Nil for none.
	Over func(trace.Walk) []passedover.Passed
	// Width is that of the terminal that W is, in columns; 0 where it is none.
	// Answers are wrapped to it.
	Width int
	// joined says that what is printed next would stand right below the last line.
	joined bool
}

// Walk prints a finished walk: a line about the packet, a line for every step,
// and a line about how it ended.
func (p *Plain) Walk(w trace.Walk) error {
	words := newWords(p.Lang)
	m := words.m.Plain
	var b strings.Builder
	direction := words.direction(w.Direction)
	if direction == "" {
		direction = "?"
	}
	b.WriteString(fill(m.Walk, "id", itoa(w.ID), "flow", itoa(w.Flow), "direction", direction,
		"packet", words.packet(w.Packet), "src", named(w, w.Packet.Src), "dst", named(w, w.Packet.Dst)) + "\n")
	if w.Answers > 0 {
		b.WriteString("  " + fill(m.Answers, "walk", itoa(w.Answers)) + "\n")
	}
	p.steps(&b, words, w)
	b.WriteString("  " + clean(fill(m.Outcome, "outcome", words.outcome(w))) + "\n")
	if _, err := io.WriteString(p.W, b.String()); err != nil {
		return fmt.Errorf("printing walk %d: %w", w.ID, err)
	}
	p.joined = true
	return nil
}

// Answer is what a request brought.
type Answer struct {
	Request string // in words, as one would type it
	Status  int    // of HTTP; 0 for other protocols
	Bytes   int    // size of the answer's content
	RTT     time.Duration
	Err     error // why there was no answer
}

// Answer prints what the request brought.
func (p *Plain) Answer(a Answer) error {
	m := newWords(p.Lang).m.Plain
	text := m.Answered
	switch {
	case a.Err != nil:
		text = fill(m.NoAnswer, "error", a.Err.Error())
	case a.Status != 0:
		text = fill(m.Status, "status", itoa(a.Status))
	}
	return p.line(fill(text, "request", a.Request, "bytes", itoa(a.Bytes), "rtt", a.RTT.Round(time.Microsecond).String()))
}

// Lost prints how many events were lost, if any were.
func (p *Plain) Lost(n uint64) error {
	if n == 0 {
		return nil
	}
	return p.line(fill(newWords(p.Lang).m.Plain.Lost, "lost", strconv.FormatUint(n, 10)))
}

// LeftOut prints how many packets were not followed so far because more than rate
// walks would have begun in a second, if any were.
func (p *Plain) LeftOut(n uint64, rate int) error {
	if n == 0 {
		return nil
	}
	return p.line(fill(newWords(p.Lang).m.Plain.LeftOut, "left", strconv.FormatUint(n, 10), "rate", itoa(rate)))
}

func (p *Plain) line(text string) error {
	p.joined = true
	_, err := io.WriteString(p.W, clean(text)+"\n")
	return err
}

// steps writes the steps in columns: where, which rule, and what it did. The
// rule's text comes last, since it is the longest.
func (p *Plain) steps(b *strings.Builder, words words, w trace.Walk) {
	var rows [][]string
	both := bothVariants(w.Steps)
	for i, s := range w.Steps {
		rows = append(rows, []string{
			fill(words.m.Plain.Step, "step", itoa(i+1)), clean(s.Node), s.Hook.String(), stepPlace(words, s, both),
		})
	}
	widths := make([]int, 4)
	for _, r := range rows {
		for i, cell := range r {
			widths[i] = max(widths[i], width(cell))
		}
	}
	var over []passedover.Passed
	if p.Over != nil {
		over = p.Over(w)
	}
	for i, r := range rows {
		for ; len(over) > 0 && over[0].Before <= i; over = over[1:] {
			b.WriteString("    " + passedOver(words, over[0]) + "\n")
		}
		b.WriteString(" ")
		for j, cell := range r {
			b.WriteString(" " + pad(cell, widths[j]))
		}
		b.WriteString("  " + clean(words.verdict(w, i)))
		if text := w.Steps[i].Text; text != "" {
			b.WriteString("  (" + clean(text) + ")")
		}
		b.WriteString("\n")
	}
}

// passedOver says that a rule did not match and, where that is known, why.
func passedOver(words words, p passedover.Passed) string {
	m := words.m.Plain
	text := m.NotMatched
	if p.Why.Known() {
		text = m.NotMatchedWhy
		if p.Why.Have == "" {
			text = m.NotMatchedNone
		}
	}
	return clean(fill(text, "node", p.Node, "table", string(p.Table), "chain", p.Chain, "rule", itoa(p.Rule),
		"match", strings.Join(p.Why.Match, " "), "have", p.Why.Have, "text", p.Text))
}

// bothVariants says whether steps stand in tables of both variants of iptables.
func bothVariants(steps []trace.Step) bool {
	seen := map[trace.Variant]bool{}
	for _, s := range steps {
		if s.Table != trace.ConntrackTable {
			seen[s.Variant] = true
		}
	}
	return len(seen) > 1
}

// stepPlace names a step's chain and rule: "nat/DOCKER rule 2".
// Where the packet met the tables of both variants of iptables, it says which.
func stepPlace(words words, s trace.Step, both bool) string {
	m := words.m.Plain
	if s.Table == trace.ConntrackTable {
		return m.Conntrack
	}
	place := string(s.Table) + "/" + clean(s.Chain) + " "
	if both {
		place = s.Variant.String() + " " + place
	}
	switch {
	case s.Rule > 0:
		return place + fill(m.Rule, "rule", itoa(s.Rule))
	case s.Policy:
		return place + m.Policy
	}
	return strings.TrimRight(place+choose(s.Verdict == trace.Continue, m.Entered, ""), " ")
}
