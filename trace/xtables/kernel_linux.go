package xtables

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"packetwalk/trace"
)

// The socket options, and the level that they belong to, by family
// (IPT_SO_*, IP6T_SO_*).
const (
	getInfo     = 64
	getEntries  = 65
	setReplace  = 64
	addCounters = 65
)

var levels = map[trace.Family]struct{ domain, level int }{
	trace.IPv4: {unix.AF_INET, unix.IPPROTO_IP},
	trace.IPv6: {unix.AF_INET6, unix.IPPROTO_IPV6},
}

// The structures that go with the options, as 64 bit machines lay them out.
const (
	nameSize     = 32
	infoSize     = 84 // struct ipt_getinfo
	entriesAt    = 40 // in struct ipt_get_entries
	replaceAt    = 96 // the entries in struct ipt_replace
	countersAt   = 40 // in struct xt_counters_info
	counterSize  = 16 // struct xt_counters
	pointerBytes = 8
)

// socket talks to the kernel about the tables of a family in the calling
// thread's network namespace.
type socket struct {
	fd    int
	level int
}

func openSocket(family trace.Family) (*socket, error) {
	if unsafe.Sizeof(uintptr(0)) != pointerBytes {
		return nil, unsupported("the kernel's structures are those of a 64 bit machine")
	}
	fd, err := unix.Socket(levels[family].domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil, fmt.Errorf("opening a socket for the legacy tables: %w", err)
	}
	return &socket{fd, levels[family].level}, nil
}

func (s *socket) close() { unix.Close(s.fd) }

// get fills b, which begins with what is asked for.
func (s *socket) get(option uintptr, b []byte) error {
	size := uint32(len(b))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), uintptr(s.level), option,
		uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func (s *socket) set(option uintptr, b []byte) error {
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(s.fd), uintptr(s.level), option,
		uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// info asks about a table. One that does not exist comes into being.
func (s *socket) info(name trace.Table) (Info, error) {
	b := make([]byte, infoSize)
	copy(b[:nameSize-1], name)
	if err := s.get(getInfo, b); err != nil {
		return Info{}, err
	}
	words := make([]uint32, (infoSize-nameSize)/4)
	for i := range words {
		words[i] = native.Uint32(b[nameSize+4*i:])
	}
	info := Info{ValidHooks: words[0], Entries: words[1+2*hooks], Size: words[2+2*hooks]}
	copy(info.HookEntry[:], words[1:])
	copy(info.Underflow[:], words[1+hooks:])
	return info, nil
}

// read reads a table.
func (s *socket) read(family trace.Family, name trace.Table) (*Table, error) {
	const patience = 3 // with those who change tables without the lock
	for i := 1; ; i++ {
		info, err := s.info(name)
		if err != nil {
			return nil, err
		}
		b := make([]byte, entriesAt+int(info.Size))
		copy(b[:nameSize-1], name)
		native.PutUint32(b[nameSize:], info.Size)
		err = s.get(getEntries, b)
		if errors.Is(err, unix.EAGAIN) && i < patience {
			continue
		}
		if err != nil {
			return nil, err
		}
		return Parse(family, name, info, b[entriesAt:])
	}
}

// replace replaces a table and gives its old entries their counters back. The
// kernel refuses with EAGAIN where somebody has added or deleted entries since
// the table was read.
func (s *socket) replace(r Replacement) error {
	old := make([]byte, counterSize*int(r.Read))
	var pin runtime.Pinner
	defer pin.Unpin()
	b := make([]byte, replaceAt, replaceAt+len(r.Blob))
	copy(b[:nameSize-1], r.Name)
	words := slices.Concat([]uint32{r.Info.ValidHooks, r.Info.Entries, r.Info.Size}, r.Info.HookEntry[:], r.Info.Underflow[:], []uint32{r.Read})
	for i, w := range words {
		native.PutUint32(b[nameSize+4*i:], w)
	}
	pin.Pin(&old[0])
	native.PutUint64(b[replaceAt-pointerBytes:], uint64(uintptr(unsafe.Pointer(&old[0]))))
	if err := s.set(setReplace, append(b, r.Blob...)); err != nil {
		return err
	}
	// The new table begins to count at 0, and the kernel has handed over what
	// the old one had at its end.
	counters := make([]byte, countersAt+counterSize*len(r.From))
	copy(counters[:nameSize-1], r.Name)
	native.PutUint32(counters[nameSize:], uint32(len(r.From)))
	for i, from := range r.From {
		if from >= 0 {
			copy(counters[countersAt+counterSize*i:][:counterSize], old[counterSize*int(from):])
		}
	}
	return s.set(addCounters, counters)
}

// Tables are the tables of a family in a network namespace, while the lock is held.
type Tables struct {
	family trace.Family
	socket *socket
	lock   *Lock
}

// Open opens the tables of a family in the calling thread's network namespace.
func (l *Lock) Open(family trace.Family) (*Tables, error) {
	if l == nil || l.file == nil {
		return nil, unsupported("nobody holds the xtables lock")
	}
	s, err := openSocket(family)
	if err != nil {
		return nil, err
	}
	return &Tables{family, s, l}, nil
}

// Close leaves the lock as it is.
func (t *Tables) Close() { t.socket.close() }

// Names lists the tables of a family in the calling thread's network namespace.
// Where the list may not be read, it fails.
func Names(family trace.Family) ([]trace.Table, error) {
	list := "ip_tables_names"
	if family == trace.IPv6 {
		list = "ip6_tables_names"
	}
	b, err := os.ReadFile("/proc/thread-self/net/" + list)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // the kernel has no legacy tables at all
	}
	if err != nil {
		return nil, fmt.Errorf("listing the legacy tables: %w", err)
	}
	var names []trace.Table
	for _, name := range strings.Fields(string(b)) {
		names = append(names, trace.Table(name))
	}
	return names, nil
}

// Read reads a table. One that does not exist comes into being, and stays.
func (t *Tables) Read(name trace.Table) (*Table, error) {
	table, err := t.socket.read(t.family, name)
	switch {
	case err == nil, errors.Is(err, ErrUnsupported):
		return table, err
	case errors.Is(err, unix.ENOPROTOOPT), errors.Is(err, unix.ENOENT):
		// iptables loads the kernel's module where it can.
		return nil, unsupported("reading table %s: %w", name, err)
	}
	return nil, fmt.Errorf("reading table %s: %w", name, err)
}
