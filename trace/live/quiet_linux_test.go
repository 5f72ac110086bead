package live

import (
	"context"
	"errors"
	"testing"
	"time"

	"packetwalk/trace"
)

// quietFor is a trace of nothing, in which nothing has happened for a while.
func quietFor(d time.Duration) *Trace {
	return &Trace{events: make(chan arrival, 1), stop: make(chan struct{}), idle: make(chan struct{}), quiet: time.Now().Add(-d)}
}

// TestQuietBegins holds that what was quiet for an hour is waited for all the
// same: the first event of a packet that was just sent may be anywhere between
// the kernel and here.
func TestQuietBegins(t *testing.T) {
	const while = 50 * time.Millisecond
	tr := quietFor(time.Hour)
	began := time.Now()
	if err := tr.Quiet(t.Context(), while); err != nil {
		t.Fatal(err)
	}
	if waited := time.Since(began); waited < while {
		t.Errorf("it was quiet after %v, which is less than %v", waited, while)
	}
}

// TestQuietUntaken holds that an event that a tracer has handed on, and nobody
// has taken, is none that quiet may overlook.
func TestQuietUntaken(t *testing.T) {
	tr := quietFor(time.Hour)
	tr.receive(trace.Event{})
	e := <-tr.events // read, and not taken yet
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := tr.Quiet(ctx, time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("quiet with an event under way: %v", err)
	}
	tr.note(e.at, false)
	tr.untaken.Add(-1)
	if err := tr.Quiet(t.Context(), time.Millisecond); err != nil {
		t.Errorf("quiet when all is taken: %v", err)
	}
}
