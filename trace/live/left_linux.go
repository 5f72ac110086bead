package live

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// leftOut keeps account of the packets that are not followed because of the
// limit: those that the probes have counted, less those that walks account for.
type leftOut struct {
	limited  atomic.Bool  // the limit was reached
	followed atomic.Int64 // packets that walks account for
	packets  atomic.Int64 // packets in all, at the last count
	left     atomic.Int64
	// excused are the lost events that nobody wanted, unjudged those that may be.
	excused, unjudged atomic.Int64

	mu       sync.Mutex
	closing  bool // guarded by mu
	stop     context.CancelFunc
	counting sync.WaitGroup
}

// LeftOut is how many packets were not followed because more walks would have
// begun than may in a second: brought up to date once a second, and exact after
// Close. Packets whose events were lost are among them.
func (t *Trace) LeftOut() uint64 { return uint64(t.left.left.Load()) }

// countEvery is how often the packets that were left out are counted.
const countEvery = time.Second

// begin counts until end.
func (l *leftOut) begin(t *Trace, report func(error)) {
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.counting.Go(func() {
		ticker := time.NewTicker(countEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if !l.limited.Load() {
				continue
			}
			if err := l.count(ctx, t); err != nil && ctx.Err() == nil && report != nil {
				report(err)
			}
			l.await(ctx, t)
			l.left.Store(max(l.left.Load(), l.packets.Load()-l.followed.Load()))
		}
	})
}

// count asks the probes' counters.
func (l *leftOut) count(ctx context.Context, t *Trace) error {
	var sum uint64
	var errs []error
	for _, tr := range t.tracers {
		if tr != nil {
			n, err := tr.Packets(ctx)
			sum += n
			errs = append(errs, err)
		}
	}
	err := errors.Join(errs...)
	if err == nil {
		l.packets.Store(int64(sum))
	}
	return err
}

// await waits until packets that were counted have come to the assembler, so
// that they do not look as if they were left out.
func (l *leftOut) await(ctx context.Context, t *Trace) {
	const patience = 100 * time.Millisecond
	for end := time.Now().Add(patience); t.pending() && ctx.Err() == nil && time.Now().Before(end); {
		time.Sleep(tick)
	}
}

// end stops the counting and, where the limit was ever reached, the listening,
// and counts for the last time while the probes are there.
func (l *leftOut) end(ctx context.Context, t *Trace) error {
	if l.stop == nil {
		return nil
	}
	l.stop()
	l.counting.Wait()
	l.mu.Lock()
	again := l.closing
	l.closing = true
	l.mu.Unlock()
	if again || !l.limited.Load() {
		return nil
	}
	var errs []error
	for _, tr := range t.tracers {
		errs = append(errs, tr.Mute())
	}
	return errors.Join(append(errs, l.count(ctx, t))...)
}

// settle gives the number its last value, when all walks have ended.
func (l *leftOut) settle() {
	if l.limited.Load() {
		l.left.Store(max(0, l.packets.Load()-l.followed.Load()))
	}
}
