package main

import (
	"errors"

	"packetwalk/scenarios"
	"packetwalk/scenarios/expect"
	"packetwalk/scenarios/play"
	"packetwalk/trace"
	"packetwalk/tui"
)

// plainTeller prints a scenario with steps as plain text.
type plainTeller struct {
	*tui.Plain
	scenario scenarios.Scenario
	answer   bool // solutions are printed

	question *scenarios.Question // of this step, until its answer was printed
	walks    []trace.Walk        // of this step
}

func (t *plainTeller) Step(n int, s scenarios.Step) error {
	t.question, t.walks = nil, nil
	var err error
	if n == 0 {
		err = t.Plain.Scenario(t.scenario)
	}
	return errors.Join(err, t.Plain.Step(n, len(t.scenario.Steps), s))
}

// Ran leaves solutions out that nobody has asked for.
func (t *plainTeller) Ran(r play.Ran) error {
	if r.By == play.BySolution && !t.answer {
		return nil
	}
	return t.Plain.Ran(r)
}

func (t *plainTeller) Question(q scenarios.Question) error {
	t.question = &q
	return t.Plain.Question(q)
}

func (t *plainTeller) Walk(w trace.Walk) error {
	t.walks = append(t.walks, w)
	return t.Plain.Walk(w)
}

func (t *plainTeller) Traffic(sent play.Traffic, out play.Outcome) error {
	err := t.answers(sent, out)
	if t.question != nil {
		err = errors.Join(err, t.RightAnswer(*t.question))
		t.question = nil
	}
	return errors.Join(err, t.results(out.Results))
}

func (t *plainTeller) answers(sent play.Traffic, out play.Outcome) error {
	var errs error
	for _, name := range sent.Send {
		for _, c := range t.scenario.Topology.Clients {
			if c.Name == name {
				errs = errors.Join(errs, plainPrinter{t.Plain}.answer(c, out.Answers[name].Response, out.Answers[name].Err))
			}
		}
	}
	return errs
}

func (t *plainTeller) results(results []expect.Result) error { return t.Results(results, t.walks) }

func (t *plainTeller) Checked(_ scenarios.Goal, sent play.Traffic, out play.Outcome) error {
	return errors.Join(t.answers(sent, out), t.results(out.Results), t.GoalState(out.Reached()))
}
