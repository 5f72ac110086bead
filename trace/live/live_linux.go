// Package live joins tracers and the assembler: it traces a set of network
// namespaces and delivers their packets' walks as they grow.
package live

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"packetwalk/trace"
	"packetwalk/trace/assemble"
	"packetwalk/trace/nflog"
	"packetwalk/trace/ruleset"
)

// Config says what to trace.
type Config struct {
	Targets []nflog.Target
	// Segments wires the targets' interfaces; see assemble.Config.
	Segments map[assemble.Port]int
	// Finished asks for walks that have come to their end only, each once.
	// Otherwise a walk is delivered whenever it has grown.
	Finished bool
	// Rate is how many walks may begin in a second. Packets beyond that are not
	// followed but counted; see LeftOut. 0 for no limit.
	Rate int
	// Name is what is known to be behind an address, for trace.Walk.Names; empty
	// for nothing. Nil where nothing is known.
	Name func(netip.Addr) string
	// Options are those of every tracer; where they name no run, one is made.
	Options nflog.Options
	// Changed is called with the name of a node whose ruleset others have
	// changed; see nflog.Options. Calls for several nodes may overlap.
	Changed func(node string)
}

// Trace is a running trace.
type Trace struct {
	tracers []*nflog.Tracer
	name    func(netip.Addr) string
	walks   chan trace.Walk
	events  chan arrival
	wires   chan map[assemble.Port]int
	stop    chan struct{}
	ended   sync.WaitGroup
	// untaken counts the events between the tracers and what note says of them.
	untaken atomic.Int64

	mu    sync.Mutex // guards the fields below
	quiet time.Time  // since when nothing has happened
	busy  bool
	idle  chan struct{} // closed and replaced whenever quiet or busy changes

	left leftOut
}

type arrival struct {
	event trace.Event
	at    time.Time
}

// Start attaches probes to every target, side by side, and begins to trace. When
// one target fails, the probes of the others are removed again.
func Start(ctx context.Context, c Config) (*Trace, error) {
	t := &Trace{
		name:    c.Name,
		tracers: make([]*nflog.Tracer, len(c.Targets)),
		walks:   make(chan trace.Walk, 256),
		events:  make(chan arrival, 4096),
		wires:   make(chan map[assemble.Port]int),
		stop:    make(chan struct{}),
		quiet:   time.Now(),
		idle:    make(chan struct{}),
	}
	if c.Options.Run == "" {
		c.Options.Run = nflog.NewRun()
	}
	c.Targets = counted(c.Targets, c.Rate > 0)
	if err := t.attach(ctx, c); err != nil {
		return nil, errors.Join(err, t.Close(context.WithoutCancel(ctx)))
	}
	nodes := map[string]assemble.Node{}
	for _, tr := range t.tracers {
		nodes[tr.Node()] = tr.Probed()
	}
	a := assemble.New(assemble.Config{Segments: c.Segments, Nodes: nodes, Limit: c.Rate, Early: early(c.Targets)})
	t.ended.Go(func() { t.assemble(a, c.Finished, newLimiter(t, a, c)) })
	if c.Rate > 0 {
		t.left.begin(t, c.Options.Report)
	}
	return t, nil
}

func (t *Trace) attach(ctx context.Context, c Config) error {
	errs := make([]error, len(c.Targets))
	var wg sync.WaitGroup
	for i, target := range c.Targets {
		o := c.Options
		if c.Changed != nil {
			o.Changed = func() { c.Changed(target.Node) }
		}
		wg.Go(func() {
			t.tracers[i], errs[i] = nflog.Attach(ctx, target, o, t.receive)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); !errors.Is(err, nflog.ErrNoNFLOG) {
		return err
	}
	return nflog.ErrNoNFLOG // once is enough
}

func (t *Trace) receive(e trace.Event) {
	t.left.unjudged.Add(int64(e.Missed))
	t.untaken.Add(1)
	select {
	case t.events <- arrival{e, time.Now()}:
	case <-t.stop:
		t.untaken.Add(-1)
	}
}

// Walks delivers the walks. It has to be read until it is closed, which Close
// brings about.
func (t *Trace) Walks() <-chan trace.Walk { return t.walks }

// Variant says which implementation of iptables a node has, the first where it has both.
func (t *Trace) Variant(node string) trace.Variant {
	for _, tr := range t.tracers {
		if tr.Node() == node {
			return tr.Variant()
		}
	}
	return trace.Legacy
}

// Rules is the ruleset of every node for an address family, without probes.
func (t *Trace) Rules(family trace.Family) map[string]ruleset.Ruleset {
	rules := map[string]ruleset.Ruleset{}
	for _, tr := range t.tracers {
		if tr != nil {
			rules[tr.Node()] = tr.Rules(family)
		}
	}
	return rules
}

// Variants are the rulesets of every node for an address family, by the
// implementation of iptables that holds them, without probes.
func (t *Trace) Variants(family trace.Family) map[string]map[trace.Variant]ruleset.Ruleset {
	all := map[string]map[trace.Variant]ruleset.Ruleset{}
	for _, tr := range t.tracers {
		if tr != nil {
			all[tr.Node()] = tr.Variants(family)
		}
	}
	return all
}

// Lost counts the events that the kernel could not deliver, but for those that
// were not wanted because of the limit.
func (t *Trace) Lost() uint64 {
	var n int64
	for _, tr := range t.tracers {
		if tr != nil {
			n += int64(tr.Lost())
		}
	}
	return uint64(max(0, n-t.left.excused.Load()-t.left.unjudged.Load()))
}

const (
	// tick is how often walks that wait for something are looked at.
	tick = 2 * time.Millisecond
	// idleTick is how often walks that are done are looked at, to be forgotten.
	idleTick = time.Second
	// backlog is how long readers may be behind without a pause before walks
	// are decided all the same.
	backlog = 3 * time.Second
	// hurry is how long walks that can be shown are held back while a reader is
	// behind: what it has still to read may have begun before them.
	hurry = 50 * time.Millisecond
)

// assemble runs until stop is closed, then ends the walks that are under way.
func (t *Trace) assemble(a *assemble.Assembler, finished bool, l *limiter) {
	defer close(t.walks)
	timer := time.NewTimer(idleTick)
	defer timer.Stop()
	ticked := time.Now()
	var behind time.Time // since when walks are held back; zero where they are not
	for {
		select {
		case e := <-t.events:
			t.take(l, e)
			if len(t.events) > 0 {
				continue // take what is there before drawing walks up
			}
		case segments := <-t.wires:
			a.Rewire(segments)
		case <-timer.C:
			// Time that passes while a reader is behind says nothing about packets.
			if now := time.Now(); !t.pending() || now.Sub(ticked) > backlog {
				l.tick(now)
				ticked = now
			}
		case <-t.stop:
			for len(t.events) > 0 {
				t.take(l, <-t.events)
			}
			l.end()
			a.Finish()
			t.deliver(a, finished)
			return
		}
		pending := t.pending()
		if pending && behind.IsZero() {
			behind = time.Now()
		}
		held := pending && time.Since(behind) < hurry
		if !held {
			t.deliver(a, finished)
			behind = time.Time{}
		}
		waiting := a.Waiting(finished)
		t.note(time.Time{}, waiting || held)
		switch {
		case waiting || held || l.waiting():
			timer.Reset(tick)
		case !a.Empty():
			timer.Reset(idleTick)
		}
	}
}

// take gives an event to the assembler.
func (t *Trace) take(l *limiter, e arrival) {
	l.add(e)
	t.note(e.at, true)
	t.untaken.Add(-1)
}

func (t *Trace) deliver(a *assemble.Assembler, finished bool) {
	t.left.followed.Store(int64(a.Followed()))
	for _, w := range a.Take(time.Now(), finished) {
		t.addNames(&w)
		t.walks <- w
	}
}

// addNames notes what is behind the walk's addresses.
func (t *Trace) addNames(w *trace.Walk) {
	if t.name == nil {
		return
	}
	for _, addr := range w.Addresses() {
		name := t.name(addr)
		if name == "" {
			continue
		}
		if w.Names == nil {
			w.Names = map[netip.Addr]string{}
		}
		w.Names[addr] = name
	}
}

// note keeps for Quiet what is going on: when an event came, if one did, and
// whether a walk is still under way.
func (t *Trace) note(at time.Time, busy bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at.IsZero() && busy == t.busy {
		return
	}
	if !at.IsZero() {
		t.quiet = at
	}
	t.busy = busy
	close(t.idle)
	t.idle = make(chan struct{})
}

// Quiet waits until every walk has come to its end and nothing has happened
// for a while, or until ctx ends. The while begins with the call at the earliest:
// what happened just before may still be on its way here.
func (t *Trace) Quiet(ctx context.Context, while time.Duration) error {
	called := time.Now()
	for {
		pending := t.pending() // first: what is not pending is noted
		t.mu.Lock()
		busy, since, changed := t.busy, t.quiet, t.idle
		t.mu.Unlock()
		var over <-chan time.Time
		if !busy {
			rest := while - min(time.Since(since), time.Since(called))
			if rest <= 0 && !pending {
				return nil
			}
			over = time.After(max(rest, tick))
		}
		select {
		case <-over:
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pending says whether events wait to be read or taken.
func (t *Trace) pending() bool {
	// In this order: what a tracer has handed on counts as untaken by then.
	return slices.ContainsFunc(t.tracers, (*nflog.Tracer).Pending) || t.untaken.Load() > 0
}

// Abandon is Close for a trace whose walks nobody reads any more.
func (t *Trace) Abandon(ctx context.Context) error {
	go func() {
		for range t.walks { // until Close has closed it
		}
	}()
	return t.Close(ctx)
}

// Close removes the probes and ends the trace. It can be repeated.
func (t *Trace) Close(ctx context.Context) error {
	counting := t.left.end(ctx, t)
	errs := make([]error, len(t.tracers))
	var wg sync.WaitGroup
	for i, tr := range t.tracers {
		if tr != nil {
			wg.Go(func() { errs[i] = tr.Detach(ctx) })
		}
	}
	wg.Wait()
	t.mu.Lock()
	select {
	case <-t.stop:
	default:
		close(t.stop)
	}
	t.mu.Unlock()
	t.ended.Wait()
	t.left.settle()
	return errors.Join(append(errs, counting)...)
}
