package tui

import (
	"fmt"
	"io"
	"strings"

	"packetwalk/scenarios"
	"packetwalk/scenarios/expect"
	"packetwalk/scenarios/play"
	"packetwalk/trace"
)

// plainWidth is the width of lines of prose. What was typed and printed is not
// broken, so that it can be copied.
const plainWidth = 80

// Scenario prints what a scenario is about.
func (p *Plain) Scenario(s scenarios.Scenario) error {
	return p.write("the scenario", p.prose("", s.Title), p.prose("", s.Summary))
}

// Step prints the title and the text of a step. It counts from 0.
func (p *Plain) Step(i, of int, s scenarios.Step) error {
	w := newWords(p.Lang)
	title := clean(fill(w.m.Plain.StepTitle, "step", itoa(i+1), "steps", itoa(of), "title", s.Title.In(w.lang)))
	return p.write("a step", wrapIndented(title, ""), p.prose("", s.Text))
}

// Ran prints a command that was carried out as it was typed, and what it printed.
func (p *Plain) Ran(r play.Ran) error {
	m := newWords(p.Lang).m.Lesson
	lines := append([]string{typedPlain(r.Command)}, outputLines(r.Output)...)
	if r.Omitted > 0 {
		lines = append(lines, fill(m.Omitted, "n", itoa(int(r.Omitted))))
	}
	if r.Exit != 0 {
		lines = append(lines, fill(choose(r.Fails, m.Meant, m.ExitCode), "code", itoa(r.Exit)))
	}
	return p.write("a command", lines)
}

func typedPlain(c scenarios.Command) string { return promptOf(c.Node) + clean(c.Text) }

// Question prints a question and the answers to choose from.
func (p *Plain) Question(q scenarios.Question) error {
	m := newWords(p.Lang).m.Plain
	lines := p.prose(head(m.Question), q.Text)
	for i, c := range q.Choices {
		lines = append(lines, p.inset(fill(head(m.Choice), "n", itoa(i+1)), c.Text)...)
	}
	return p.write("a question", lines)
}

// RightAnswer prints which answer to a question is right, and why.
func (p *Plain) RightAnswer(q scenarios.Question) error {
	m := newWords(p.Lang).m.Plain
	var lines []string
	for i, c := range q.Choices {
		if c.Right {
			lines = append(lines, p.prose(fill(head(m.RightIs), "n", itoa(i+1)), c.Text)...)
			lines = append(lines, p.inset("", c.Why)...)
		}
	}
	return p.write("the right answer", lines)
}

// Results prints whether expectations hold and, where one does not, why. The
// walks are those that they are about.
func (p *Plain) Results(results []expect.Result, walks []trace.Walk) error {
	if len(results) == 0 {
		return nil
	}
	w := newWords(p.Lang)
	m := w.m.Plain
	lines := []string{m.Results}
	for _, r := range results {
		text := scenarios.Text{w.lang: w.expectation(r.Expectation)}
		lines = append(lines, p.inset(head(choose(r.Holds, m.Holds, m.HoldsNot)), text)...)
		if !r.Holds {
			lines = append(lines, wrapIndented(fill(m.Because, "fault", w.fault(r, walks)), "    ")...)
		}
	}
	return p.write("results", lines)
}

// After prints what a step says once its walks have been seen.
func (p *Plain) After(s scenarios.Step) error { return p.write("a step", p.prose("", s.After)) }

// Goal prints what is to be reached.
func (p *Plain) Goal(g scenarios.Goal) error {
	return p.write("a goal", p.prose(head(newWords(p.Lang).m.Plain.Goal), g.Text))
}

// GoalState prints whether a goal is reached.
func (p *Plain) GoalState(reached bool) error {
	m := newWords(p.Lang).m
	return p.write("a goal", []string{fill(m.Plain.Goal, "text", choose(reached, m.Lesson.Reached, m.Lesson.NotReached))})
}

// Hint prints a hint of a goal. It counts from 0.
func (p *Plain) Hint(g scenarios.Goal, i int) error {
	m := newWords(p.Lang).m.Lesson
	return p.write("a hint", p.prose(fill(head(m.Hint), "n", itoa(i+1)), g.Hints[i]))
}

// Solution prints the commands that reach a goal.
func (p *Plain) Solution(g scenarios.Goal) error {
	if len(g.Solution) == 0 {
		return nil
	}
	lines := []string{newWords(p.Lang).m.Plain.Solution}
	for _, c := range g.Solution {
		lines = append(lines, "  "+typedPlain(c))
	}
	return p.write("a solution", lines)
}

// Failed prints what went wrong in a step.
func (p *Plain) Failed(err error) error {
	return p.write("an error", wrapIndented(fill(newWords(p.Lang).m.Plain.Failed, "error", clean(err.Error())), ""))
}

// head is a message up to its text.
func head(message string) string {
	before, _, _ := strings.Cut(message, "{text}")
	return before
}

// prose is Markdown as plain text, behind a head.
func (p *Plain) prose(head string, t scenarios.Text) []string {
	return p.texts(head, t, plainWidth)
}

// inset is prose that is indented.
func (p *Plain) inset(head string, t scenarios.Text) []string {
	lines := p.texts(head, t, plainWidth-2)
	for i, l := range lines {
		if l != "" {
			lines[i] = "  " + l
		}
	}
	return lines
}

func (p *Plain) texts(head string, t scenarios.Text, w int) []string {
	source := t.In(newWords(p.Lang).lang)
	if source == "" && head == "" {
		return nil
	}
	var lines []string
	for _, l := range newMarkdown(source, true).headed(head, w) {
		lines = append(lines, lineText(l))
	}
	return lines
}

func wrapIndented(s, indent string) []string {
	lines := wrap(s, plainWidth-len(indent), 0)
	for i, l := range lines {
		lines[i] = indent + l
	}
	return lines
}

// write prints blocks of lines, each between empty lines.
func (p *Plain) write(what string, blocks ...[]string) error {
	var b strings.Builder
	for _, lines := range blocks {
		if len(lines) == 0 {
			continue
		}
		b.WriteString(choose(p.joined, "\n", "") + strings.Join(lines, "\n") + "\n\n")
		p.joined = false
	}
	if _, err := io.WriteString(p.W, b.String()); err != nil {
		return fmt.Errorf("printing %s: %w", what, err)
	}
	return nil
}
