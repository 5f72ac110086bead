package control

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Door is the socket that a lab is found by from other terminals. The process
// that starts the sandbox makes it, since the sandbox has a /run of its own, and
// the sandboxed process inherits it.
type Door struct {
	path string
	file *os.File
}

// OpenDoor makes the socket of this process's lab, named after its process ID:
// below XDG_RUNTIME_DIR or, where that is not this user's, in a directory of
// the user's own below os.TempDir. Sockets that killed labs left are removed.
func OpenDoor() (*Door, error) {
	dir, err := doorDirectory()
	if err != nil {
		return nil, fmt.Errorf("making the lab's control socket: %w", err)
	}
	for _, pid := range doors(dir) {
		removeStale(doorPath(dir, pid), pid)
	}
	path := doorPath(dir, os.Getpid())
	_ = os.Remove(path) // left by a dead process of the same number
	listener, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("making the lab's control socket: %w", err)
	}
	defer listener.Close()
	listener.SetUnlinkOnClose(false)
	file, err := listener.File()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making the lab's control socket: %w", err), os.Remove(path))
	}
	return &Door{path, file}, nil
}

// File is the listening socket, for the sandboxed process to inherit.
func (d *Door) File() *os.File { return d.file }

// Handed lets go of the socket: from now on only the sandboxed process answers,
// and nobody does once that has ended.
func (d *Door) Handed() { _ = d.file.Close() }

// Close removes the socket.
func (d *Door) Close() error {
	d.Handed()
	return os.Remove(d.path)
}

// doorDirectory is where new sockets go.
func doorDirectory() (string, error) {
	if base := os.Getenv("XDG_RUNTIME_DIR"); base != "" && own(base) == nil {
		dir := filepath.Join(base, "packetwalk")
		if err := makeOwn(dir); err == nil {
			return dir, nil
		}
	}
	dir := fallbackDirectory()
	return dir, makeOwn(dir)
}

func fallbackDirectory() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("packetwalk-%d", os.Geteuid()))
}

// doorDirectories are the places where this user's labs may be found. A
// directory that is not the user's own is none: somebody else may have put
// sockets there.
func doorDirectories() (dirs []string) {
	all := []string{fallbackDirectory()}
	if base := os.Getenv("XDG_RUNTIME_DIR"); base != "" {
		all = append(all, filepath.Join(base, "packetwalk"))
	}
	for _, dir := range all {
		if own(dir) == nil {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// makeOwn makes a directory that only this user can enter.
func makeOwn(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return own(dir)
}

// own says whether a directory is this user's, and closed to others. What it
// is reached by may be no symbolic link: anybody can make one in /tmp.
func own(dir string) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return &os.PathError{Op: "lstat", Path: dir, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Geteuid() || st.Mode&0o077 != 0 {
		return fmt.Errorf("%s is not a directory of this user's alone (mode 700): remove it or set TMPDIR to another place", dir)
	}
	return nil
}

func doorPath(dir string, pid int) string {
	return filepath.Join(dir, strconv.Itoa(pid)+".sock")
}

// doors lists the process IDs of the sockets in a directory.
func doors(dir string) (pids []int) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // no directory, no labs
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".sock")
		if pid, err := strconv.Atoi(name); ok && err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// removeStale removes a socket that nobody listens at, where the process that
// made it is gone: one that has just been made does not listen yet.
func removeStale(path string, pid int) (stale bool) {
	conn, err := dial(path)
	if err == nil {
		_ = conn.Close()
		return false
	}
	if !errors.Is(err, unix.ECONNREFUSED) || unix.Kill(pid, 0) != unix.ESRCH {
		return false
	}
	_ = os.Remove(path) // another process may have been quicker
	return true
}
