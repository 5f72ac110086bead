//go:build !linux

package rebuild

import (
	"context"

	"packetwalk/lab"
)

// Build answers lab.ErrNeedsLinux.
func (p *Plan) Build(context.Context, lab.Options) (*lab.Lab, error) { return nil, lab.ErrNeedsLinux }

// Choose answers lab.ErrNeedsLinux.
func (p *Plan) Choose(context.Context) error { return lab.ErrNeedsLinux }
