package dropped

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

const (
	// ringSize is the room for drops that are not read yet, in bytes: some 7,000.
	ringSize = 4 << 20
	// mostKept is how many drops are remembered; then the older half is forgotten.
	mostKept = 20_000
)

// Watcher remembers what the kernel drops.
type Watcher struct {
	layout layout
	ring   *ebpf.Map
	// losses holds the time of the last drop for which the ring had no room.
	losses *ebpf.Map
	hook   link.Link
	reader *ringbuf.Reader
	// flushed tells that what lay in the ring has been read; it is closed when
	// the reader has ended.
	flushed chan struct{}
	// asking is held by whoever waits for flushed.
	asking sync.Mutex

	mu     sync.Mutex
	events []sighting
	// forgotten is the time of the last event that was forgotten.
	forgotten uint64
	// names are those of addresses that were looked up, empty for none.
	names map[uint64]string
}

// sighting is an event with what is looked up when somebody asks for it.
type sighting struct {
	Event
	at, location uint64
}

// Watch begins to remember what the kernel drops, in all network namespaces. It
// changes nothing that outlives the process, whatever ends that. The error is an
// *Unavailable. Close ends it.
func Watch() (*Watcher, error) {
	w := &Watcher{flushed: make(chan struct{}), names: map[uint64]string{}}
	if err := withoutLimit(w.open); err != nil {
		return nil, errors.Join(err, w.release())
	}
	go w.read()
	return w, nil
}

func (w *Watcher) open() (err error) {
	// First what an ordinary user is refused, since the description of the types is large.
	if w.ring, err = ebpf.NewMap(&ebpf.MapSpec{Name: "drops", Type: ebpf.RingBuf, MaxEntries: ringSize}); err != nil {
		return refused(err)
	}
	if w.losses, err = ebpf.NewMap(&ebpf.MapSpec{Name: "losses", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}); err != nil {
		return refused(err)
	}
	if w.layout, err = kernelLayout(); err != nil {
		return err
	}
	p, err := w.load()
	if err != nil {
		return refused(err)
	}
	defer p.Close() // the link holds it
	if w.hook, err = link.AttachRawTracepoint(link.RawTracepointOptions{Name: tracepoint, Program: p}); err != nil {
		return refused(err)
	}
	if w.reader, err = ringbuf.NewReader(w.ring); err != nil {
		return &Unavailable{Missing: "the ring buffer cannot be read", Err: err}
	}
	return nil
}

// kernelLayout is that of the running kernel. Reading it takes a tenth of a
// second, and it does not change.
var kernelLayout = sync.OnceValues(func() (layout, error) {
	types, err := btf.LoadKernelSpec()
	if err != nil {
		return layout{}, &Unavailable{Missing: "this kernel does not describe its types (CONFIG_DEBUG_INFO_BTF)", Err: err}
	}
	l, err := readLayout(types)
	if err != nil {
		return layout{}, &Unavailable{Missing: "this kernel's types are not as expected", Err: err}
	}
	return l, nil
})

// Reasons are the names that this kernel has for its reasons, as Event.Reason
// has them; empty where it gives none. It takes no privileges.
func Reasons() ([]string, error) {
	l, err := kernelLayout()
	return slices.Sorted(maps.Values(l.reasons)), err
}

func (w *Watcher) load() (*ebpf.Program, error) {
	return ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "drops", Type: ebpf.RawTracepoint, License: "GPL", Instructions: program(w.layout, w.ring, w.losses),
	})
}

// refused says what lacks where the kernel refuses a part of the watch.
func refused(err error) error {
	if errors.Is(err, unix.EPERM) {
		// Without what the library makes of it: the limit that it suggests was lifted.
		return &Unavailable{Missing: "it takes root (CAP_BPF and CAP_PERFMON, outside of user namespaces)", Err: unix.EPERM}
	}
	return &Unavailable{Missing: "this kernel does not run the program that would read them", Err: err}
}

// locked is held while the limit on locked memory is lifted.
var locked sync.Mutex

// withoutLimit runs open without a limit on locked memory, where root may lift
// it. Kernels before 5.11 count as such what maps and programs take, of which
// root may have little as well.
func withoutLimit(open func() error) error {
	locked.Lock()
	defer locked.Unlock()
	var before unix.Rlimit
	unlimited := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &unlimited, &before) != nil {
		return open()
	}
	return errors.Join(open(), unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &before, nil))
}

// Close ends the watch.
func (w *Watcher) Close() error {
	err := w.release()
	for range w.flushed { // until the reader has ended
	}
	return err
}

func (w *Watcher) release() error {
	var errs []error
	if w.hook != nil {
		errs = append(errs, w.hook.Close())
	}
	if w.reader != nil {
		errs = append(errs, w.reader.Close())
	}
	return errors.Join(append(errs, w.ring.Close(), w.losses.Close())...)
}

// read takes the records in until the reader is closed.
func (w *Watcher) read() {
	defer close(w.flushed)
	var raw ringbuf.Record
	for {
		switch err := w.reader.ReadInto(&raw); {
		case errors.Is(err, ringbuf.ErrFlushed):
			w.flushed <- struct{}{}
		case err != nil:
			return
		default:
			w.take(raw.RawSample)
		}
	}
}

func (w *Watcher) take(data []byte) {
	r, err := parseRecord(data)
	if err != nil {
		return // only our own program writes into the ring
	}
	s := sighting{at: r.time, location: r.location, Event: Event{
		Time: wallClock(r.time), Reason: w.layout.reasonName(r.reason),
		Namespace: uint64(r.namespace), Interface: r.device, Packet: r.packet,
	}}
	if slices.Contains(noDrops, s.Reason) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.events) == mostKept {
		// Many at once, since all others move up.
		w.forgotten = w.events[mostKept/2-1].at
		w.events = slices.Delete(w.events, 0, mostKept/2)
	}
	w.events = append(w.events, s)
}

// Since gives what the kernel has dropped from that time on until now, in the
// order in which it did. whole says that nothing is missing: a machine can drop
// more than is read or remembered.
func (w *Watcher) Since(t time.Time) (events []Event, whole bool) {
	whole = w.flush()
	from := monotonic(t)
	w.mu.Lock()
	defer w.mu.Unlock()
	var chosen []sighting
	for _, s := range w.events {
		if s.at >= from {
			chosen = append(chosen, s)
		}
	}
	w.lookUp(chosen)
	for _, s := range chosen {
		if s.Location = w.names[s.location]; !harmless(s.Event) {
			events = append(events, s.Event)
		}
	}
	return events, whole && w.forgotten < from && w.lastLoss() < from
}

// flush waits until everything that lies in the ring has been read.
func (w *Watcher) flush() bool {
	w.asking.Lock()
	defer w.asking.Unlock()
	if err := w.reader.Flush(); err != nil {
		return false
	}
	_, reading := <-w.flushed
	return reading
}

// lastLoss is when the ring had no room, at the latest; 0 for never.
func (w *Watcher) lastLoss() uint64 {
	var at uint64
	if err := w.losses.Lookup(uint32(0), &at); err != nil {
		return ^uint64(0) // it cannot be told
	}
	return at
}

// lookUp finds out in which functions packets were dropped. Where the kernel's
// symbols cannot be read, the events are without.
func (w *Watcher) lookUp(events []sighting) {
	var unknown []uint64
	for _, s := range events {
		if _, known := w.names[s.location]; !known {
			unknown = append(unknown, s.location)
			w.names[s.location] = ""
		}
	}
	if len(unknown) == 0 {
		return
	}
	listing, err := os.Open("/proc/kallsyms")
	if err != nil {
		return
	}
	defer listing.Close()
	found, err := functions(listing, unknown)
	if err != nil {
		return
	}
	for address, name := range found {
		w.names[address] = name
	}
}

// NamespaceID is the inode number of the calling thread's network namespace. It
// is for nflog.Namespace.Do.
func NamespaceID() (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		return 0, fmt.Errorf("looking at the network namespace: %w", err)
	}
	return st.Ino, nil
}

// wallClock is the time of a stamp of CLOCK_MONOTONIC, monotonic the way back.
func wallClock(stamp uint64) time.Time {
	now, at := time.Now(), monotonicNow()
	return now.Add(time.Duration(stamp) - at)
}

func monotonic(t time.Time) uint64 {
	return uint64(max(0, monotonicNow()-time.Since(t)))
}

func monotonicNow() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0 // a clock that every kernel has
	}
	return time.Duration(now.Nano())
}
