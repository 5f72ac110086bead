package tui

import (
	"bytes"
	"context"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"packetwalk/scenarios/play"
)

func TestWalksComeBeforeTheState(t *testing.T) {
	f := newFixtureSession()
	ctx, cancel := context.WithCancel(t.Context())
	b := newInbox()
	f.begin(0)
	f.next() // to the question
	f.send()
	close(f.walks)
	close(f.states)
	feedSession(ctx, f, b.send)
	cancel()
	walks, ended := 0, false
	for _, msg := range b.msgs {
		switch msg := msg.(type) {
		case walksMsg:
			walks += len(msg.walks)
		case playMsg:
			walks += len(msg.walks)
			if msg.state.Phase == play.Watching && walks != 3 {
				t.Errorf("the state that says that it is over comes after %d walks", walks)
			}
		case endedMsg:
			ended = true
		}
	}
	if walks != 3 || !ended {
		t.Errorf("%d walks, ended %v", walks, ended)
	}
}

func TestSessionFeederEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { feedSession(ctx, newFixtureSession(), newInbox().send) })
	cancel()
	wg.Wait()
}

// paper is a terminal on which one can wait for something to be written.
type paper struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all.Write(b)
}

func (p *paper) has(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Contains(p.all.Bytes(), []byte(text))
}

func TestRunPlaysASession(t *testing.T) {
	// A pipe of the system's: from it a reader can be taken away, as from a terminal.
	keys, typing, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	defer typing.Close()
	f, out := newFixtureSession(), &paper{}
	c := fixtureConfig(t, "en")
	c.Session, c.Steps = f, f.steps
	ran := make(chan struct{}, 8)
	c.Shell = func(string) tea.ExecCommand { ran <- struct{}{}; return fakeShell{} }
	ended := make(chan error, 1)
	go func() {
		ended <- run(t.Context(), c, tea.WithInput(keys), tea.WithOutput(out), tea.WithWindowSize(120, 36), tea.WithoutSignals())
	}()
	f.begin(0)
	await(t, "the step's text", func() bool { return out.has("The client asks for port") })
	typeKeys(t, typing, "s\r")
	<-ran
	// What is typed while the shell takes the terminal and gives it back may be lost.
	typed := time.Time{}
	await(t, "the stage", func() bool {
		if time.Since(typed) > time.Second {
			typed = time.Now()
			typeKeys(t, typing, "v")
		}
		return out.has("netfilter path of")
	})
	typeKeys(t, typing, "q")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func typeKeys(t *testing.T, to io.Writer, keys string) {
	t.Helper()
	if _, err := io.WriteString(to, keys); err != nil {
		t.Fatal(err)
	}
}

// await waits until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s has not come", what)
		}
	}
}
