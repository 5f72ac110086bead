// Package inquire asks for real why something cannot be reached: it traces a
// set of places, sends a request from one of them, follows its packets, and
// looks at the hosts right afterwards. What that means is explained by package
// why, and where the places come from is left to its callers.
package inquire

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"packetwalk/trace"
	"packetwalk/trace/assemble"
	"packetwalk/trace/dropped"
	"packetwalk/trace/filter"
	"packetwalk/trace/host"
	"packetwalk/trace/live"
	"packetwalk/trace/nflog"
	"packetwalk/trace/why"
)

// Place is a network namespace that packets are followed in.
type Place struct {
	Name string
	Kind string // "host", "container" or "machine"
	nflog.Namespace
	// Unfiltered says that the scene's filter is not for this place: NAT has given
	// the request another address before it comes here.
	Unfiltered bool
}

// Scene is where questions are asked.
type Scene struct {
	Places []Place
	// Family of the targets that will be asked for.
	Family trace.Family
	// Filter keeps the trace to what matters on a busy machine; the zero Filter is everything.
	Filter filter.Filter
	// Iptables is the variant that counts as the places' own, "nft" or "legacy";
	// empty for that which the system calls iptables.
	Iptables string
	// Careful is for machines that are not ours; see nflog.Target.
	Careful bool
	// Name is what is known to be behind an address; nil where nothing is.
	Name func(netip.Addr) string
	// Published are Docker's ports; nil where there is no daemon to ask.
	Published []why.Publication
	// Wait is how long an answer is waited for; 0 for DefaultWait.
	Wait    time.Duration
	Options nflog.Options
}

// DefaultWait is how long a request waits for its answer: a second SYN has been
// sent by then (RFC 6298 puts the first retransmission at 1 s).
const DefaultWait = 2500 * time.Millisecond

// wait is Wait with its default.
func (s Scene) wait() time.Duration { return cmp.Or(s.Wait, DefaultWait) }

// Inquiry is a traced scene in which questions can be asked, one at a time.
type Inquiry struct {
	scene    Scene
	trace    *live.Trace
	book     *live.Book
	variants map[string]trace.Variant
	reading  sync.WaitGroup
	drops    *dropped.Watcher // nil where the kernel cannot be asked
	deaf     string           // why it cannot
}

// Open traces the places of a scene. Close has to be called.
func Open(ctx context.Context, s Scene) (*Inquiry, error) {
	q := &Inquiry{scene: s, variants: map[string]trace.Variant{}}
	hosts, err := Look(ctx, s.Places, nil)
	if err != nil {
		return nil, err
	}
	config := live.Config{Segments: wiring(hosts), Finished: true, Name: s.Name, Options: s.Options}
	if config.Targets, err = q.targets(ctx); err != nil {
		return nil, err
	}
	if q.trace, err = live.Start(ctx, config); err != nil {
		return nil, err
	}
	for _, t := range config.Targets {
		q.variants[t.Node] = q.trace.Variant(t.Node)
	}
	// Without the kernel's word the answer is still there.
	var lack *dropped.Unavailable
	if q.drops, err = dropped.Watch(); errors.As(err, &lack) {
		q.deaf = lack.Missing
	}
	q.book = live.NewBook(q.trace.Walks())
	q.reading.Go(func() {
		for range q.book.Walks() { // the book keeps them
		}
	})
	return q, nil
}

// targets finds out which implementations of iptables every place uses.
func (q *Inquiry) targets(ctx context.Context) ([]nflog.Target, error) {
	all := make([]nflog.Target, len(q.scene.Places))
	work, ctx := errgroup.WithContext(ctx)
	for i, p := range q.scene.Places {
		work.Go(func() error {
			found, err := nflog.Survey(ctx, p.Namespace, []trace.Family{q.scene.Family}, q.scene.Iptables)
			if err != nil {
				return fmt.Errorf("looking at the rules of %s: %w", p.Name, err)
			}
			all[i] = nflog.Target{
				Node: p.Name, Namespace: p.Namespace, Backends: found.Backends, Tables: trace.Tables(),
				Careful: q.scene.Careful,
			}
			if !p.Unfiltered {
				all[i].Filter = q.scene.Filter
			}
			return nil
		})
	}
	return all, work.Wait()
}

// Look reads what places look like, with the tracked connections of some addresses.
func Look(ctx context.Context, places []Place, about []netip.Addr) (map[string]host.State, error) {
	var others []host.Place
	for _, p := range places {
		others = append(others, host.Place{Name: p.Name, Namespace: p.Namespace})
	}
	return host.ReadAll(ctx, others, host.Options{Addresses: about})
}

func wiring(hosts map[string]host.State) map[assemble.Port]int {
	all := map[assemble.Port]int{}
	for port, n := range host.Segments(hosts) {
		all[assemble.Port(port)] = n
	}
	return all
}

// place finds a place by name.
func (q *Inquiry) place(name string) (Place, error) {
	i := slices.IndexFunc(q.scene.Places, func(p Place) bool { return p.Name == name })
	if i < 0 {
		return Place{}, fmt.Errorf("asking from %s: there is no such node", name)
	}
	return q.scene.Places[i], nil
}

// Close removes the probes. It can be repeated.
func (q *Inquiry) Close(ctx context.Context) error {
	err := q.trace.Close(ctx)
	q.reading.Wait()
	if q.drops != nil {
		err = errors.Join(err, q.drops.Close())
		q.drops = nil
	}
	return err
}

// Ask sends a request from its node and gathers the evidence. The error says
// that the question could not be asked, not that the target cannot be reached.
func (q *Inquiry) Ask(ctx context.Context, question why.Question) (why.Evidence, error) {
	from, err := q.place(question.From)
	if err != nil {
		return why.Evidence{}, err
	}
	before, err := Look(ctx, q.scene.Places, nil)
	if err != nil {
		return why.Evidence{}, err
	}
	q.trace.Rewire(wiring(before))
	when, first := span{begin: time.Now()}, q.book.Next()
	attempt, err := q.attempt(ctx, from, question, first, &when)
	if err != nil {
		return why.Evidence{}, err
	}
	return q.evidence(ctx, question, attempt, when)
}

// evidence looks at the hosts behind an attempt.
func (q *Inquiry) evidence(ctx context.Context, question why.Question, attempt why.Attempt, when span) (why.Evidence, error) {
	e := why.Evidence{
		Question: question, Attempt: attempt, Rules: q.trace.Variants(q.scene.Family), Default: q.variants,
		Published: q.scene.Published, Lost: q.trace.Lost(), Deaf: q.deaf,
	}
	about := []netip.Addr{question.Target.Addr.Addr()}
	for _, w := range attempt.Walks {
		about = append(about, w.Addresses()...)
	}
	slices.SortFunc(about, netip.Addr.Compare)
	var err error
	if e.Drops, e.DropsLost, err = q.dropped(attempt, when); err != nil {
		return e, err
	}
	e.Hosts, err = Look(ctx, q.scene.Places, slices.Compact(about))
	return e, err
}

// errEnded is why a request is given up once its packet's end is known.
var errEnded = errors.New("the packet has come to its end")
