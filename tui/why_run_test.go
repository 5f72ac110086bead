package tui

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"packetwalk/trace/why"
)

// terminal is what runWhy runs on in tests.
func terminal(in io.Reader) []tea.ProgramOption {
	return []tea.ProgramOption{tea.WithInput(in), tea.WithOutput(&screen{}), tea.WithWindowSize(120, 36), tea.WithoutSignals()}
}

// The question is asked again by a key, the fix is run after a yes, and both
// have ended when the program has.
func TestWhyAsksFixesAndQuits(t *testing.T) {
	keys, typing := io.Pipe()
	asked, ran := make(chan struct{}, 64), make(chan string, 64)
	c := WhyConfig{Lang: "en", Target: "192.168.23.149:80", Topology: fixtureTopology()}
	c.Ask = func(context.Context) (Asked, error) {
		asked <- struct{}{}
		return Asked{Answer: routeless()}, nil
	}
	c.Fix = func(_ context.Context, node, command string) (string, int, error) {
		ran <- node + "$ " + command
		return "", 0, nil
	}
	ended := make(chan error, 1)
	go func() { ended <- runWhy(t.Context(), c, terminal(keys)...) }()
	<-asked // the first question needs no key
	for done := false; !done; {
		// The keys do nothing until the program has heard the answer.
		if _, err := typing.Write([]byte("fy")); err != nil {
			t.Fatal(err)
		}
		select {
		case first := <-ran:
			if want := "client$ " + routeless().Fix.Commands[0]; first != want {
				t.Errorf("ran %q first, want %q", first, want)
			}
			done = true
		case <-time.After(10 * time.Millisecond):
		}
	}
	<-asked // again, by itself
	if _, err := typing.Write([]byte("q")); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Quitting while the question is being asked ends the asking first.
func TestWhyWaitsForAskToEnd(t *testing.T) {
	keys, typing := io.Pipe()
	begun, cleaned := make(chan struct{}), false
	c := WhyConfig{Lang: "en", Ask: func(ctx context.Context) (Asked, error) {
		close(begun)
		<-ctx.Done()
		cleaned = true
		return Asked{}, ctx.Err()
	}}
	ended := make(chan error, 1)
	go func() { ended <- runWhy(t.Context(), c, terminal(keys)...) }()
	<-begun
	if _, err := typing.Write([]byte("q")); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil || !cleaned {
		t.Errorf("ended with %v, asking ended: %v", err, cleaned)
	}
}

func TestWhyEndsWithTheErrorOfTheFirstAsk(t *testing.T) {
	keys, _ := io.Pipe()
	failure := errors.New("asking from nowhere: there is no such node")
	c := WhyConfig{Lang: "en", Ask: func(context.Context) (Asked, error) { return Asked{Answer: why.Answer{}}, failure }}
	if err := runWhy(t.Context(), c, terminal(keys)...); !errors.Is(err, failure) {
		t.Errorf("ended with %v", err)
	}
}
