package play

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"packetwalk/lab"
	"packetwalk/scenarios"
	"packetwalk/scenarios/expect"
	"packetwalk/trace/ruleset"
)

// stage is what a session is played on: a lab that is traced. Player is the
// real one.
type stage interface {
	// Run carries a command out and waits for its end.
	Run(ctx context.Context, c scenarios.Command) Ran
	// Mark is the ID that the next walk will have.
	Mark() int
	// Traffic sends requests and holds the walks from an ID on to what is expected of them.
	Traffic(ctx context.Context, t Traffic) (Outcome, error)
	Snapshot(ctx context.Context) (Snapshot, error)
	Restore(ctx context.Context, s Snapshot) error
	// Now is the lab as it is.
	Now(ctx context.Context) (lab.Topology, map[string]ruleset.Ruleset, error)
	// Changed says that something has changed in the lab that decides about packets.
	Changed() <-chan struct{}
	// Walked says that walks have come to their end.
	Walked() <-chan struct{}
}

// Snapshot is the state of a lab at one time, as a stage keeps it.
type Snapshot interface{ Equal(other Snapshot) bool }

// Traffic is requests to send and what their walks must show.
type Traffic struct {
	Send   []string
	Expect []scenarios.Expectation
	// Since is the ID of the first walk that counts for expectations which name no request.
	Since int
}

// Outcome is what traffic brought.
type Outcome struct {
	First   int // the ID of the first walk of the requests
	Answers map[string]expect.Answer
	Results []expect.Result
}

// Reached says whether everything holds that was expected.
func (o Outcome) Reached() bool {
	return !slices.ContainsFunc(o.Results, func(r expect.Result) bool { return !r.Holds })
}

// Session is a scenario being played. Its methods may be called concurrently.
type Session struct {
	scenario scenarios.Scenario
	stage    stage
	progress func(Progress)

	actions chan Action
	states  chan State
	busy    atomic.Bool
	cancel  atomic.Pointer[context.CancelFunc] // ends the action that is under way
	ended   sync.WaitGroup
	stop    context.CancelFunc

	// Only the loop uses these.
	state   State
	since   int        // the first walk of this step
	begins  []Snapshot // the lab at the beginning of each step that was entered
	current Snapshot   // the lab at the last look
	undo    []change   // oldest first
	acted   time.Time  // when the last action ended
}

// Progress is how far a user has come in a scenario.
type Progress struct {
	Step    string // the name of a step that is finished
	Reached bool   // its goal was reached without the solution's help
	Last    bool   // it is the last one
}

// newSession begins to play a scenario, which must have steps, on a stage.
// progress is called whenever a step is finished.
func newSession(ctx context.Context, s scenarios.Scenario, on stage, progress func(Progress)) *Session {
	ctx, stop := context.WithCancel(ctx)
	p := &Session{
		scenario: s, stage: on, progress: progress, stop: stop,
		actions: make(chan Action, 16), states: make(chan State, 1),
	}
	p.ended.Go(func() { p.loop(ctx) })
	return p
}

// States delivers what there is to see: the newest state, whenever it changes.
// It is closed at the session's end.
func (s *Session) States() <-chan State { return s.states }

// Do asks for an action, and does not wait for it. Actions are carried out one
// after the other; what goes on to something else is left out while one is
// under way, and what puts the lab back ends it.
func (s *Session) Do(a Action) {
	switch a.(type) {
	case Next, Choose, Send:
		if s.busy.Load() {
			return
		}
	case Back, ResetStep, ResetScenario:
		if cancel := s.cancel.Load(); cancel != nil {
			(*cancel)()
		}
	}
	select {
	case s.actions <- a:
	default: // more than anybody can type
	}
}

// End ends the session and waits for what is under way.
func (s *Session) End() {
	s.stop()
	s.ended.Wait()
}

func (s *Session) loop(ctx context.Context) {
	defer close(s.states)
	s.act(ctx, func(ctx context.Context) error { return s.enter(ctx, 0) })
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-s.actions:
			s.act(ctx, func(ctx context.Context) error { return s.carryOut(ctx, a) })
		case <-s.stage.Changed():
			s.act(ctx, s.noticed)
		case <-s.stage.Walked():
			if s.state.Phase == Working && len(s.step().Goal.Send) == 0 {
				s.act(ctx, s.check)
			}
		}
	}
}

// act does something for the user, who sees that it is under way and how it went.
func (s *Session) act(ctx context.Context, do func(context.Context) error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.cancel.Store(&cancel)
	s.busy.Store(true)
	s.state.Busy = true
	err := do(ctx)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	s.busy.Store(false)
	s.acted = time.Now()
	s.state.Busy, s.state.Checking, s.state.Err = false, false, err
	s.show()
}

// show hands the state out, in place of one that nobody has taken yet.
func (s *Session) show() {
	state := s.state
	state.Ran = slices.Clone(state.Ran)
	select {
	case <-s.states:
	default:
	}
	s.states <- state
}

func (s *Session) carryOut(ctx context.Context, a Action) error {
	switch a := a.(type) {
	case Next:
		return s.next(ctx)
	case Back:
		return s.enter(ctx, max(0, s.state.Step-1))
	case Choose:
		return s.choose(ctx, a.Choice)
	case Send:
		return s.again(ctx)
	case Hint:
		if g := s.step().Goal; g != nil {
			s.state.Hints = min(s.state.Hints+1, len(g.Hints))
		}
	case ShowSolution:
		s.state.Solution = s.step().Goal != nil
	case Solve:
		return s.solve(ctx)
	case Type:
		return s.typed(ctx, scenarios.Command{Node: a.Node, Text: a.Command}, ByUser)
	case Undo:
		return s.takeBack(ctx)
	case ResetStep:
		return s.enter(ctx, s.state.Step)
	case ResetScenario:
		return s.enter(ctx, 0)
	}
	return nil
}

func (s *Session) step() scenarios.Step { return s.scenario.Steps[s.state.Step] }
