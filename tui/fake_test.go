package tui

import (
	"errors"
	"slices"
	"time"

	"packetwalk/lab"
	"packetwalk/scenarios"
	"packetwalk/scenarios/expect"
	"packetwalk/scenarios/play"
	"packetwalk/trace"
)

// fakeSession plays a scenario without a lab: its walks are the fixture's, and
// a goal is reached by a command of its solution.
type fakeSession struct {
	steps  []scenarios.Step
	state  play.State
	states chan play.State
	walks  chan trace.Walk
	// traffic is what each step's requests bring, results what is made of it.
	traffic map[int][]trace.Walk
	results map[int][]expect.Result
	output  map[string]string
	nextID  int
	asked   []play.Action
	// slow has the traffic end only when the test says so.
	slow bool
}

func newFakeSession(steps []scenarios.Step) *fakeSession {
	f := &fakeSession{steps: steps, states: make(chan play.State, 1000), walks: make(chan trace.Walk, 1000), nextID: 1,
		traffic: map[int][]trace.Walk{}, results: map[int][]expect.Result{}, output: map[string]string{}}
	f.state = play.State{Choice: -1, Topology: fixtureTopology(), Phase: play.Preparing}
	return f
}

func (f *fakeSession) States() <-chan play.State { return f.states }
func (f *fakeSession) Walks() <-chan trace.Walk  { return f.walks }

func (f *fakeSession) emit() {
	s := f.state
	s.Ran, s.Results, s.Goal = slices.Clone(s.Ran), slices.Clone(s.Results), slices.Clone(s.Goal)
	f.states <- s
}

// begin enters a step.
func (f *fakeSession) begin(i int) {
	f.state = play.State{Step: i, Choice: -1, Topology: f.state.Topology, Rulesets: f.state.Rulesets, Phase: play.Running, FirstWalk: f.state.FirstWalk}
	for _, c := range f.steps[i].Run {
		f.run(c, play.ByScenario)
	}
	f.state.Phase = play.Reading
	f.emit()
}

func (f *fakeSession) run(c scenarios.Command, by play.Author) {
	f.state.Ran = append(f.state.Ran, play.Ran{Command: c, By: by})
	f.emit()
	last := &f.state.Ran[len(f.state.Ran)-1]
	last.Done, last.Output = true, f.output[c.Text]
	if c.Fails || c.Text == "false" {
		last.Exit = 1
	}
	f.emit()
}

func (f *fakeSession) Do(a play.Action) {
	f.asked = append(f.asked, a)
	step := f.steps[f.state.Step]
	switch a := a.(type) {
	case play.Next:
		f.next()
	case play.Back:
		f.begin(max(0, f.state.Step-1))
	case play.Choose:
		f.state.Choice = a.Choice
		f.send()
	case play.Send:
		if step.Goal != nil && f.state.Phase >= play.Working {
			f.look(false)
		} else {
			f.send()
		}
	case play.Hint:
		f.state.Hints = min(f.state.Hints+1, len(step.Goal.Hints))
	case play.ShowSolution:
		f.state.Solution = true
	case play.Solve:
		for _, c := range step.Goal.Solution {
			f.run(c, play.BySolution)
		}
		f.look(true)
	case play.Type:
		f.run(scenarios.Command{Node: a.Node, Text: a.Command}, play.ByUser)
		f.state.Changes++
		if step.Goal != nil && f.state.Phase == play.Working {
			f.look(slices.ContainsFunc(step.Goal.Solution, func(c scenarios.Command) bool { return c.Text == a.Command }))
		}
	case play.Undo:
		f.state.Changes = max(0, f.state.Changes-1)
		if n := len(f.state.Ran); n > 0 && f.state.Ran[n-1].By == play.ByUser {
			f.state.Ran[n-1].Undone = true
		}
	case play.ResetStep:
		f.begin(f.state.Step)
	case play.ResetScenario:
		f.begin(0)
	}
	f.emit()
}

func (f *fakeSession) next() {
	step := f.steps[f.state.Step]
	switch p := f.state.Phase; {
	case p == play.Reading && step.Ask != nil:
		f.state.Phase = play.Asking
	case p <= play.Asking && len(step.Send) > 0:
		f.send()
	case p <= play.Watching && step.Goal != nil:
		f.state.Phase = play.Working
	case f.state.Step+1 < len(f.steps):
		f.begin(f.state.Step + 1)
	default:
		f.state.Phase = play.Finished
	}
}

// send sends the step's requests.
func (f *fakeSession) send() {
	f.state.Phase, f.state.FirstWalk, f.state.Request = play.Sending, f.nextID, "curl http://192.168.23.149/"
	f.emit()
	f.bring(f.traffic[f.state.Step])
	if !f.slow {
		f.watch()
	}
}

// watch says that the step's traffic is over.
func (f *fakeSession) watch() {
	f.state.Phase = play.Watching
	f.state.Answer = expect.Answer{Response: lab.Response{Status: 200, Body: make([]byte, 612), RTT: 1234 * time.Microsecond}}
	if len(f.traffic[f.state.Step]) == 1 {
		f.state.Answer = expect.Answer{Err: errors.New("connect: operation timed out")}
	}
	f.state.Results = slices.Clone(f.results[f.state.Step])
	for i := range f.state.Results {
		if f.state.Results[i].Walk > 0 {
			f.state.Results[i].Walk += f.state.FirstWalk - 1
		}
	}
	f.emit()
}

func (f *fakeSession) bring(walks []trace.Walk) {
	first := f.nextID
	for i, w := range walks {
		w.ID, w.Flow = first+i, w.Flow+10*f.state.Step
		f.walks <- w
		f.nextID++
	}
}

// look holds the goal to new walks.
func (f *fakeSession) look(reached bool) {
	goal := f.steps[f.state.Step].Goal
	f.state.Checking, f.state.FirstWalk = true, f.nextID
	f.emit()
	if reached {
		f.bring(fixtureWalks()[:3])
	} else {
		f.bring(fixtureWalks()[3:])
	}
	f.state.Checking, f.state.Goal = false, nil
	for _, e := range goal.Expect {
		r := expect.Result{Expectation: e, Holds: reached, Walk: f.state.FirstWalk}
		if !reached {
			r.Fault = expect.WrongOutcome
		}
		f.state.Goal = append(f.state.Goal, r)
	}
	if reached {
		f.state.Reached, f.state.Phase = true, play.Finished
	}
}
