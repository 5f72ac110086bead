package play

import (
	"context"
	"errors"
	"fmt"

	"packetwalk/scenarios"
	"packetwalk/trace"
)

// ErrUnexpected says that a scenario did not show what it says.
var ErrUnexpected = errors.New("the walks are not what the scenario expects")

// Tell plays a scenario from its start to its end, with a player that was
// started for finished walks. Goals are reached by their solutions, unless solve
// is false: then the telling ends at the first goal. Where something is not as
// expected (a walk, the end of a command, a goal that is reached before anybody
// has done anything) it goes on, and returns ErrUnexpected at the end.
func (p *Player) Tell(ctx context.Context, to Teller, solve bool) error {
	t := teller{player: p, to: to}
	for n, s := range p.scenario.Steps {
		err := t.step(ctx, n, s)
		if err == nil && s.Goal != nil {
			err = t.goal(ctx, *s.Goal, solve)
		}
		if err != nil {
			return fmt.Errorf("playing step %s: %w", s.Name, err)
		}
		if s.Goal != nil && !solve {
			break
		}
	}
	if t.unexpected {
		return ErrUnexpected
	}
	return nil
}

// teller is a telling that is under way.
type teller struct {
	player     *Player
	to         Teller
	unexpected bool
}

func (t *teller) step(ctx context.Context, n int, s scenarios.Step) error {
	if err := t.to.Step(n, s); err != nil {
		return err
	}
	since := t.player.Mark()
	if err := t.run(ctx, s.Run, ByScenario); err != nil {
		return err
	}
	if s.Ask != nil {
		if err := t.to.Question(*s.Ask); err != nil {
			return err
		}
	}
	traffic := Traffic{Send: s.Send, Expect: s.Expect, Since: since}
	out, err := t.traffic(ctx, traffic)
	if err != nil {
		return err
	}
	t.unexpected = t.unexpected || !out.Reached()
	return errors.Join(t.to.Traffic(traffic, out), t.to.After(s))
}

// run carries commands out and tells of each, and of the walks of what it sent.
func (t *teller) run(ctx context.Context, commands []scenarios.Command, by Author) error {
	for _, c := range commands {
		var ran Ran
		walks, err := t.during(func() error {
			ran = t.player.Run(ctx, c)
			return ctx.Err()
		}, nil)
		if err != nil {
			return err
		}
		ran.By = by
		t.unexpected = t.unexpected || (ran.Exit != 0) != c.Fails
		if err := t.to.Ran(ran); err != nil {
			return err
		}
		for _, w := range walks {
			if err := t.to.Walk(w); err != nil {
				return err
			}
		}
	}
	return nil
}

// traffic sends requests and tells of every walk as it ends.
func (t *teller) traffic(ctx context.Context, traffic Traffic) (out Outcome, err error) {
	_, err = t.during(func() (err error) {
		out, err = t.player.Traffic(ctx, traffic)
		return err
	}, t.to.Walk)
	return out, err
}

// during does something and passes on every walk that ends meanwhile or, where
// there is nobody to tell, returns them.
func (t *teller) during(do func() error, tell func(trace.Walk) error) (kept []trace.Walk, err error) {
	done := make(chan error, 1)
	go func() { done <- do() }()
	var told error
	take := func(w trace.Walk) {
		switch {
		case tell == nil:
			kept = append(kept, w)
		case told == nil:
			told = tell(w)
		}
	}
	for {
		select {
		case w, open := <-t.player.Walks():
			if !open {
				return kept, errors.Join(errors.New("the trace has ended"), <-done)
			}
			take(w)
			continue
		case err = <-done:
		}
		for len(t.player.Walks()) > 0 { // those that ended before it was done
			take(<-t.player.Walks())
		}
		return kept, errors.Join(err, told)
	}
}

// goal tells of a goal, which must not be reached by itself, and reaches it if
// it is to be solved.
func (t *teller) goal(ctx context.Context, g scenarios.Goal, solve bool) error {
	if err := t.to.Goal(g); err != nil {
		return err
	}
	if err := t.check(ctx, g, false); err != nil || !solve {
		return err
	}
	if err := t.run(ctx, g.Solution, BySolution); err != nil {
		return err
	}
	return t.check(ctx, g, true)
}

// check tells whether a goal is reached, which it should be once it was solved.
func (t *teller) check(ctx context.Context, g scenarios.Goal, solved bool) error {
	traffic := Traffic{Send: g.Send, Expect: g.Expect, Since: t.player.Mark()}
	out, err := t.traffic(ctx, traffic)
	if err != nil {
		return err
	}
	t.unexpected = t.unexpected || out.Reached() != solved
	return t.to.Checked(g, traffic, out)
}
