package difftest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/mdlayher/netlink"

	"packetwalk/lab"
	"packetwalk/trace"
	"packetwalk/trace/nflog"
)

// watch gathers what both sides say, and knows when they have said all.
type watch struct {
	gun *gun
	// more is signalled whenever something came.
	more chan struct{}
	last int // the number of the last sentinel

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

// listen reads the kernel's trace until the connection is closed.
func (w *watch) listen(conn *netlink.Conn) {
	for {
		received, err := conn.Receive()
		w.mu.Lock()
		if err != nil {
			if !errors.Is(err, os.ErrClosed) && w.err == nil {
				w.err = fmt.Errorf("reading the kernel's trace: %w", err)
			}
			w.mu.Unlock()
			w.signal()
			return
		}
		for _, m := range received {
			w.take(m)
		}
		w.mu.Unlock()
	}
}

func (w *watch) take(m netlink.Message) {
	parsed, ok, err := parseMessage(m)
	if err != nil {
		w.err = fmt.Errorf("reading a message of the kernel's trace: %w", err)
		return
	}
	if p := parsed.packet; p != nil {
		w.sentinels[parsed.id] = p.Proto == sentinelProto
		if p.Proto == sentinelProto && parsed.table == ownTable {
			w.seenByKernel = p.Length - sentinelHeader
			w.signal()
		}
	}
	if ok && parsed.table != ownTable && !w.sentinels[parsed.id] {
		w.messages = append(w.messages, parsed)
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
	var conn *netlink.Conn
	must(t, l.Node("router").Do(func() (err error) {
		conn, err = watchKernel()
		return err
	}))
	var reader sync.WaitGroup
	reader.Go(func() { w.listen(conn) })
	t.Cleanup(func() {
		must(t, tracer.Detach(context.Background()))
		must(t, conn.Close())
		reader.Wait()
	})
	return w, tracer
}
