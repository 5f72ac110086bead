package play

import (
	"context"
	"fmt"
	"time"

	"packetwalk/scenarios"
)

// enter begins a step: the lab is what it was when the step was first begun,
// and the step's commands are carried out.
func (s *Session) enter(ctx context.Context, step int) error {
	s.state = State{Step: step, Phase: Preparing, Choice: -1, Busy: true, Topology: s.state.Topology, Rulesets: s.state.Rulesets}
	s.undo = nil
	s.show()
	if err := s.prepare(ctx, step); err != nil {
		return err
	}
	s.since = s.stage.Mark()
	s.state.FirstWalk = s.since
	s.state.Phase = Running
	for _, c := range s.step().Run {
		if err := s.run(ctx, c, ByScenario); err != nil {
			return err
		}
	}
	if err := s.look(ctx); err != nil {
		return err
	}
	return s.begin(ctx)
}

// prepare puts the lab back to the beginning of a step, or notes what it is at
// the beginning of one that was not entered before.
func (s *Session) prepare(ctx context.Context, step int) (err error) {
	if step < len(s.begins) {
		s.begins = s.begins[:step+1]
		if err = s.stage.Restore(ctx, s.begins[step]); err != nil {
			return fmt.Errorf("putting the lab back: %w", err)
		}
		return nil
	}
	now, err := s.stage.Snapshot(ctx)
	if err != nil {
		return fmt.Errorf("looking at the lab: %w", err)
	}
	s.begins = append(s.begins, now)
	return nil
}

// begin is the first phase behind the commands.
func (s *Session) begin(ctx context.Context) error {
	step := s.step()
	switch {
	case step.Ask != nil:
		s.state.Phase = Asking
	case len(step.Send) > 0:
		s.state.Phase = Reading
	default:
		return s.watch(ctx, Traffic{Expect: step.Expect, Since: s.since})
	}
	return nil
}

// next goes on: to the next phase of the step, or to the next step.
func (s *Session) next(ctx context.Context) error {
	switch s.state.Phase {
	case Reading, Asking:
		return s.send(ctx)
	case Watching:
		if s.step().Goal != nil {
			return s.work(ctx)
		}
	case Working:
		return s.solve(ctx)
	}
	switch {
	case s.state.Phase < Watching:
	case s.state.Step+1 < len(s.scenario.Steps):
		return s.enter(ctx, s.state.Step+1)
	default:
		s.state.Phase = Finished
	}
	return nil
}

func (s *Session) choose(ctx context.Context, choice int) error {
	ask := s.step().Ask
	if s.state.Phase != Asking || choice < 0 || choice >= len(ask.Choices) {
		return nil
	}
	s.state.Choice = choice
	return s.send(ctx)
}

// send sends the step's requests.
func (s *Session) send(ctx context.Context) error {
	step := s.step()
	return s.watch(ctx, Traffic{Send: step.Send, Expect: step.Expect, Since: s.since})
}

// watch sends what there is to send, and has the walks looked at.
func (s *Session) watch(ctx context.Context, t Traffic) error {
	if len(t.Send) > 0 {
		s.state.Phase, s.state.Request = Sending, s.command(t.Send[0])
		s.show()
	}
	if len(t.Send)+len(t.Expect) > 0 {
		out, err := s.stage.Traffic(ctx, t)
		if err != nil {
			return err
		}
		s.note(t, out)
	}
	if len(t.Send) == 0 {
		return s.work(ctx)
	}
	s.state.Phase = Watching
	if s.step().Goal == nil {
		s.report(false)
	}
	return nil
}

// note keeps what traffic brought.
func (s *Session) note(t Traffic, out Outcome) {
	s.state.Results = out.Results
	if n := len(t.Send); n > 0 {
		s.state.FirstWalk = out.First
		s.state.Request, s.state.Answer = s.command(t.Send[n-1]), out.Answers[t.Send[n-1]]
	}
}

// command is a request as one would type it.
func (s *Session) command(client string) string {
	for _, c := range s.scenario.Topology.Clients {
		if c.Name == client {
			return c.Command()
		}
	}
	return client
}

// work goes on to the goal, if there is one.
func (s *Session) work(ctx context.Context) error {
	if s.step().Goal == nil {
		s.state.Phase = Finished
		s.report(false)
		return nil
	}
	s.state.Phase = Working
	return s.check(ctx)
}

// report tells that the step is done; reached says that its goal was reached
// without help.
func (s *Session) report(reached bool) {
	if s.progress != nil {
		s.progress(Progress{Step: s.step().Name, Reached: reached, Last: s.state.Step == len(s.scenario.Steps)-1})
	}
}

// again sends the requests once more, or looks at the goal.
func (s *Session) again(ctx context.Context) error {
	switch s.state.Phase {
	case Working:
		return s.check(ctx)
	case Watching, Finished:
		if s.state.Reached {
			return s.check(ctx)
		}
		if step := s.step(); len(step.Send) > 0 {
			out, err := s.stage.Traffic(ctx, Traffic{Send: step.Send, Expect: step.Expect, Since: s.since})
			if err == nil {
				s.note(Traffic{Send: step.Send}, out)
			}
			return err
		}
	}
	return nil
}

// check holds the goal to what its requests bring now.
func (s *Session) check(ctx context.Context) error {
	g := s.step().Goal
	s.state.Checking = true
	s.show()
	t := Traffic{Send: g.Send, Expect: g.Expect, Since: s.since}
	if len(g.Send) > 0 {
		t.Since = s.stage.Mark()
	}
	out, err := s.stage.Traffic(ctx, t)
	if err != nil {
		return err
	}
	s.state.Goal = out.Results
	if len(t.Send) > 0 {
		s.state.FirstWalk = out.First
	}
	if out.Reached() && !s.state.Reached {
		s.state.Reached, s.state.Phase = true, Finished
		s.report(!s.solved())
	}
	return nil
}

// solved says whether the solution was carried out in this step.
func (s *Session) solved() bool {
	for _, r := range s.state.Ran {
		if r.By == BySolution {
			return true
		}
	}
	return false
}

// solve carries the solution out, on the lab as the step began: what the user
// has tried may stand in its way.
func (s *Session) solve(ctx context.Context) error {
	g := s.step().Goal
	if g == nil || s.state.Phase < Watching || s.state.Reached {
		return nil
	}
	s.state.Phase, s.state.Solution = Working, true
	if len(s.undo) > 0 {
		if err := s.putBack(ctx, s.undo[0].before); err != nil {
			return err
		}
		s.undo = nil
	}
	for _, c := range g.Solution {
		if err := s.run(ctx, c, BySolution); err != nil {
			return err
		}
	}
	if err := s.look(ctx); err != nil {
		return err
	}
	return s.check(ctx)
}

// run carries a command out, before the user's eyes.
func (s *Session) run(ctx context.Context, c scenarios.Command, by Author) error {
	s.state.Ran = append(s.state.Ran, Ran{Command: c, By: by})
	s.show()
	ran := s.stage.Run(ctx, c)
	ran.By, ran.Done = by, true
	s.state.Ran[len(s.state.Ran)-1] = ran
	s.show()
	return ctx.Err()
}

// typed carries out what the user has typed, and looks at what it has changed.
func (s *Session) typed(ctx context.Context, c scenarios.Command, by Author) error {
	if err := s.run(ctx, c, by); err != nil {
		return err
	}
	return s.changed(ctx)
}

// changed looks at the lab after something has changed, and at the goal.
func (s *Session) changed(ctx context.Context) error {
	if _, err := s.learn(ctx, len(s.state.Ran)-1); err != nil || s.state.Phase != Working {
		return err
	}
	return s.check(ctx)
}

// echo is how long after an action word of what it has changed may still come.
const echo = time.Second

// noticed is changed, on word that something has changed. Where nothing has
// that undo knows of, it may be an echo of the session's own doing.
func (s *Session) noticed(ctx context.Context) error {
	changed, err := s.learn(ctx, -1)
	if err != nil || s.state.Phase != Working || !changed && time.Since(s.acted) < echo {
		return err
	}
	return s.check(ctx)
}

// change is something that undo takes back.
type change struct {
	before Snapshot
	// ran is the index of the command that brought it about, -1 for another cause.
	ran int
}

// learn takes in what the lab is now, and says whether that is another state
// than before, which undo can go back to. What brought it about is the command
// with the index ran, or with -1 something else.
func (s *Session) learn(ctx context.Context, ran int) (changed bool, err error) {
	before := s.current
	if err := s.look(ctx); err != nil || before.Equal(s.current) {
		return false, err
	}
	s.undo = append(s.undo, change{before, ran})
	s.state.Changes = len(s.undo)
	return true, nil
}

// look takes in what the lab is now.
func (s *Session) look(ctx context.Context) error {
	var err error
	if s.current, err = s.stage.Snapshot(ctx); err != nil {
		return fmt.Errorf("looking at the lab: %w", err)
	}
	s.state.Topology, s.state.Rulesets, err = s.stage.Now(ctx)
	return err
}

// takeBack undoes the last change.
func (s *Session) takeBack(ctx context.Context) error {
	if len(s.undo) == 0 {
		return nil
	}
	last := s.undo[len(s.undo)-1]
	if err := s.putBack(ctx, last.before); err != nil {
		return err
	}
	s.undo = s.undo[:len(s.undo)-1]
	if last.ran >= 0 {
		s.state.Ran[last.ran].Undone = true
	}
	s.state.Changes = len(s.undo)
	if s.state.Phase == Working {
		return s.check(ctx)
	}
	return nil
}

func (s *Session) putBack(ctx context.Context, to Snapshot) error {
	if err := s.stage.Restore(ctx, to); err != nil {
		return fmt.Errorf("putting the lab back: %w", err)
	}
	return s.look(ctx)
}
