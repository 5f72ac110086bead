package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/term"

	"packetwalk/lab"
	"packetwalk/lab/control"
	"packetwalk/scenarios"
	"packetwalk/scenarios/play"
	"packetwalk/trace"
	"packetwalk/trace/passed"
	"packetwalk/trace/ruleset"
	"packetwalk/tui"
)

// runInSandbox runs the scenario in the sandbox: from outside it, by running
// this program again inside.
func runInSandbox(ctx context.Context, s scenarios.Scenario, flags runFlags) error {
	if !lab.InSandbox() {
		// The signals that end the program go to the sandboxed process, which cleans up.
		restore := rememberTerminal()
		door, err := control.OpenDoor()
		if err != nil {
			// The lab itself works without: say what does not.
			fmt.Fprintf(os.Stderr, "packetwalk: %v; packetwalk shell and exec will not find this lab\n", err)
		} else {
			defer door.Close()
		}
		code, err := lab.Reexec(context.WithoutCancel(ctx), door)
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
	if err := lab.Enter(); err != nil {
		return err
	}
	r, err := startRun(ctx, s, flags)
	if err != nil {
		return err
	}
	return errors.Join(r.show(ctx), r.Close())
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
}

// startRun builds the scenario's lab and traces all of it.
func startRun(ctx context.Context, s scenarios.Scenario, flags runFlags) (*run, error) {
	report := func(err error) { fmt.Fprintln(os.Stderr, "packetwalk:", err) }
	p, err := play.Start(ctx, s, play.Options{Iptables: flags.iptables, Finished: flags.view() != viewTUI, Report: report})
	if err != nil {
		return nil, err
	}
	return &run{p, s, flags}, nil
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

// printer is one way to print a run.
type printer interface {
	walk(trace.Walk) error
	// answer prints what a request brought.
	answer(c lab.Client, answer lab.Response, err error) error
	// leftOut prints how many packets were not followed so far because of a limit
	// on how many walks may begin in a second.
	leftOut(n uint64, rate int) error
	// lost prints how many events were lost.
	lost(n uint64) error
}

// newPrinter makes the printer that the flags ask for. rules gives the rulesets
// by node that the rules which a walk passed over are found in.
func newPrinter(w io.Writer, flags runFlags, rules func(trace.Family) map[string]ruleset.Ruleset) printer {
	over := passedOver(flags, rules)
	if flags.json {
		return jsonPrinter{json.NewEncoder(w), over}
	}
	return plainPrinter{&tui.Plain{W: w, Lang: flags.lang, Over: over}}
}

// passedOver finds the rules that a walk passed over, if the flags ask for them.
func passedOver(flags runFlags, rules func(trace.Family) map[string]ruleset.Ruleset) func(trace.Walk) []passed.Passed {
	if !flags.allRules {
		return func(trace.Walk) []passed.Passed { return nil }
	}
	return func(w trace.Walk) []passed.Passed { return passed.Over(w, rules(w.Packet.Family)) }
}

type plainPrinter struct{ *tui.Plain }

func (p plainPrinter) walk(w trace.Walk) error { return p.Walk(w) }

func (p plainPrinter) answer(c lab.Client, answer lab.Response, err error) error {
	return p.Answer(tui.Answer{Request: c.Command(), Status: answer.Status, Bytes: len(answer.Body), RTT: answer.RTT, Err: err})
}

func (p plainPrinter) leftOut(n uint64, rate int) error { return p.LeftOut(n, rate) }

func (p plainPrinter) lost(n uint64) error { return p.Lost(n) }

// jsonPrinter prints one object a line; docs/json.md describes them.
type jsonPrinter struct {
	*json.Encoder
	over func(trace.Walk) []passed.Passed
}

func (p jsonPrinter) walk(w trace.Walk) error {
	err := p.Encode(w)
	if over := p.over(w); err == nil && len(over) > 0 {
		err = p.Encode(passedJSON(w, over))
	}
	return err
}

func (p jsonPrinter) leftOut(n uint64, rate int) error {
	if n == 0 {
		return nil
	}
	return p.Encode(struct {
		Type    string `json:"type"`
		Packets uint64 `json:"packets"`
		Rate    int    `json:"rate"`
	}{"left-out", n, rate})
}

func (p jsonPrinter) lost(n uint64) error {
	return p.Encode(struct {
		Type   string `json:"type"`
		Events uint64 `json:"events"`
	}{"lost", n})
}

func (p jsonPrinter) answer(c lab.Client, answer lab.Response, err error) error {
	object := struct {
		Type    string  `json:"type"`
		Request string  `json:"request"`
		Status  int     `json:"status,omitempty"`
		Bytes   int     `json:"bytes"`
		RTT     float64 `json:"rtt"` // seconds
		Error   string  `json:"error,omitempty"`
	}{"answer", c.Command(), answer.Status, len(answer.Body), answer.RTT.Seconds(), ""}
	if err != nil {
		object.Error = err.Error()
	}
	return p.Encode(object)
}
