package play

import (
	"context"
	"errors"
	"fmt"

	"packetwalk/scenarios"
)

// ErrUnexpected says that a scenario did not show what it says.
var ErrUnexpected = errors.New("the walks are not what the scenario expects")

// Tell plays a scenario from its start to its end. Goals are reached by their
// solutions, unless solve is false: then the telling ends at the first goal. It
// tells all of it where something is not as expected, and then returns
// ErrUnexpected.
func (p *Player) Tell(ctx context.Context, to Teller, solve bool) error {
	go func() {
		for range p.Walks() { // Tell looks at those of each step when they are complete
		}
	}()
	t := teller{player: p, to: to}
	for n, s := range p.scenario.Steps {
		if err := t.step(ctx, n, s); err != nil {
			return fmt.Errorf("playing step %s: %w", s.Name, err)
		}
		if s.Goal == nil {
			continue
		}
		if err := t.goal(ctx, *s.Goal, solve); err != nil {
			return fmt.Errorf("playing step %s: %w", s.Name, err)
		}
		if !solve {
			break
		}
	}
	return t.verdict()
}

// teller is a telling that is under way.
type teller struct {
	player     *Player
	to         Teller
	unexpected bool
}

func (t *teller) verdict() error {
	if t.unexpected {
		return ErrUnexpected
	}
	return nil
}

func (t *teller) step(ctx context.Context, n int, s scenarios.Step) error {
	if err := t.to.Step(n, s); err != nil {
		return err
	}
	since := t.player.Mark()
	for _, c := range s.Run {
		if err := t.to.Ran(t.run(ctx, c)); err != nil {
			return err
		}
	}
	if s.Ask != nil {
		if err := t.to.Question(*s.Ask); err != nil {
			return err
		}
	}
	traffic := Traffic{Send: s.Send, Expect: s.Expect, Since: since}
	out, err := t.traffic(ctx, traffic, since)
	if err != nil {
		return err
	}
	return errors.Join(t.to.Traffic(traffic, out), t.to.After(s))
}

func (t *teller) run(ctx context.Context, c scenarios.Command) Ran {
	ran := t.player.Run(ctx, c)
	t.unexpected = t.unexpected || (ran.Exit != 0) != c.Fails
	return ran
}

// traffic sends requests and tells of every walk since the given one.
func (t *teller) traffic(ctx context.Context, traffic Traffic, since int) (Outcome, error) {
	out, err := t.player.Traffic(ctx, traffic)
	if err != nil {
		return out, err
	}
	t.unexpected = t.unexpected || !out.Reached()
	return out, t.to.Walks(t.player.walks.since(since))
}

// goal tells of a goal, which must not be reached by itself, and reaches it if
// it is to be solved.
func (t *teller) goal(ctx context.Context, g scenarios.Goal, solve bool) error {
	out, err := t.player.Traffic(ctx, Traffic{Send: g.Send, Expect: g.Expect, Since: t.player.Mark()})
	if err != nil {
		return err
	}
	t.unexpected = t.unexpected || out.Reached()
	if err := t.to.Goal(g, out); err != nil || !solve {
		return err
	}
	return t.solve(ctx, g)
}

func (t *teller) solve(ctx context.Context, g scenarios.Goal) error {
	since := t.player.Mark()
	for _, c := range g.Solution {
		ran := t.run(ctx, c)
		ran.By = BySolution
		if err := t.to.Ran(ran); err != nil {
			return err
		}
	}
	traffic := Traffic{Send: g.Send, Expect: g.Expect, Since: since}
	out, err := t.traffic(ctx, traffic, since)
	if err != nil {
		return err
	}
	return t.to.Solved(g, traffic, out)
}
