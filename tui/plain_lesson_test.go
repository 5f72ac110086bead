package tui

import (
	"errors"
	"strings"
	"testing"

	"packetwalk/lab"
	"packetwalk/scenarios"
	"packetwalk/scenarios/play"
)

// printSession prints the fixture's lesson as a caller does that plays it.
func printSession(p *Plain) error {
	f := newFixtureSession()
	err := p.Scenario(scenarios.Scenario{Title: both("Publish a container's port", "发布容器端口"), Summary: both("A **published** port is `DNAT`.", "**发布**端口就是 `DNAT`。")})
	for i, s := range f.steps {
		err = errors.Join(err, p.Step(i, len(f.steps), s))
		for _, c := range s.Run {
			r := play.Ran{Command: c, Done: true, Output: f.output[c.Text]}
			if c.Fails {
				r.Exit = 1
			}
			err = errors.Join(err, p.Ran(r))
		}
		if s.Ask != nil {
			err = errors.Join(err, p.Question(*s.Ask))
		}
		for _, w := range f.traffic[i] {
			err = errors.Join(err, p.Walk(w))
		}
		if s.Ask != nil {
			err = errors.Join(err, p.RightAnswer(*s.Ask))
		}
		err = errors.Join(err, p.Results(f.results[i], f.traffic[i]), p.After(s))
		if s.Goal != nil {
			err = errors.Join(err, p.Goal(*s.Goal), p.GoalState(false), p.Hint(*s.Goal, 2), p.Solution(*s.Goal), p.GoalState(true))
		}
	}
	return errors.Join(err, p.Answer(Answer{Request: lab.Client{Protocol: lab.Ping, To: public}.Command(), Err: errors.New("no answer")}), p.Failed(errors.New("the lab is gone")))
}

func TestPlainSession(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		var b strings.Builder
		if err := printSession(&Plain{W: &b, Lang: lang}); err != nil {
			t.Fatal(err)
		}
		golden(t, "session-"+lang, b.String())
	}
}

// TestPlainHostileSession holds what is printed to plain text: no control
// characters, and no line of prose that is too long.
func TestPlainHostileSession(t *testing.T) {
	var b strings.Builder
	p := &Plain{W: &b, Lang: "zh"}
	for i, s := range hostileSteps() {
		err := errors.Join(p.Step(i, 1, s), p.Ran(play.Ran{Command: s.Run[0], Output: "a\x1b[31mb\x07\rc\td", Exit: 2}), p.Question(*s.Ask), p.RightAnswer(*s.Ask), p.Goal(*s.Goal), p.Hint(*s.Goal, 1), p.Solution(*s.Goal))
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range strings.Split(b.String(), "\n") {
		if strings.IndexFunc(l, unsafe) >= 0 {
			t.Errorf("%q holds a control character", l)
		}
		if width(l) > plainWidth && !strings.Contains(l, "xxx") {
			t.Errorf("%q is %d wide", l, width(l))
		}
	}
}
