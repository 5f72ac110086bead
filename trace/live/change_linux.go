package live

import (
	"context"
	"fmt"

	"packetwalk/trace/assemble"
	"packetwalk/trace/nflog"
)

// Rewire tells the trace that the wires between its nodes, or the names of
// their interfaces, are others now; see assemble.Config for what segments are.
func (t *Trace) Rewire(segments map[assemble.Port]int) {
	for _, tr := range t.tracers {
		tr.ForgetNames()
	}
	select {
	case t.wires <- segments:
	case <-t.stop:
	}
}

// Pause takes the probes of a node out until Resume; see nflog.Tracer.Pause.
func (t *Trace) Pause(ctx context.Context, node string) error {
	tr, err := t.tracer(node)
	if err != nil {
		return fmt.Errorf("pausing the probes: %w", err)
	}
	return tr.Pause(ctx)
}

// Resume puts the probes of a node in again; see nflog.Tracer.Resume.
func (t *Trace) Resume(ctx context.Context, node string) error {
	tr, err := t.tracer(node)
	if err != nil {
		return fmt.Errorf("resuming the probes: %w", err)
	}
	return tr.Resume(ctx)
}

func (t *Trace) tracer(node string) (*nflog.Tracer, error) {
	for _, tr := range t.tracers {
		if tr.Node() == node {
			return tr, nil
		}
	}
	return nil, fmt.Errorf("node %q is not traced", node)
}
