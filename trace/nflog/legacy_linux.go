package nflog

import (
	"context"
	"errors"
	"fmt"

	"packetwalk/trace"
	"packetwalk/trace/xtables"
)

// lockLegacy takes the xtables lock where a backend needs it: from the look at
// the legacy tables until the plan is carried out nobody else changes them. The
// lock is nil where none does.
func (t *Tracer) lockLegacy(ctx context.Context) (*xtables.Lock, error) {
	if !t.has(trace.Legacy) {
		return nil, nil
	}
	return xtables.TakeLock(ctx)
}

// errByCommand asks for commands.
var errByCommand = fmt.Errorf("%w: that is how it was asked for", xtables.ErrUnsupported)

// editLegacy carries the plan out in the legacy tables, under the lock that was
// held when it was made.
func (b *backend) editLegacy(lock *xtables.Lock) error {
	if b.byCommand {
		return errByCommand
	}
	tables, err := lock.Open(b.Family)
	if err != nil {
		return err
	}
	defer tables.Close()
	var edited []*xtables.Table
	for _, name := range trace.Tables() {
		if len(b.plan.edits[name]) == 0 {
			continue
		}
		table, err := tables.Read(name)
		if err != nil {
			return err
		}
		if err := b.plan.editTable(table); err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
		edited = append(edited, table)
	}
	return tables.Replace(edited)
}

// deleteFromLegacy deletes the probes of some runs from the legacy tables.
func (b Backend) deleteFromLegacy(ctx context.Context, ofRun func(run string) bool) error {
	if b.byCommand {
		return errByCommand
	}
	const patience = 5 // with those who change tables without the lock
	var err error
	for range patience {
		if err = deleteOnce(ctx, b.Family, ofRun); !errors.Is(err, xtables.ErrChanged) {
			break
		}
	}
	return err
}

func deleteOnce(ctx context.Context, family trace.Family, ofRun func(run string) bool) error {
	lock, err := xtables.TakeLock(ctx)
	if err != nil {
		return err
	}
	defer lock.Release()
	tables, err := lock.Open(family)
	if err != nil {
		return err
	}
	defer tables.Close()
	var edited []*xtables.Table
	for _, name := range legacyTables(xtables.Names(family)) {
		table, err := tables.Read(name)
		if err != nil {
			return err
		}
		if table.Delete(probesOf(ofRun)) > 0 {
			edited = append(edited, table)
		}
	}
	return tables.Replace(edited)
}
