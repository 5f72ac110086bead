//go:build !linux

package lab

import "context"

// Observe answers ErrNeedsLinux.
func (*Lab) Observe(context.Context) (Topology, error) { return Topology{}, ErrNeedsLinux }
