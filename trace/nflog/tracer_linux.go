package nflog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	gonflog "github.com/florianl/go-nflog/v2"
	"github.com/mdlayher/netlink"

	"packetwalk/trace"
	"packetwalk/trace/filter"
	"packetwalk/trace/nftrace"
	"packetwalk/trace/ruleset"
)

// Namespace is a place to trace: Do runs a function on an OS thread that is in
// the network namespace, so that sockets and child processes belong to it.
type Namespace interface {
	Do(func() error) error
}

// Backend is one implementation of iptables for one address family.
type Backend struct {
	Family trace.Family
	// Command is the iptables command ("iptables", "iptables-legacy",
	// "ip6tables-nft"); it is found on the PATH, with its -save and -restore
	// beside it.
	Command string
	// byCommand says to insert probes, and to delete those in legacy tables, with
	// commands only.
	byCommand bool
}

// Target is one network namespace to trace.
type Target struct {
	// Node is the name that events carry.
	Node      string
	Namespace Namespace
	Backends  []Backend
	// Tables to probe; those that do not exist come into being for the trace.
	Tables []trace.Table
	// Careful, Filter and Count: see Subject.
	Careful bool
	Filter  filter.Filter
	Count   bool
}

// Options say how to trace.
type Options struct {
	// Run names the trace in the probes' log prefixes; empty for a random name.
	Run string
	// Guard is the command, with its arguments, that calls Guard for a run;
	// nil for no guard.
	Guard func(run string, backends []Backend) []string
	// Report is called with what goes wrong while the tracer follows a ruleset
	// that others change; nil for a ruleset that nobody changes.
	Report func(error)
	// Changed is called when the tracer, which follows a ruleset or comes back
	// from a pause, has found it changed by others; nil for nobody.
	Changed func()
}

// Tracer is a set of attached probes and the socket that reads what they log.
type Tracer struct {
	target       Target
	backends     []*backend
	run          string
	group        uint16
	log          *gonflog.Nflog
	cancel       context.CancelFunc // ends the reading
	stopWatching context.CancelFunc
	receive      func(trace.Event)
	claim        *netlink.Conn // holds the group while nobody listens to it
	guard        *guard
	options      Options
	watching     sync.WaitGroup
	inquiry      inquiry
	// mu is held while plans change.
	mu      sync.Mutex
	seen    uint32              // the generation of nf_tables at the last look
	paused  int                 // how many pauses are under way
	told    string              // the rulesets when Options.Changed last heard of them
	planned map[int]trace.Probe // the probes of the newest plans
	retired map[int]retired
	// probes holds what every probe means, by its number: those that are planned,
	// and those that have retired.
	probes atomic.Pointer[map[int]trace.Probe]

	// Only the reader uses these.
	names  interfaceNames
	next   uint32 // the sequence number of the next event; a group counts from 0
	missed int    // events lost since the last one that was handed on

	lost     atomic.Uint64
	overrun  atomic.Bool           // events were lost, and no event has come since
	broken   atomic.Pointer[error] // what ended the reading before its time
	handling atomic.Bool           // an event is between the socket and receive
	detached atomic.Bool
	stale    atomic.Bool // names may be those of other interfaces
	mute     atomic.Bool // nobody listens to the group
	unmuted  atomic.Bool // the next event is the first one since
	discard  atomic.Bool // events are not wanted

	counted map[int]tally // by probe, those of probes that are gone too
}

// backend is one backend with its probes.
type backend struct {
	Backend
	variant trace.Variant
	rules   ruleset.Ruleset // without probes
	plan    *Plan
	listing string // of a legacy backend, at the last look, without counters
	// generation is that of nf_tables before the last look.
	generation uint32
}

// NewRun makes a name for a trace that no other trace is likely to have.
func NewRun() string { return strconv.FormatUint(uint64(rand.Uint32()), 36) }

// Attach inserts probes into the target's tables and calls receive with every
// event, from one goroutine at a time, until Detach. Probes that were inserted
// before an error occurred are removed again.
func Attach(ctx context.Context, target Target, o Options, receive func(trace.Event)) (*Tracer, error) {
	if o.Run == "" {
		o.Run = NewRun()
	}
	if len(o.Run) > maxRun {
		return nil, fmt.Errorf("attaching probes on %s: the name of the run is longer than %d characters", target.Node, maxRun)
	}
	t := &Tracer{target: target, run: o.Run, options: o, receive: receive, names: interfaceNames{}, retired: map[int]retired{}}
	t.inquiry.pairing = newPairing()
	err := target.Namespace.Do(func() error { return t.attach(ctx) })
	if err != nil {
		return nil, fmt.Errorf("attaching probes on %s: %w", target.Node, err)
	}
	t.told = t.visible()
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	t.stopWatching = stop
	if o.Report != nil {
		t.watching.Go(func() { t.watch(watching, o.Report) })
	}
	return t, nil
}

func (t *Tracer) attach(ctx context.Context) error {
	t.names.refresh()
	if err := t.listen(); err != nil {
		return err
	}
	for _, b := range t.target.Backends {
		variant, err := variantOf(b.Command)
		if err != nil {
			return errors.Join(err, t.close())
		}
		t.backends = append(t.backends, &backend{Backend: b, variant: variant})
	}
	// From here on events may come: the reader goes first, so that none is missed.
	t.probes.Store(&map[int]trace.Probe{})
	if err := t.read(); err != nil {
		return errors.Join(err, t.close())
	}
	if t.options.Guard != nil {
		var err error
		if t.guard, err = startGuard(t.options.Guard(t.run, t.target.Backends)); err != nil {
			return errors.Join(err, t.close())
		}
	}
	if err := t.insert(ctx); err != nil {
		removal := t.remove(context.WithoutCancel(ctx))
		if removal == nil { // otherwise the guard tries once more when we end
			removal = t.guard.dismiss()
		}
		return errors.Join(err, removal, t.close())
	}
	return nil
}

// plan looks at what the backends hold and plans their probes.
func (t *Tracer) plan(ctx context.Context) error {
	if err := t.planProbes(ctx); err != nil || t.inquire() {
		return err
	}
	return t.planProbes(ctx)
}

func (t *Tracer) planProbes(ctx context.Context) error {
	probes, next := map[int]trace.Probe{}, 0
	for _, b := range t.backends {
		if b.plan != nil {
			next = max(next, b.plan.Next)
		}
	}
	subjects := make([]Subject, len(t.backends))
	for i, b := range t.backends {
		var err error
		if b.generation, err = t.generation(); err != nil {
			return err
		}
		subjects[i] = Subject{
			Variant: b.variant, Tables: t.target.Tables, Run: t.run, Group: t.group,
			Careful: t.target.Careful, Ask: t.mayAsk(b), Filter: t.target.Filter, Count: t.target.Count,
		}
		if err := b.look(ctx, &subjects[i]); err != nil {
			return err
		}
	}
	tracked, err := t.tracked(subjects)
	if err != nil {
		return err
	}
	for i, b := range t.backends {
		s := subjects[i]
		s.Next, s.Tracked = next, tracked[b.Family]
		b.rules, b.plan = Visible(s.Rules), NewPlan(s)
		next = b.plan.Next
		maps.Copy(probes, b.plan.Probes)
	}
	t.announce(probes)
	return nil
}

// retirement is how long the meaning of a probe that is gone is kept: events of
// it may wait to be read.
const retirement = 5 * time.Second

// retired is a probe that is gone.
type retired struct {
	probe trace.Probe
	since time.Time
}

// announce tells the reader what the planned probes mean, and those that have
// gone a short while ago.
func (t *Tracer) announce(planned map[int]trace.Probe) {
	now := time.Now()
	for id, p := range t.planned {
		if _, stays := planned[id]; !stays {
			t.retired[id] = retired{p, now}
		}
	}
	t.planned = planned
	current := maps.Clone(planned)
	for id, r := range t.retired {
		if now.Sub(r.since) > retirement {
			delete(t.retired, id)
			continue
		}
		current[id] = r.probe
	}
	t.probes.Store(&current)
}

// look reads the backend's ruleset, to plan for it.
func (b *backend) look(ctx context.Context, s *Subject) error {
	rules, text, err := readRules(ctx, b.Command, s.Tables)
	if err != nil {
		return err
	}
	s.Rules = rules
	if b.variant == trace.Legacy {
		b.listing = withoutCounters(text)
	}
	if b.variant == trace.NFTables {
		if s.Present, err = listPresence(b.Family, s.Rules); err != nil {
			return err
		}
	}
	if b.plan != nil {
		s.Known = b.plan.Matches
	}
	return nil
}

// Node is the name of the traced namespace.
func (t *Tracer) Node() string { return t.target.Node }

// Probed says which tables are probed, by address family and variant.
func (t *Tracer) Probed() map[trace.Family]map[trace.Variant][]trace.Table {
	t.mu.Lock()
	defer t.mu.Unlock()
	probed := map[trace.Family]map[trace.Variant][]trace.Table{}
	for _, b := range t.backends {
		if probed[b.Family] == nil {
			probed[b.Family] = map[trace.Variant][]trace.Table{}
		}
		probed[b.Family][b.variant] = b.plan.subject.tables()
	}
	return probed
}

// Variant says which implementation of iptables the first backend is.
func (t *Tracer) Variant() trace.Variant {
	if len(t.backends) == 0 {
		return trace.Legacy
	}
	return t.backends[0].variant
}

// Rules is the ruleset that the first backend of a family had at the last look,
// without probes.
func (t *Tracer) Rules(family trace.Family) ruleset.Ruleset {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range t.backends {
		if b.Family == family {
			return b.rules
		}
	}
	return ruleset.Ruleset{}
}

// Variants are the rulesets that the backends of a family had at the last look,
// without probes.
func (t *Tracer) Variants(family trace.Family) map[trace.Variant]ruleset.Ruleset {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := map[trace.Variant]ruleset.Ruleset{}
	for _, b := range t.backends {
		if b.Family == family {
			all[b.variant] = b.rules
		}
	}
	return all
}

// Lost counts the events that were not delivered. An overrun counts as one
// until the next event tells how many it were.
func (t *Tracer) Lost() uint64 {
	n := t.lost.Load()
	if t.overrun.Load() && !t.mute.Load() {
		n++
	}
	return n
}

// Pending says whether the kernel has reported events that were not handed on yet.
func (t *Tracer) Pending() bool {
	return nftrace.Unread(t.log.Con) || t.handling.Load() || t.inquiry.pending()
}

// drain waits until what the kernel has reported is read, or until it is clear
// that the reader has stopped.
func (t *Tracer) drain() {
	const patience = 200 * time.Millisecond
	for end := time.Now().Add(patience); t.Pending() && time.Now().Before(end); {
		time.Sleep(time.Millisecond) // the reader is the only one who could tell, and it is not ours
	}
}

// Detach removes the probes, and what came into being only for them, and stops
// the reading. After an error it can be tried again, and when all is done it
// does nothing. The error also tells when the reading had ended before its time.
func (t *Tracer) Detach(ctx context.Context) error {
	if t.detached.Load() {
		return nil
	}
	t.stopWatching()
	t.watching.Wait()
	fail := func(err error) error { return fmt.Errorf("detaching probes on %s: %w", t.target.Node, err) }
	if err := t.removeForGood(ctx); err != nil {
		return fail(err)
	}
	err := t.guard.dismiss()
	t.drain()
	err = errors.Join(err, t.close())
	if broken := t.broken.Load(); broken != nil {
		err = errors.Join(err, fmt.Errorf("reading events: %w", *broken))
	}
	if err != nil {
		return fail(err)
	}
	return nil
}

// removeForGood removes the probes, and sees that none is put in again.
func (t *Tracer) removeForGood(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.target.Namespace.Do(func() error { return t.remove(ctx) })
	t.detached.Store(err == nil)
	return err
}

// copyRange is how many bytes of each packet are asked for: the headers, the
// quote of an ICMP error, and enough payload to tell packets apart.
const copyRange = 512

// receiveBuffer is the size of the socket's buffer, in bytes; without the
// right to exceed net.core.rmem_max the kernel gives less.
const receiveBuffer = 8 << 20

// listen opens the socket on a group that nobody has.
func (t *Tracer) listen() error {
	var err error
	if t.group, t.claim, err = claimGroup(); err != nil {
		return err
	}
	t.log, err = gonflog.Open(&gonflog.Config{
		Group: t.group, Copymode: gonflog.CopyPacket, Bufsize: copyRange,
		Flags: gonflog.FlagSeq,
		// One event a message: waiting for more would hold each back for up to a second.
		QThresh: 1,
	})
	if err != nil {
		return errors.Join(fmt.Errorf("opening an NFLOG socket: %w", err), t.claim.Close())
	}
	// A full buffer shows as loss, which is reported, so a smaller one than asked for is no error.
	_ = t.log.Con.SetReadBuffer(receiveBuffer)
	return nil
}

// read starts the goroutine that reads events.
func (t *Tracer) read() error {
	ctx, cancel := context.WithCancel(context.Background())
	t.cancel = cancel
	err := t.log.RegisterWithErrorFunc(ctx,
		func(a gonflog.Attribute) int {
			t.handling.Store(true)
			t.handle(a)
			t.handling.Store(false)
			return 0
		},
		func(err error) int {
			if ctx.Err() != nil {
				return 1
			}
			// ENOBUFS says that the socket's buffer ran over; the gap in the
			// sequence numbers of the next event says by how much.
			if errors.Is(err, syscall.ENOBUFS) {
				t.overrun.Store(true)
				t.accountsDiffer()
				return 0
			}
			t.broken.CompareAndSwap(nil, &err)
			if t.options.Report != nil {
				t.options.Report(fmt.Errorf("reading events of %s: %w", t.target.Node, err))
			}
			return 1
		})
	if err != nil {
		return fmt.Errorf("binding NFLOG group %d: %w", t.group, err)
	}
	return nil
}

func (t *Tracer) close() error {
	if t.cancel != nil {
		t.cancel()
	}
	t.inquiry.close()
	return errors.Join(closeConn(t.log), closeConn(t.claim))
}

// closeConn closes a socket that may be closed already.
func closeConn(c interface{ Close() error }) error {
	err := c.Close()
	var op *netlink.OpError
	if errors.As(err, &op) && errors.Is(op.Err, os.ErrClosed) {
		return nil
	}
	return err
}
