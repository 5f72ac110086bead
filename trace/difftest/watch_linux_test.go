package difftest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"packetwalk/lab"
	"packetwalk/trace"
	"packetwalk/trace/nflog"
	"packetwalk/trace/nftrace"
)

// watch gathers what both sides say, and knows when they have said all.
type watch struct {
	gun *gun
	// more is signalled whenever something came.
	more chan struct{}
	// pending says whether the tracer has something left to read.
	pending func() bool
	last    int // the number of the last sentinel

	mu       sync.Mutex // guards the fields below
	events   []trace.Event
	messages []message
	err      error
	// seenByUs and seenByKernel are the numbers of the last sentinel that was seen.
	seenByUs, seenByKernel int
	// sentinels are the kernel's names of packets that are sentinels.
	sentinels map[uint32]bool
}

func (w *watch) signal() {
	select {
	case w.more <- struct{}{}:
	default:
	}
}

// receive takes an event of the probes.
func (w *watch) receive(e trace.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.Packet.Proto == sentinelProto {
		w.seenByUs = e.Packet.Length - sentinelHeader
		w.signal()
		return
	}
	w.events = append(w.events, e)
}

// listen reads the kernel's trace until the reader is closed.
func (w *watch) listen(reader *nftrace.Reader) {
	err := reader.Run(w.take, func() { w.fail(errors.New("messages of the kernel's trace were lost")) })
	if err != nil {
		w.fail(err)
	}
}

func (w *watch) fail(err error) {
	w.mu.Lock()
	w.err = errors.Join(w.err, err)
	w.mu.Unlock()
	w.signal()
}

// take takes a message of the kernel's trace.
func (w *watch) take(m nftrace.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	read, err := readMessage(m)
	if err != nil {
		w.err = errors.Join(w.err, fmt.Errorf("reading a message of the kernel's trace: %w", err))
		return
	}
	if p := read.packet; p != nil {
		w.sentinels[m.ID] = p.Proto == sentinelProto
		if p.Proto == sentinelProto && m.Table == ownTable {
			w.seenByKernel = p.Length - sentinelHeader
			w.signal()
		}
	}
	if m.Table != ownTable && !w.sentinels[m.ID] {
		w.messages = append(w.messages, read)
	}
}

// quietRounds is how many sentinels in a row must meet nothing but each other.
// Every one lets the packets in the queues make a step: two of them bring an
// answer back from a machine that is not watched.
const quietRounds = 4

// settle waits until the kernel has nothing left to do.
func (w *watch) settle(t testing.TB) {
	t.Helper()
	for quiet, known := 0, -1; quiet < quietRounds; {
		w.last = w.last%maxSentinel + 1
		must(t, w.gun.send(sentinel(t, w.last)))
		now := w.await(t)
		for w.pending() { // what the tracer itself has heard of the kernel
			runtime.Gosched()
		}
		if quiet++; now != known {
			quiet, known = 0, now
		}
	}
}

// await waits for the last sentinel and says how much has come in all.
func (w *watch) await(t testing.TB) int {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		w.mu.Lock()
		seen, err, count := w.seenByUs == w.last && w.seenByKernel == w.last, w.err, len(w.events)+len(w.messages)
		w.mu.Unlock()
		must(t, err)
		if seen {
			return count
		}
		select {
		case <-w.more:
		case <-deadline:
			t.Fatalf("sentinel %d did not come: the probes last saw %d, the kernel %d", w.last, w.seenByUs, w.seenByKernel)
		}
	}
}

// taken is what both sides have said since they were last asked.
func (w *watch) taken() (events []trace.Event, messages []message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	events, messages = w.events, w.messages
	w.events, w.messages = nil, nil
	return events, messages
}

// start attaches probes to the router, and a reader to the kernel's trace.
func start(t testing.TB, l *lab.Lab, g *gun) (w *watch, tracer *nflog.Tracer) {
	t.Helper()
	w = &watch{gun: g, more: make(chan struct{}, 1), sentinels: map[uint32]bool{}}
	target := nflog.Target{Node: "router", Namespace: l.Node("router"), Tables: trace.Tables()}
	for _, f := range families {
		target.Backends = append(target.Backends, nflog.Backend{Family: f.family, Command: f.command})
	}
	tracer, err := nflog.Attach(t.Context(), target, nflog.Options{}, w.receive)
	must(t, err)
	w.pending = tracer.Pending
	var reader *nftrace.Reader
	must(t, l.Node("router").Do(func() (err error) {
		reader, err = nftrace.Open()
		return err
	}))
	var reading sync.WaitGroup
	reading.Go(func() { w.listen(reader) })
	t.Cleanup(func() {
		must(t, tracer.Detach(context.Background()))
		must(t, reader.Close())
		reading.Wait()
	})
	return w, tracer
}
