package lab

import (
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// reaper takes in the orphans that come to process 1 of a PID namespace when
// the programs that started them have ended (pid_namespaces(7)).
//
// It must not take in the children of this process, whose exit codes others
// wait for. Package os holds a pidfd for every process that it has started and
// not yet waited for; an orphan has none.
type reaper struct {
	children chan os.Signal
	stop     chan struct{}
	work     sync.WaitGroup
}

// reapDelay is how long orphans may wait: this process's own children end often
// and in crowds, and each end looks the same at first.
const reapDelay = 50 * time.Millisecond

// startReaper starts the duties of process 1. In any other process, and where
// the kernel has no pidfds, it does nothing: what is left there goes with the lab.
func startReaper() *reaper {
	r := &reaper{children: make(chan os.Signal, 1), stop: make(chan struct{})}
	if os.Getpid() != 1 || !hasPidfds() {
		return r
	}
	signal.Notify(r.children, unix.SIGCHLD)
	r.work.Go(r.run)
	return r
}

// hasPidfds says whether package os uses pidfds here: it asks for the same.
func hasPidfds() bool {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	// ECHILD says that waiting by pidfd is known, and that this is no child.
	err = unix.Waitid(unix.P_PIDFD, fd, nil, unix.WEXITED|unix.WNOHANG, nil)
	return err == unix.ECHILD && unix.PidfdSendSignal(fd, 0, nil, 0) == nil
}

func (r *reaper) close() {
	signal.Stop(r.children)
	close(r.stop)
	r.work.Wait()
}

func (r *reaper) run() {
	timer := time.NewTimer(reapDelay)
	defer timer.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-r.children:
			timer.Reset(reapDelay)
		case <-timer.C:
			reap()
		}
	}
}

// reap takes in the orphans that have ended.
func reap() {
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); err != nil || info.Signo == 0 {
		return // nobody has ended
	}
	all := processes()
	own := ownChildren() // after the list: a process in it that is not here is no child any more
	for _, p := range all {
		if p.zombie && p.child && !own[p.pid] {
			_, _ = unix.Wait4(p.pid, nil, unix.WNOHANG, nil)
		}
	}
}

// ownChildren are the processes that this one holds a pidfd of.
func ownChildren() map[int]bool {
	own := map[int]bool{}
	entries, err := os.ReadDir("/proc/self/fdinfo")
	if err != nil {
		return own
	}
	for _, e := range entries {
		data, err := os.ReadFile("/proc/self/fdinfo/" + e.Name())
		if err != nil {
			continue // closed meanwhile
		}
		if pid, ok := parsePidfd(string(data)); ok {
			own[pid] = true
		}
	}
	return own
}

// parsePidfd reads the process ID from the description of a pidfd, as the
// innermost PID namespace counts it (pidfd_show_fdinfo in kernel/fork.c).
func parsePidfd(text string) (pid int, ok bool) {
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, "NSpid:"); found {
			fields := strings.Fields(rest)
			if len(fields) == 0 {
				return 0, false
			}
			pid, err := strconv.Atoi(fields[len(fields)-1])
			return pid, err == nil && pid > 0
		}
	}
	return 0, false
}
