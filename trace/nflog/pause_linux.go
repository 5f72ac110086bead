package nflog

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

// Pause takes the probes out of the rulesets until Resume puts them in again.
// Meanwhile the ruleset is what it would be without a trace, and nothing but
// the user's own commands changes it. What was logged before is still
// delivered. Pauses nest: as many calls of Resume end them.
func (t *Tracer) Pause(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.paused == 0 && !t.detached.Load() {
		if err := t.target.Namespace.Do(func() error { return t.remove(ctx) }); err != nil {
			// Some may be gone: the watch, where there is one, puts them in again.
			t.seen = 0
			return fmt.Errorf("pausing the probes on %s: %w", t.target.Node, err)
		}
	}
	t.paused++
	return nil
}

// Resume ends a Pause. With the last one the probes are planned for the ruleset
// as it is by then. After an error the pause is over all the same; where the
// ruleset is watched, the next look tries again.
func (t *Tracer) Resume(ctx context.Context) error {
	err := t.resume(ctx)
	t.tellChanged()
	if err != nil {
		return fmt.Errorf("resuming the probes on %s: %w", t.target.Node, err)
	}
	return nil
}

func (t *Tracer) resume(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.paused == 0 {
		return errors.New("they are not paused")
	}
	if t.paused--; t.paused > 0 || t.detached.Load() {
		return nil
	}
	t.seen = 0
	return t.target.Namespace.Do(func() error { return t.settle(ctx) })
}

// tellChanged calls Options.Changed where the ruleset, without probes and
// counters, is another than when it was last called.
func (t *Tracer) tellChanged() {
	if t.options.Changed == nil {
		return
	}
	t.mu.Lock()
	now := t.visible()
	changed := now != t.told
	t.told = now
	t.mu.Unlock()
	if changed {
		t.options.Changed()
	}
}

// visible is what the rulesets amount to at the last look, without probes and
// counters. An empty chain that accepts is as good as none: the legacy tables
// stay where they once were asked for.
func (t *Tracer) visible() string {
	var all strings.Builder
	for _, b := range t.backends {
		for _, table := range b.rules.Tables {
			for _, c := range table.Chains {
				if c.Policy != trace.Accept || len(c.Rules) > 0 {
					fmt.Fprintln(&all, b.Command, table.Name, c.Name, c.Policy)
				}
				for _, r := range c.Rules {
					fmt.Fprintln(&all, r.Text)
				}
			}
		}
	}
	return all.String()
}

// IsProbe says of a line of iptables-save whether it is the probe of a trace.
func IsProbe(line string) bool {
	if !strings.Contains(line, prefixMark) {
		return false
	}
	r, err := ruleset.ParseRule(line)
	return err == nil && isProbe(r)
}

// ForgetNames has the names of interfaces looked up anew: their numbers may
// mean others than before.
func (t *Tracer) ForgetNames() { t.stale.Store(true) }
