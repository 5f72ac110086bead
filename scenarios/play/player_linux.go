package play

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"packetwalk/lab"
	"packetwalk/scenarios"
	"packetwalk/scenarios/expect"
	"packetwalk/trace"
	"packetwalk/trace/assemble"
	"packetwalk/trace/live"
	"packetwalk/trace/nflog"
	"packetwalk/trace/ruleset"
)

// Options say how a scenario is played.
type Options struct {
	// Iptables is the variant of iptables, as lab.Options has it. What the
	// scenario itself demands comes first.
	Iptables string
	// Patience is how many times as long as its clients say an answer is waited
	// for, on a slow machine; 0 counts as 1.
	Patience int
	// Finished asks for walks that have come to their end only.
	Finished bool
	// Report is called with what goes wrong while nobody waits for an answer. It
	// must be set, and is called from several goroutines.
	Report func(error)
}

// Player plays a scenario: its lab, traced. Its methods are called by one
// goroutine at a time.
type Player struct {
	scenario scenarios.Scenario
	family   trace.Family // of the rules that are shown
	lab      *lab.Lab
	trace    *live.Trace
	control  *lab.Control
	walks    *live.Book
	changed  chan struct{} // has a token when something may have changed
	stop     context.CancelFunc
	watching sync.WaitGroup
}

// Start builds a scenario's lab and traces all of it. Call it in the sandbox.
func Start(ctx context.Context, s scenarios.Scenario, o Options) (*Player, error) {
	o.Iptables = s.Variant(o.Iptables)
	s.Topology.Clients = patient(s.Topology.Clients, max(1, o.Patience))
	l, err := lab.Build(ctx, s.Topology, lab.Options{Iptables: o.Iptables, Hidden: nflog.IsProbe})
	if err != nil {
		return nil, err
	}
	watching, stop := context.WithCancel(context.Background())
	p := &Player{scenario: s, family: family(s.Topology), lab: l, changed: make(chan struct{}, 1), stop: stop}
	if p.trace, err = live.Start(ctx, p.traceConfig(o)); err != nil {
		stop()
		return nil, errors.Join(err, l.Close())
	}
	p.walks = live.NewBook(p.trace.Walks())
	p.watching.Go(func() {
		for range l.Changed(watching, o.Report) {
			p.nudge()
		}
	})
	options := lab.ControlOptions{Scenario: s.Name, Probes: p.trace, Changed: func(string) { p.nudge() }}
	if p.control, err = l.Control(options); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// nudge notes that something may have changed in the lab.
func (p *Player) nudge() {
	select {
	case p.changed <- struct{}{}:
	default: // it is noted already
	}
}

// patient lets clients wait that many times as long.
func patient(clients []lab.Client, times int) []lab.Client {
	all := slices.Clone(clients)
	for i := range all {
		all[i].Wait *= time.Duration(times)
	}
	return all
}

// family is that of the first client's request.
func family(t lab.Topology) trace.Family {
	if len(t.Clients) > 0 && t.Clients[0].To.Addr().Is6() {
		return trace.IPv6
	}
	return trace.IPv4
}

// traceConfig traces every table of every node.
func (p *Player) traceConfig(o Options) live.Config {
	t := p.scenario.Topology
	config := live.Config{Segments: segments(t), Finished: o.Finished, Options: nflog.Options{Report: o.Report}}
	backends := backends(t, p.scenario.Iptables, o.Iptables)
	for _, n := range t.Nodes {
		config.Targets = append(config.Targets, nflog.Target{
			Node: n.Name, Namespace: p.lab.Node(n.Name), Tables: trace.Tables(), Backends: backends,
		})
	}
	return config
}

func segments(t lab.Topology) map[assemble.Port]int {
	all := map[assemble.Port]int{}
	for port, segment := range t.Segments() {
		all[assemble.Port(port)] = segment
	}
	return all
}

// backends are the implementations of iptables to trace in a lab: that for IPv6
// only where the lab has IPv6, since otherwise all that it would show is what
// machines say unasked.
func backends(t lab.Topology, demanded, chosen string) []nflog.Backend {
	variants := []string{chosen}
	if demanded == "both" {
		variants = []string{"nft", "legacy"}
	}
	var all []nflog.Backend
	for _, v := range variants {
		c := lab.Command(v)
		all = append(all, nflog.Backend{Family: trace.IPv4, Command: c.Iptables})
		if t.HasIPv6() {
			all = append(all, nflog.Backend{Family: trace.IPv6, Command: c.Iptables6})
		}
	}
	return all
}

// Close ends the trace and the lab. Walks that nobody has read by then are lost.
func (p *Player) Close() error {
	go func() {
		for range p.walks.Walks() { // until the book is closed
		}
	}()
	var err error
	p.stop()
	p.watching.Wait()
	if p.control != nil {
		err = p.control.Close()
	}
	err = errors.Join(err, p.trace.Close(context.Background()))
	p.walks.Wait()
	return errors.Join(err, p.lab.Close())
}

// Scenario is what is played.
func (p *Player) Scenario() scenarios.Scenario { return p.scenario }

// Lab is the lab that the scenario is played in.
func (p *Player) Lab() *lab.Lab { return p.lab }

// Trace is the trace of the lab. Its walks come by Walks.
func (p *Player) Trace() *live.Trace { return p.trace }

// Control is how others control the lab.
func (p *Player) Control() *lab.Control { return p.control }

// Walks delivers the walks, as live.Trace does. It has to be read.
func (p *Player) Walks() <-chan trace.Walk { return p.walks.Walks() }

// Mark is the ID that the next walk will have.
func (p *Player) Mark() int { return p.walks.Next() }

// commandPatience is how long a command of a scenario may take.
const commandPatience = 20 * time.Second

// Run carries a command out in its node and waits for its end.
func (p *Player) Run(ctx context.Context, c scenarios.Command) Ran {
	ctx, cancel := context.WithTimeout(ctx, commandPatience)
	defer cancel()
	ran := Ran{Command: c, Done: true}
	out, err := p.lab.Run(ctx, c.Node, c.Text)
	ran.Output, ran.Omitted, ran.Exit = strings.TrimRight(string(out.Output), "\n"), out.Omitted, out.Exit
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		ran.Output, ran.Exit = strings.TrimLeft(fmt.Sprintf("%s\n(stopped after %v)", ran.Output, commandPatience), "\n"), stopped
	case err != nil:
		ran.Output, ran.Exit = strings.TrimLeft(ran.Output+"\n"+err.Error(), "\n"), noExit
	}
	if _, err := p.rewire(ctx); err != nil && ran.Exit == 0 {
		ran.Output, ran.Exit = err.Error(), noExit
	}
	return ran
}

// The exit codes of commands that could not be carried out, as the shell has it,
// and of those that took too long, as timeout(1) has it.
const (
	noExit  = 126
	stopped = 124
)

// rewire tells the trace which interfaces hear each other now.
func (p *Player) rewire(ctx context.Context) (lab.Topology, error) {
	t, err := p.lab.Observe(ctx)
	if err != nil {
		return t, fmt.Errorf("looking at the lab's network: %w", err)
	}
	p.trace.Rewire(segments(t))
	return t, nil
}

const (
	// calm is how long nothing may happen before traffic counts as over. What
	// ends a connection is acknowledged at once.
	calm = 50 * time.Millisecond
	// patience is how long walks that do not end are waited for, once the
	// request has had its answer or has given up.
	patience = 6 * time.Second
)

// Traffic sends requests, one after the other, waits until all is quiet, and
// holds the walks to what is expected of them.
func (p *Player) Traffic(ctx context.Context, t Traffic) (Outcome, error) {
	out := Outcome{First: p.Mark(), Answers: map[string]expect.Answer{}}
	for _, client := range t.Send {
		r, err := p.lab.Send(ctx, client)
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		out.Answers[client] = expect.Answer{Response: r, Err: err}
	}
	if err := p.settle(ctx); err != nil {
		return out, err
	}
	out.Results = p.judge(t, out)
	return out, nil
}

// settle waits until the walks of what was sent have come to their end.
func (p *Player) settle(ctx context.Context) error {
	quiet, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_ = p.trace.Quiet(quiet, calm) // what is not over by then counts as it is
	p.walks.Sync()
	return ctx.Err()
}

// judge holds walks to expectations: those of the requests where an expectation
// names one, else all since the given one.
func (p *Player) judge(t Traffic, out Outcome) []expect.Result {
	recent := expect.Evidence{Topology: p.scenario.Topology, Walks: p.walks.Since(out.First), Answers: out.Answers}
	all := recent
	all.Walks = p.walks.Since(min(t.Since, out.First))
	results := make([]expect.Result, len(t.Expect))
	for i, e := range t.Expect {
		evidence := all
		if e.Request != "" {
			evidence = recent
		}
		results[i] = expect.Check(evidence, []scenarios.Expectation{e})[0]
	}
	return results
}

// labSnapshot is a Snapshot of a real lab.
type labSnapshot struct{ lab.Snapshot }

// Equal says whether two states are the same.
func (s labSnapshot) Equal(other Snapshot) bool {
	o, ok := other.(labSnapshot)
	return ok && s.Snapshot.Equal(o.Snapshot)
}

// Snapshot is the lab as it is, to be restored.
func (p *Player) Snapshot(ctx context.Context) (Snapshot, error) {
	s, err := p.lab.Snapshot(ctx)
	return labSnapshot{s}, err
}

// Restore puts the lab back to a state that Snapshot has given.
func (p *Player) Restore(ctx context.Context, s Snapshot) error {
	err := p.untraced(ctx, func() error { return p.lab.Restore(ctx, s.(labSnapshot).Snapshot) })
	if err != nil {
		return err
	}
	_, err = p.rewire(ctx)
	return err
}

// untraced does something while no node has probes.
func (p *Player) untraced(ctx context.Context, do func() error) error {
	var paused []string
	var err error
	for _, n := range p.scenario.Topology.Nodes {
		if err = p.trace.Pause(ctx, n.Name); err != nil {
			break
		}
		paused = append(paused, n.Name)
	}
	if err == nil {
		err = do()
	}
	for _, n := range paused {
		err = errors.Join(err, p.trace.Resume(context.WithoutCancel(ctx), n))
	}
	return err
}

// Now is the lab as it is: its network, and the rules of every node.
func (p *Player) Now(ctx context.Context) (lab.Topology, map[string]ruleset.Ruleset, error) {
	t, err := p.rewire(ctx)
	return t, p.trace.Rules(p.family), err
}

// Changed says that something has changed in the lab.
func (p *Player) Changed() <-chan struct{} { return p.changed }

// Walked says that walks have come to their end.
func (p *Player) Walked() <-chan struct{} { return p.walks.Ended() }

// Play leads through the scenario at a user's pace. progress is called whenever
// a step is finished; it may be nil. The session has to be ended before Close.
func (p *Player) Play(ctx context.Context, progress func(Progress)) *Session {
	return newSession(ctx, p.scenario, p, progress)
}
