//go:build !linux

package lab

import "context"

// Snapshot is the state of a lab; only Linux has them.
type Snapshot struct{}

// Equal says that all of them are alike.
func (Snapshot) Equal(Snapshot) bool { return true }

// Observe answers ErrNeedsLinux.
func (*Lab) Observe(context.Context) (Topology, error) { return Topology{}, ErrNeedsLinux }

// Snapshot answers ErrNeedsLinux.
func (*Lab) Snapshot(context.Context) (Snapshot, error) { return Snapshot{}, ErrNeedsLinux }

// Restore answers ErrNeedsLinux.
func (*Lab) Restore(context.Context, Snapshot) error { return ErrNeedsLinux }

// Changed tells nothing.
func (*Lab) Changed(context.Context, func(error)) <-chan struct{} {
	never := make(chan struct{})
	close(never)
	return never
}
