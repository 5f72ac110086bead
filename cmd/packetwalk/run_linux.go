package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/term"

	"packetwalk/lab"
	"packetwalk/lab/control"
	"packetwalk/scenarios"
	"packetwalk/scenarios/play"
	"packetwalk/trace"
	"packetwalk/tui"
)

// runInSandbox runs the scenario in the sandbox: from outside it, by running
// this program again inside.
func runInSandbox(ctx context.Context, s scenarios.Scenario, flags runFlags) error {
	if !lab.InSandbox() {
		door, err := control.OpenDoor()
		if err != nil {
			// The lab itself works without: say what does not.
			fmt.Fprintf(os.Stderr, "packetwalk: %v; packetwalk shell and exec will not find this lab\n", err)
		} else {
			defer door.Close()
		}
		return reexec(ctx, door)
	}
	if err := lab.Enter(); err != nil {
		return err
	}
	r, err := startRun(ctx, s, flags)
	if err != nil {
		return err
	}
	return errors.Join(r.show(ctx), r.Close(), r.watch.get())
}

// reexec runs this program again in the sandbox, with a door for those who come to
// its lab, nil for none, and with files for lab.Handed. The signals that end the
// program go to the sandboxed process, which cleans up.
func reexec(ctx context.Context, door *control.Door, files ...*os.File) error {
	restore := rememberTerminal()
	code, err := lab.Reexec(context.WithoutCancel(ctx), door, files...)
	if err != nil {
		return err
	}
	if code == killed {
		restore()
	}
	if code == exitDone {
		return nil
	}
	return exitError(code)
}

// killed is the exit code of a process that SIGKILL ended.
const killed = 128 + int(syscall.SIGKILL)

// rememberTerminal notes the state of the terminal. What it returns brings that
// back after a sandboxed process that could not do so itself: out of raw mode
// and the alternate screen, with a cursor.
func rememberTerminal() (restore func()) {
	in, out := os.Stdin.Fd(), os.Stdout
	if !term.IsTerminal(in) || !term.IsTerminal(out.Fd()) {
		return func() {}
	}
	state, err := term.GetState(in)
	if err != nil {
		return func() {}
	}
	return func() {
		_ = term.Restore(in, state) // there is nobody left to tell
		fmt.Fprint(out, ansi.ResetModeAltScreenSaveCursor, ansi.ShowCursor)
	}
}

// run is a scenario at work.
type run struct {
	*play.Player
	scenario scenarios.Scenario
	flags    runFlags
	watch    *firstError // of following what changes in the lab
}

// startRun builds the scenario's lab and traces all of it.
func startRun(ctx context.Context, s scenarios.Scenario, flags runFlags) (*run, error) {
	watch := &firstError{}
	var err error
	if flags.iptables, err = usableIptables(ctx, s, flags.iptables); err != nil {
		return nil, err
	}
	p, err := play.Start(ctx, s, play.Options{Iptables: flags.iptables, Patience: flags.patience, Finished: flags.view() != viewTUI, Report: watch.note})
	if err != nil {
		return nil, err
	}
	return &run{p, s, flags, watch}, nil
}

// usableIptables is the variant of iptables to play a scenario with, in the
// words of lab.Options: the one that the scenario or the user demands, or one
// that works here. It says so where that is not what the system calls iptables.
func usableIptables(ctx context.Context, s scenarios.Scenario, asked string) (string, error) {
	demanded := s.Variant(asked)
	if demanded != "" {
		return demanded, nil
	}
	usable, trouble, err := lab.Usable(ctx, "", s.Topology.HasIPv6())
	if trouble != "" {
		fmt.Fprintf(os.Stderr, "packetwalk: what this system calls iptables cannot be used here (%s); the lab has iptables-%s instead\n", trouble, usable)
	}
	return usable, err
}

// firstError keeps the first of the errors that it is told of.
type firstError struct {
	mu  sync.Mutex
	err error
}

func (f *firstError) note(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

func (f *firstError) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// request is the client that the scenario sends when nothing else is said: its first.
func (r *run) request() lab.Client { return r.scenario.Topology.Clients[0] }

func (r *run) show(ctx context.Context) error {
	if r.flags.view() == viewTUI {
		return r.draw(ctx)
	}
	return r.print(ctx, os.Stdout)
}

// draw shows the run on the terminal until the user ends it.
func (r *run) draw(ctx context.Context) error {
	if len(r.scenario.Steps) > 0 {
		return r.drawLesson(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	send := func(ctx context.Context) error {
		_, err := r.Lab().Send(ctx, r.request().Name)
		return err
	}
	return tui.Run(ctx, tui.Config{
		Title: r.scenario.Title.In(r.flags.lang), Intro: r.scenario.Summary.In(r.flags.lang), Lang: r.flags.lang,
		Topology: r.scenario.Topology, Rulesets: r.Trace().Rules(trace.IPv4), Walks: r.Walks(),
		Variant: r.Trace().Variant(r.scenario.Topology.Nodes[0].Name), Send: send, Request: r.request().Command(), Losses: r.Trace().Lost,
	})
}

const (
	// calm is how long nothing may happen before a printed run counts as over.
	// What ends a connection is acknowledged at once.
	calm = 50 * time.Millisecond
	// patience is how long walks that do not end are waited for, once the
	// request has had its answer or has given up.
	patience = 6 * time.Second
)

// print sends the request once, and prints every walk as it ends.
func (r *run) print(ctx context.Context, w io.Writer) error {
	if len(r.scenario.Steps) > 0 {
		return r.tell(ctx, w)
	}
	out := newPrinter(w, r.flags, r.Trace().Rules)
	printed := make(chan error, 1)
	go func() {
		var errs error
		for walk := range r.Walks() {
			if errs == nil { // go on reading even where nobody listens
				errs = out.walk(walk)
			}
		}
		printed <- errs
	}()
	answer, sendErr := r.Lab().Send(ctx, r.request().Name)
	if ctx.Err() == nil {
		quiet, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		_ = r.Trace().Quiet(quiet, calm) // what is not over by then is printed as unfinished
	}
	err := errors.Join(r.Trace().Close(context.Background()), <-printed)
	if err == nil {
		err = errors.Join(out.answer(r.request(), answer, sendErr), out.lost(r.Trace().Lost()))
	}
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case sendErr != nil:
		return exitError(exitFailed) // printed as what the request brought
	}
	return nil
}
