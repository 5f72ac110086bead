package nflog

import (
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"packetwalk/trace"
	"packetwalk/trace/nftrace"
	"packetwalk/trace/xtables"
)

// inquiry is the part of a tracer that listens to the kernel's trace, for what
// its Ask probes ask about. Where it cannot, there are no Ask probes.
type inquiry struct {
	reader atomic.Pointer[nftrace.Reader] // nil until a plan asks something
	// impossible says that the kernel's trace cannot be had here.
	impossible bool
	// roles are what the rules of nf_tables were when they were listed last.
	roles atomic.Pointer[map[ruleKey]role]

	mu      sync.Mutex // held while events are handed on
	pairing *pairing
}

// mayAsk says whether a plan for the backend may have Ask probes.
func (t *Tracer) mayAsk(b *backend) bool {
	return b.variant == trace.NFTables && !t.inquiry.impossible && !hasLegacyTables(b.Family)
}

// hasLegacyTables says whether packets of a family pass legacy tables too. For a
// packet that is traced, these write every rule that it matches into the
// kernel's log (trace_packet in net/ipv4/netfilter/ip_tables.c). Where that
// cannot be known there is nothing to fear: it takes less than the root of the
// machine to be refused, and its namespaces do not reach that log.
func hasLegacyTables(f trace.Family) bool {
	names, err := xtables.Names(f)
	return err == nil && len(names) > 0
}

// asks says whether a plan has Ask probes.
func (t *Tracer) asks() bool {
	for _, b := range t.backends {
		if b.plan.asks() {
			return true
		}
	}
	return false
}

// inquire begins to listen where plans ask something, and says whether plans
// may stay as they are. It must run on a thread in the network namespace.
func (t *Tracer) inquire() bool {
	if t.inquiry.reader.Load() != nil || !t.asks() {
		return true
	}
	reader, err := nftrace.Open()
	if err != nil {
		t.inquiry.impossible = true
		t.report(fmt.Errorf("asking the kernel which rules matched: %w; some steps will say %s", err, trace.Reached))
		return false
	}
	t.inquiry.roles.Store(&map[ruleKey]role{})
	t.inquiry.reader.Store(reader)
	go t.listenToTrace(reader)
	return true
}

// pending says whether the kernel has told something that was not taken yet.
func (i *inquiry) pending() bool {
	reader := i.reader.Load()
	return reader != nil && reader.Pending()
}

func (i *inquiry) close() {
	if reader := i.reader.Load(); reader != nil {
		_ = reader.Close() // nothing is left to be lost
	}
}

// report hands on what goes wrong, if somebody wants to know.
func (t *Tracer) report(err error) {
	if t.options.Report != nil {
		t.options.Report(err)
	}
}

// listenToTrace runs until the reader is closed.
func (t *Tracer) listenToTrace(reader *nftrace.Reader) {
	w := newWitness()
	err := reader.Run(
		func(m nftrace.Message) {
			if said, ok := w.take(m, *t.inquiry.roles.Load()); ok {
				t.testify(said)
			}
		},
		func() {
			w = newWitness()
			t.accountsDiffer()
		})
	if err != nil {
		t.report(err)
	}
}

// testify hands on what the kernel says of a rule that was asked about.
func (t *Tracer) testify(said testimony) {
	ask, ok := (*t.probes.Load())[said.ask]
	if !ok || ask.Kind != trace.Ask {
		return // removed meanwhile
	}
	t.inquiry.mu.Lock()
	defer t.inquiry.mu.Unlock()
	if told, ok := t.inquiry.pairing.answer(ask, said.packet, said.matched, time.Now()); ok {
		t.receive(told)
	}
}

// handOn hands an event on, and what the kernel has said of it already.
func (t *Tracer) handOn(e trace.Event, packet []byte) {
	t.inquiry.mu.Lock()
	defer t.inquiry.mu.Unlock()
	t.receive(e)
	e.Missed = 0 // told once
	if e.Probe.Kind == trace.Reach && e.Probe.Asked {
		if h, ok := headersOf(packet); ok {
			if told, ok := t.inquiry.pairing.reach(e, h, time.Now()); ok {
				t.receive(told)
			}
		}
	}
	// What comes when nothing is left to be read of either account is in neither gap.
	if t.inquiry.pairing.deaf && !nftrace.Unread(t.log.Con) && !t.inquiry.pending() {
		t.inquiry.pairing.resume()
	}
}

// accountsDiffer notes that events, or messages of the kernel's trace, were lost.
func (t *Tracer) accountsDiffer() {
	t.inquiry.mu.Lock()
	defer t.inquiry.mu.Unlock()
	t.inquiry.pairing.lose()
}

// learnRoles lists what the rules are that messages name by their handles. It
// must run on a thread in the network namespace.
func (t *Tracer) learnRoles() error {
	if t.inquiry.reader.Load() == nil {
		return nil
	}
	all := map[ruleKey]role{}
	for _, b := range t.backends {
		if !b.plan.asks() {
			continue
		}
		roles, err := listRoles(b.Family, t.run)
		if err != nil {
			return err
		}
		maps.Copy(all, roles)
	}
	t.inquiry.roles.Store(&all)
	return nil
}
