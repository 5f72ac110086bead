package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"packetwalk/trace"
)

// inbox collects what is sent to the program.
type inbox struct {
	mu   sync.Mutex
	msgs []tea.Msg
	came chan struct{}
}

func newInbox() *inbox { return &inbox{came: make(chan struct{}, 1000)} }

func (b *inbox) send(msg tea.Msg) {
	b.mu.Lock()
	b.msgs = append(b.msgs, msg)
	b.mu.Unlock()
	b.came <- struct{}{}
}

func TestFeedWalksBatches(t *testing.T) {
	ch := make(chan trace.Walk, 100)
	for i := range 90 {
		ch <- trace.Walk{ID: i%3 + 1, Flow: i}
	}
	close(ch)
	b := newInbox()
	feedWalks(context.Background(), ch, b.send)
	var walks []trace.Walk
	for _, m := range b.msgs[:len(b.msgs)-1] {
		walks = append(walks, m.(walksMsg).walks...)
	}
	if len(walks) != 3 || walks[0].Flow != 87 || walks[2].Flow != 89 {
		t.Errorf("90 snapshots of 3 walks arrive as %+v", walks)
	}
	if _, ok := b.msgs[len(b.msgs)-1].(endedMsg); !ok {
		t.Error("the end is not told")
	}
}

func TestFeedersEndWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	b := newInbox()
	var lost atomic.Uint64
	lost.Store(7)
	requests := make(chan struct{}, 1)
	failure := errors.New("refused")
	var wg sync.WaitGroup
	wg.Go(func() { feedWalks(ctx, make(chan trace.Walk), b.send) })
	wg.Go(func() { feedCount(ctx, lost.Load, func(n uint64) { b.send(lossesMsg(n)) }) })
	wg.Go(func() { serve(ctx, func(context.Context) error { return failure }, requests, b.send) })
	requests <- struct{}{}
	<-b.came
	<-b.came
	cancel()
	wg.Wait()
	for _, want := range []tea.Msg{lossesMsg(7), sentMsg{failure}} {
		if !slices.Contains(b.msgs, want) {
			t.Errorf("%v is missing in %v", want, b.msgs)
		}
	}
}

// screen is a terminal that counts what is written to it.
type screen struct{ written atomic.Int64 }

func (s *screen) Write(p []byte) (int, error) {
	s.written.Add(int64(len(p)))
	return len(p), nil
}

func TestRunSendsAndQuits(t *testing.T) {
	keys, typing := io.Pipe()
	walks, sent, out := make(chan trace.Walk), make(chan struct{}, 64), &screen{}
	c := fixtureConfig(t, "en")
	c.Walks = walks
	c.Send = func(context.Context) error { sent <- struct{}{}; return nil }
	ended := make(chan error, 1)
	go func() {
		ended <- run(t.Context(), c, tea.WithInput(keys), tea.WithOutput(out), tea.WithWindowSize(120, 36), tea.WithoutSignals())
	}()
	<-sent // the first request needs no key
	walks <- synWalk()
	for again := false; !again; {
		// r does nothing until the program has heard how the last request went.
		if _, err := typing.Write([]byte("r")); err != nil {
			t.Fatal(err)
		}
		select {
		case <-sent:
			again = true
		case <-time.After(10 * time.Millisecond):
		}
	}
	if _, err := typing.Write([]byte("q")); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if out.written.Load() == 0 {
		t.Error("nothing was drawn")
	}
}

func TestRunEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	keys, _ := io.Pipe()
	c := fixtureConfig(t, "en")
	c.Send = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, c, tea.WithInput(keys), tea.WithOutput(&screen{}), tea.WithWindowSize(80, 24), tea.WithoutSignals())
	}()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestEnding(t *testing.T) {
	for _, err := range []error{nil, tea.ErrInterrupted, fmt.Errorf("%w: %w", tea.ErrProgramKilled, context.Canceled)} {
		if got := ending(err); got != nil {
			t.Errorf("ending(%v) = %v", err, got)
		}
	}
	if ending(tea.ErrProgramPanic) == nil {
		t.Error("a panic is no error")
	}
}
