package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"packetwalk/scenarios"
)

// tell prints a scenario with steps from its start to its end. Of a challenge
// that nobody has asked the answer of, only the task is told.
func (r *run) tell(ctx context.Context, w io.Writer) error {
	err := r.Tell(ctx, jsonTeller{jsonPrinter{json.NewEncoder(w), passedOver(r.flags, r.Trace().Rules)}, r.scenario, r.flags.lang}, r.solves())
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

// solves says whether goals are reached by their solutions: in a lesson always,
// since later steps build on them.
func (r *run) solves() bool { return r.scenario.Kind != scenarios.Challenge || r.flags.answer }
