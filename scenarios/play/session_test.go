package play

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"packetwalk/lab"
	"packetwalk/scenarios"
	"packetwalk/scenarios/expect"
	"packetwalk/trace/ruleset"
)

// board is a stage made of words: what it holds is the commands that were typed,
// and an expectation about the request "goal" holds when "mend" is among them.
type board struct {
	typed   []string
	walks   int
	changed chan struct{}
	walked  chan struct{}
	hold    bool // requests wait for the end of their context
}

func (b *board) Run(_ context.Context, c scenarios.Command) Ran {
	b.typed = append(b.typed, c.Text)
	return Ran{Command: c, Output: "did " + c.Text}
}

func (b *board) Mark() int { return b.walks + 1 }

func (b *board) Traffic(ctx context.Context, t Traffic) (Outcome, error) {
	if b.hold {
		<-ctx.Done()
		return Outcome{}, ctx.Err()
	}
	out := Outcome{First: b.Mark(), Answers: map[string]expect.Answer{}}
	for _, s := range t.Send {
		b.walks++
		out.Answers[s] = expect.Answer{}
	}
	for _, e := range t.Expect {
		holds := e.Request != "goal" || slices.Contains(b.typed, "mend")
		out.Results = append(out.Results, expect.Result{Expectation: e, Holds: holds})
	}
	return out, nil
}

// words is the snapshot of a board.
type words string

func (w words) Equal(other Snapshot) bool { return w == other }

func (b *board) Snapshot(context.Context) (Snapshot, error) {
	return words(strings.TrimSpace(strings.Join(b.typed, " "))), nil
}

func (b *board) Restore(_ context.Context, s Snapshot) error {
	b.typed = strings.Fields(string(s.(words)))
	return nil
}

func (b *board) Now(context.Context) (lab.Topology, map[string]ruleset.Ruleset, error) {
	return lab.Topology{}, nil, nil
}

func (b *board) Changed() <-chan struct{} { return b.changed }
func (b *board) Walked() <-chan struct{}  { return b.walked }

// three is a scenario whose first step asks, whose second has a goal, and whose
// third has only a text.
var three = scenarios.Scenario{
	Topology: lab.Topology{Clients: []lab.Client{{Name: "req", Protocol: lab.Ping}}},
	Steps: []scenarios.Step{
		{
			Name: "asks", Run: []scenarios.Command{{Text: "prepare"}}, Send: []string{"req"},
			Ask:    &scenarios.Question{Choices: []scenarios.Choice{{}, {Right: true}}},
			Expect: []scenarios.Expectation{{Request: "req"}},
		},
		{Name: "works", Send: []string{"req"}, Goal: &scenarios.Goal{
			Send: []string{"req"}, Expect: []scenarios.Expectation{{Request: "goal"}},
			Hints: []scenarios.Text{{"en": "a"}, {"en": "b"}}, Solution: []scenarios.Command{{Text: "mend"}},
		}},
		{Name: "tells"},
	},
}

// playing is a session in a test.
type playing struct {
	*testing.T
	*Session
	board *board
	done  []Progress
}

func begin(t *testing.T, s scenarios.Scenario) *playing {
	b := &board{changed: make(chan struct{}), walked: make(chan struct{})}
	p := &playing{T: t, board: b}
	p.Session = newSession(t.Context(), s, b, func(done Progress) { p.done = append(p.done, done) })
	t.Cleanup(p.End)
	return p
}

// until waits for a state that is not busy and is as wanted.
func (p *playing) until(what string, wanted func(State) bool) State {
	p.Helper()
	var last State
	timeout := time.After(10 * time.Second)
	for {
		select {
		case s, open := <-p.States():
			if !open {
				p.Fatalf("the session ended before: %s", what)
			}
			if last = s; !s.Busy && wanted(s) {
				return s
			}
		case <-timeout:
			p.Fatalf("waited in vain for: %s; the state is %+v", what, last)
		}
	}
}

func (p *playing) phase(step int, phase Phase) State {
	p.Helper()
	return p.until("the phase", func(s State) bool { return s.Step == step && s.Phase == phase })
}

func TestSession(t *testing.T) {
	p := begin(t, three)
	s := p.phase(0, Asking)
	if len(s.Ran) != 1 || s.Ran[0].Output != "did prepare" || s.Choice != -1 {
		t.Errorf("the first state is %+v", s)
	}
	p.Do(Choose{7}) // there is no such choice
	p.Do(Choose{1})
	if s = p.phase(0, Watching); s.Choice != 1 || len(s.Results) != 1 || s.FirstWalk != 1 || s.Request == "" {
		t.Errorf("after the question: %+v", s)
	}
	p.Do(Next{})
	p.phase(1, Reading)
	p.Do(Next{})
	p.phase(1, Watching)
	p.Do(Next{})
	if s = p.phase(1, Working); s.Reached || len(s.Goal) != 1 || s.Goal[0].Holds {
		t.Errorf("before the goal: %+v", s)
	}
	p.Do(Hint{})
	p.until("a hint", func(s State) bool { return s.Hints == 1 })
	p.Do(Type{"host", "nonsense"})
	p.until("a change", func(s State) bool { return s.Changes == 1 && s.Phase == Working })
	p.Do(Type{"host", "mend"})
	s = p.phase(1, Finished)
	if !s.Reached || s.Changes != 2 || s.Ran[1].By != ByUser {
		t.Errorf("with the goal reached: %+v", s)
	}
	p.Do(Next{})
	p.phase(2, Finished)
	p.Do(Next{})
	p.phase(2, Finished)
	p.End()
	want := []Progress{{Step: "asks"}, {Step: "works", Reached: true}, {Step: "tells", Last: true}}
	if !slices.Equal(p.done, want) {
		t.Errorf("the progress is %+v", p.done)
	}
}

// toGoal goes on to the second step's goal.
func (p *playing) toGoal() {
	p.Helper()
	p.phase(0, Asking)
	for _, at := range []struct {
		step  int
		phase Phase
	}{{0, Watching}, {1, Reading}, {1, Watching}, {1, Working}} {
		p.Do(Next{})
		p.phase(at.step, at.phase)
	}
}

// TestUndo takes changes back, one by one, and does not mind that there are none left.
func TestUndo(t *testing.T) {
	p := begin(t, three)
	p.toGoal()
	for i, c := range []string{"one", "two"} {
		p.Do(Type{"host", c})
		p.until("a change", func(s State) bool { return s.Changes == i+1 })
	}
	p.Do(Type{"host", ""}) // changes nothing
	p.until("no change", func(s State) bool { return s.Changes == 2 && len(s.Ran) == 3 })
	for left := 1; left >= 0; left-- {
		p.Do(Undo{})
		p.until("an undo", func(s State) bool {
			return s.Changes == left && s.Ran[left].Undone && s.Ran[0].Undone == (left == 0) && !s.Ran[2].Undone
		})
	}
	p.Do(Undo{})
	p.Do(Hint{})
	p.until("a hint", func(s State) bool { return s.Hints == 1 })
	if got := strings.Join(p.board.typed, " "); got != "prepare" {
		t.Errorf("left is %q", got)
	}
}

// TestSolve carries the solution out on the lab as the step began, and does not
// count it as the user's own.
func TestSolve(t *testing.T) {
	p := begin(t, three)
	p.toGoal()
	p.Do(Type{"host", "nonsense"})
	p.until("a change", func(s State) bool { return s.Changes == 1 })
	p.Do(Solve{})
	if s := p.phase(1, Finished); !s.Reached || !s.Solution {
		t.Errorf("solved: %+v", s)
	}
	p.End()
	if got := strings.Join(p.board.typed, " "); got != "prepare mend" {
		t.Errorf("the lab holds %q", got)
	}
	if last := p.done[len(p.done)-1]; last != (Progress{Step: "works"}) {
		t.Errorf("the progress is %+v", last)
	}
}

// TestReset goes back: to the step's beginning, to the step before, and to the
// scenario's.
func TestReset(t *testing.T) {
	p := begin(t, three)
	p.toGoal()
	p.Do(Type{"host", "mend"})
	p.phase(1, Finished)
	p.Do(ResetStep{})
	if s := p.phase(1, Reading); s.Reached || s.Changes != 0 || len(s.Ran) != 0 {
		t.Errorf("after the reset: %+v", s)
	}
	p.Do(Back{})
	p.phase(0, Asking)
	p.Do(Back{}) // stays at the first
	p.phase(0, Asking)
	p.Do(Next{})
	p.phase(0, Watching)
	p.Do(Next{})
	p.phase(1, Reading)
	p.Do(ResetScenario{})
	p.phase(0, Asking)
	p.End()
	if got := strings.Join(p.board.typed, " "); got != "prepare" {
		t.Errorf("the lab holds %q", got)
	}
}

// TestChanged has the goal looked at when somebody else has mended the lab.
func TestChanged(t *testing.T) {
	p := begin(t, three)
	p.toGoal()
	p.board.typed = append(p.board.typed, "mend") // the loop is at rest
	p.board.changed <- struct{}{}
	if s := p.phase(1, Finished); s.Changes != 1 {
		t.Errorf("changed from outside: %+v", s)
	}
}

// TestBackEndsSending goes back while a request waits for its answer.
func TestBackEndsSending(t *testing.T) {
	p := begin(t, three)
	p.phase(0, Asking)
	p.board.hold = true
	p.Do(Next{})
	for s := range p.States() {
		if s.Phase == Sending {
			break
		}
	}
	p.Do(Next{}) // left out: a request is under way
	p.Do(ResetStep{})
	if s := p.phase(0, Asking); s.Err != nil {
		t.Errorf("the error is %v", s.Err)
	}
}
