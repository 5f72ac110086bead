package main

import (
	"errors"

	"packetwalk/scenarios"
	"packetwalk/scenarios/expect"
	"packetwalk/scenarios/play"
	"packetwalk/trace"
)

// jsonTeller prints a scenario with steps as JSON, one object a line;
// docs/json.md describes them.
type jsonTeller struct {
	jsonPrinter
	scenario scenarios.Scenario
	lang     string
}

func (t jsonTeller) Step(n int, s scenarios.Step) error {
	return t.Encode(struct {
		Type  string `json:"type"`
		Step  int    `json:"step"`
		Steps int    `json:"steps"`
		Name  string `json:"name"`
		Title string `json:"title"`
		Text  string `json:"text"`
	}{"step", n + 1, len(t.scenario.Steps), s.Name, s.Title.In(t.lang), s.Text.In(t.lang)})
}

func (t jsonTeller) Ran(r play.Ran) error {
	return t.Encode(commandJSON{"command", r.Node, r.Text, r.By.String(), r.Output, r.Exit})
}

// commandJSON is a command that was run, by a scenario, its solution or a fix.
type commandJSON struct {
	Type    string `json:"type"`
	Node    string `json:"node"`
	Command string `json:"command"`
	By      string `json:"by"`
	Output  string `json:"output"`
	Exit    int    `json:"exit"`
}

type choiceJSON struct {
	Text  string `json:"text"`
	Right bool   `json:"right"`
	Why   string `json:"why,omitempty"`
}

func (t jsonTeller) Question(q scenarios.Question) error {
	choices := make([]choiceJSON, len(q.Choices))
	for i, c := range q.Choices {
		choices[i] = choiceJSON{c.Text.In(t.lang), c.Right, c.Why.In(t.lang)}
	}
	return t.Encode(struct {
		Type    string       `json:"type"`
		Text    string       `json:"text"`
		Choices []choiceJSON `json:"choices"`
	}{"question", q.Text.In(t.lang), choices})
}

func (t jsonTeller) Walk(w trace.Walk) error { return t.walk(w) }

func (t jsonTeller) Traffic(sent play.Traffic, out play.Outcome) error {
	return errors.Join(t.answers(sent, out), t.results(out.Results, false))
}

func (t jsonTeller) answers(sent play.Traffic, out play.Outcome) error {
	var errs error
	for _, name := range sent.Send {
		for _, c := range t.scenario.Topology.Clients {
			if c.Name == name {
				errs = errors.Join(errs, t.answer(c, out.Answers[name].Response, out.Answers[name].Err))
			}
		}
	}
	return errs
}

func (t jsonTeller) results(results []expect.Result, goal bool) error {
	var errs error
	for _, r := range results {
		errs = errors.Join(errs, t.Encode(struct {
			Type  string `json:"type"`
			Goal  bool   `json:"goal"`
			Text  string `json:"text"`
			Holds bool   `json:"holds"`
			Fault string `json:"fault,omitempty"`
			Walk  int    `json:"walk,omitempty"`
		}{"check", goal, r.Expectation.Text.In(t.lang), r.Holds, string(r.Fault), r.Walk}))
	}
	return errs
}

func (t jsonTeller) After(s scenarios.Step) error {
	return t.text("after", s.After.In(t.lang))
}

func (t jsonTeller) Goal(g scenarios.Goal) error {
	return t.text("goal", g.Text.In(t.lang))
}

// text prints an object that is only a text, if there is one.
func (t jsonTeller) text(kind, text string) error {
	if text == "" {
		return nil
	}
	return t.Encode(struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}{kind, text})
}

func (t jsonTeller) Checked(_ scenarios.Goal, sent play.Traffic, out play.Outcome) error {
	return errors.Join(t.answers(sent, out), t.results(out.Results, true))
}
