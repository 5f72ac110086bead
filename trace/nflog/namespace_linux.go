package nflog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Here is the network namespace that the program was started in.
type Here struct{}

// Do runs fn in a goroutine of its own, since the caller's may be held on a thread
// that is in another namespace. No other thread of the program ever is.
func (Here) Do(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		// What fn starts ends with its thread, which no other namespace may take
		// over meanwhile.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		done <- fn()
	}()
	return <-done
}

// NetNS is a network namespace held open by a descriptor.
type NetNS struct{ file *os.File }

// OpenNetNS opens a network namespace by its name (ip-netns(8)) or by the ID of
// a process in it.
func OpenNetNS(nameOrPID string) (*NetNS, error) {
	path := filepath.Join("/run/netns", nameOrPID)
	if _, err := strconv.ParseUint(nameOrPID, 10, 32); err == nil {
		path = filepath.Join("/proc", nameOrPID, "ns/net")
	}
	n, err := NetNSAt(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("there is no network namespace %q: neither a name in /run/netns nor the ID of a process", nameOrPID)
	case err != nil:
		return nil, fmt.Errorf("opening network namespace %s: %w", nameOrPID, err)
	}
	return n, nil
}

var errNoNetNS = errors.New("no network namespace")

// NetNSAt opens the network namespace that is mounted on a file, or that a link
// in /proc leads to.
func NetNSAt(path string) (*NetNS, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if kind, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_NSTYPE); err != nil || kind != unix.CLONE_NEWNET {
		return nil, errors.Join(fmt.Errorf("%s is %w", path, errNoNetNS), f.Close())
	}
	return &NetNS{f}, nil
}

// Named is a network namespace with what people know it by.
type Named struct {
	*NetNS
	Name string
}

// Others finds the network namespaces of the machine other than the program's
// own: those of processes, and those that a name of ip-netns(8) or Docker holds.
// What goes away meanwhile, or may not be looked at, is left out. Each has to be
// closed, after an error as well.
func Others() ([]Named, error) {
	seen := map[uint64]bool{}
	var own unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &own); err != nil {
		return nil, fmt.Errorf("looking at the program's own network namespace: %w", err)
	}
	seen[own.Ino] = true
	var all []Named
	for _, pattern := range []string{"/run/netns/*", "/run/docker/netns/*", "/proc/[0-9]*/ns/net"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			var st unix.Stat_t
			if err := unix.Stat(path, &st); err != nil && !outOfReach(err) {
				return all, fmt.Errorf("looking at %s: %w", path, err)
			} else if err != nil || seen[st.Ino] {
				continue
			}
			ns, err := NetNSAt(path)
			if outOfReach(err) {
				continue
			}
			if err != nil {
				return all, err
			}
			seen[st.Ino] = true
			all = append(all, Named{NetNS: ns, Name: nameOf(path)})
		}
	}
	return all, nil
}

// outOfReach says whether a namespace is gone, may not be looked at, or is none: a
// name of ip-netns(8) whose namespace was taken down is an empty file.
func outOfReach(err error) bool {
	for _, e := range []error{unix.ENOENT, unix.ESRCH, unix.EACCES, unix.EPERM, errNoNetNS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// nameOf is what people call the network namespace that a file stands for: its
// name, or the ID and name of a process in it.
func nameOf(path string) string {
	pid, ok := strings.CutPrefix(path, "/proc/")
	if !ok {
		return filepath.Base(path)
	}
	pid = strings.TrimSuffix(pid, "/ns/net")
	comm, err := os.ReadFile(filepath.Join("/proc", pid, "comm"))
	if err != nil {
		return pid
	}
	return fmt.Sprintf("%s (%s)", pid, strings.TrimSpace(string(comm)))
}

// Do runs fn on an OS thread inside the namespace, which is thrown away
// afterwards.
func (n *NetNS) Do(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine, since nobody
		// else must run on a thread that is somewhere else.
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The main thread cannot end, and /proc shows it for the whole program:
			// hold it here while another thread does the work.
			done <- n.Do(fn)
			runtime.UnlockOSThread()
			return
		}
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("entering network namespace %s: %w", n.file.Name(), err)
			return
		}
		done <- fn()
	}()
	return <-done
}

// Close lets the namespace go.
func (n *NetNS) Close() error { return n.file.Close() }
