package lab

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// process is a process of this process's PID namespace, by the numbers that
// count there. /proc may belong to an outer namespace, where they are others.
type process struct {
	dir           string // below /proc
	pid, parent   int
	session       int
	zombie, child bool // child: of this process
}

// processes lists the processes of this PID namespace.
func processes() []process {
	own, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return nil
	}
	self, _ := os.Readlink("/proc/self") // its number as /proc counts
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var all []process
	for _, dir := range dirs {
		data, err := os.ReadFile(dir + "/status")
		if err != nil {
			continue // it has ended
		}
		p, ok := parseStatus(string(data))
		if !ok {
			continue
		}
		p.dir = dir
		p.child = strconv.Itoa(p.parent) == self
		// A zombie has no namespaces any more: a child of this process belongs
		// to its PID namespace in any case.
		if space, err := os.Readlink(dir + "/ns/pid"); space == own || err != nil && p.zombie && p.child {
			all = append(all, p)
		}
	}
	return all
}

// parseStatus reads /proc/PID/status (proc_pid_status(5)). The last of several
// numbers is the one in the process's own PID namespace; that of the parent
// there is only as /proc counts.
func parseStatus(text string) (p process, ok bool) {
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		last, err := strconv.Atoi(fields[len(fields)-1])
		switch key {
		case "State":
			p.zombie = fields[0] == "Z" || fields[0] == "X"
			continue
		case "NSpid":
			p.pid = last
		case "NSsid":
			p.session = last
		case "PPid":
			p.parent = last
		default:
			continue
		}
		if err != nil {
			return p, false
		}
	}
	return p, p.pid > 0
}

// netns is the inode number of the process's network namespace.
func (p process) netns() (uint64, error) {
	var st unix.Stat_t
	err := unix.Stat(p.dir+"/ns/net", &st)
	return st.Ino, err
}

// killSession kills every process of a session.
func killSession(id int) {
	killAll(func(p process) bool { return p.session == id })
}

// killPatience is how long killAll goes on where new processes keep coming up.
const killPatience = 2 * time.Second

// killAll kills every process that is meant, apart from this one, until none is
// left: some may have been started after the list was made.
func killAll(meant func(process) bool) {
	for start := time.Now(); time.Since(start) < killPatience; {
		found := false
		for _, p := range processes() {
			if p.pid == os.Getpid() || p.zombie || !meant(p) {
				continue
			}
			found = true
			awaitKilled(p.pid)
		}
		if !found {
			return
		}
	}
}

// awaitKilled kills a process and waits until it has ended.
func awaitKilled(pid int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		_ = unix.Kill(pid, unix.SIGKILL)
		return
	}
	defer unix.Close(fd)
	_ = unix.Kill(pid, unix.SIGKILL)
	// A process that hangs in the kernel is given up after a while.
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(killPatience.Milliseconds()))
}
