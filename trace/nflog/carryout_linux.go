package nflog

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/xtables"
)

// insert puts the probes in place. In a ruleset that others change, the first
// look of the watch sees whether they did so meanwhile.
func (t *Tracer) insert(ctx context.Context) error {
	const patience = 5
	var err error
	for range patience {
		if _, err = t.reconcile(ctx); !errors.Is(err, xtables.ErrChanged) {
			break
		}
	}
	if err != nil {
		return err
	}
	return t.learnRoles()
}

// reconcile plans for what is there and carries the plans out. done says that
// nothing was left to do.
func (t *Tracer) reconcile(ctx context.Context) (done bool, err error) {
	lock, err := t.lockLegacy(ctx)
	if err != nil {
		return false, err
	}
	defer lock.Release()
	if err := t.plan(ctx); err != nil {
		return false, err
	}
	if t.inPlace() {
		return true, nil
	}
	return false, t.carryOut(ctx, lock)
}

// carryOut brings the probes in line with the plans. The lock is that under
// which they were made.
func (t *Tracer) carryOut(ctx context.Context, lock *xtables.Lock) error {
	for _, b := range t.backends {
		if b.plan.Empty() {
			continue
		}
		if err := t.carryOutFor(ctx, b, lock); err != nil {
			return fmt.Errorf("inserting probes: %w", err)
		}
	}
	return nil
}

// carryOutFor tries the quick way first, and then the command that knows everything.
func (t *Tracer) carryOutFor(ctx context.Context, b *backend, lock *xtables.Lock) error {
	var why error // the quick way did not do
	switch b.variant {
	case trace.Legacy:
		if why = b.editLegacy(lock); !errors.Is(why, xtables.ErrUnsupported) {
			return why
		}
		lock.Release() // the command takes it itself
	case trace.NFTables:
		if why = t.insertCopies(ctx, b); why == nil {
			return nil
		}
		if !errors.Is(why, errNoCopies) { // some of it may be done
			if err := t.plan(ctx); err != nil {
				return err
			}
		}
	}
	_, err := run(ctx, b.Command+"-restore", b.plan.Script(), "--noflush", "--wait")
	if err != nil && strings.Contains(err.Error(), "Message too long") {
		err = t.carryOutInPieces(ctx, b)
	}
	if err != nil {
		return errors.Join(err, why)
	}
	return nil
}

// carryOutInPieces is for the root of a user namespace, who has no right to
// large messages. The tables before the one that was too large are done: what
// is left to do is planned anew.
func (t *Tracer) carryOutInPieces(ctx context.Context, b *backend) error {
	if err := t.plan(ctx); err != nil {
		return err
	}
	_, err := run(ctx, b.Command+"-restore", b.plan.ScriptInPieces(), "--noflush", "--wait")
	return err
}
