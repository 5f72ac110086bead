package main

import (
	"context"
	"encoding/json"
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
	"packetwalk/trace"
	"packetwalk/trace/assemble"
	"packetwalk/trace/live"
	"packetwalk/trace/nflog"
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
	return errors.Join(r.show(ctx), r.close())
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
	scenario scenarios.Scenario
	flags    runFlags
	lab      *lab.Lab
	trace    *live.Trace
	watch    *firstError // of following the rules
	control  *lab.Control
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

// startRun builds the scenario's lab and traces all of it.
func startRun(ctx context.Context, s scenarios.Scenario, flags runFlags) (*run, error) {
	l, err := lab.Build(ctx, s.Topology, lab.Options{Iptables: flags.iptables, Hidden: nflog.IsProbe})
	if err != nil {
		return nil, err
	}
	watch := &firstError{}
	config := live.Config{Segments: map[assemble.Port]int{}, Finished: flags.view() != viewTUI}
	config.Options.Report = watch.note // the rules may be changed by hand
	for port, segment := range s.Topology.Segments() {
		config.Segments[assemble.Port(port)] = segment
	}
	for _, n := range s.Topology.Nodes {
		config.Targets = append(config.Targets, nflog.Target{
			Node: n.Name, Namespace: l.Node(n.Name), Tables: trace.Tables(), Backends: backends(s.Topology, flags.iptables),
		})
	}
	t, err := live.Start(ctx, config)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	c, err := l.Control(lab.ControlOptions{Scenario: s.Name, Probes: t})
	if err != nil {
		return nil, errors.Join(err, t.Abandon(context.WithoutCancel(ctx)), l.Close())
	}
	return &run{s, flags, l, t, watch, c}, nil
}

// backends are the implementations of iptables to trace in a lab: that for IPv6
// only where the lab has IPv6, since otherwise all that it would show is what
// machines say unasked.
func backends(t lab.Topology, variant string) []nflog.Backend {
	c := lab.Command(variant)
	all := []nflog.Backend{{Family: trace.IPv4, Command: c.Iptables}}
	if t.HasIPv6() {
		all = append(all, nflog.Backend{Family: trace.IPv6, Command: c.Iptables6})
	}
	return all
}

// close ends the trace and the lab. It must not be cut short by what ended the run.
func (r *run) close() error {
	return errors.Join(r.control.Close(), r.trace.Abandon(context.Background()), r.watch.get(), r.lab.Close())
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
		_, err := r.lab.Send(ctx, r.request().Name)
		return err
	}
	return tui.Run(ctx, tui.Config{
		Title: r.scenario.Title.In(r.flags.lang), Intro: r.scenario.Summary.In(r.flags.lang), Lang: r.flags.lang,
		Topology: r.scenario.Topology, Rulesets: r.trace.Rules(trace.IPv4), Walks: r.trace.Walks(),
		Variant: r.trace.Variant(r.scenario.Topology.Nodes[0].Name), Send: send, Request: r.request().Command(), Losses: r.trace.Lost,
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
	out := newPrinter(w, r.flags, r.trace.Rules)
	printed := make(chan error, 1)
	go func() {
		var errs error
		for walk := range r.trace.Walks() {
			if errs == nil { // go on reading even where nobody listens
				errs = out.walk(walk)
			}
		}
		printed <- errs
	}()
	answer, sendErr := r.lab.Send(ctx, r.request().Name)
	if ctx.Err() == nil {
		quiet, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		_ = r.trace.Quiet(quiet, calm) // what is not over by then is printed as unfinished
	}
	err := errors.Join(r.trace.Close(context.Background()), <-printed)
	if err == nil {
		err = errors.Join(out.answer(r.request(), answer, sendErr), out.lost(r.trace.Lost()))
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
	// lost prints how many events were lost.
	lost(n uint64) error
}

// newPrinter makes the printer that the flags ask for. rules gives the rulesets
// by node that the rules which a walk passed over are found in.
func newPrinter(w io.Writer, flags runFlags, rules func(trace.Family) map[string]ruleset.Ruleset) printer {
	over := func(trace.Walk) []passed.Passed { return nil }
	if flags.allRules {
		over = func(w trace.Walk) []passed.Passed { return passed.Over(w, rules(w.Packet.Family)) }
	}
	if flags.json {
		return jsonPrinter{json.NewEncoder(w), over}
	}
	return plainPrinter{&tui.Plain{W: w, Lang: flags.lang, Over: over}}
}

type plainPrinter struct{ *tui.Plain }

func (p plainPrinter) walk(w trace.Walk) error { return p.Walk(w) }

func (p plainPrinter) answer(c lab.Client, answer lab.Response, err error) error {
	return p.Answer(tui.Answer{Request: c.Command(), Status: answer.Status, Bytes: len(answer.Body), RTT: answer.RTT, Err: err})
}

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
