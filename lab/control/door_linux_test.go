package control

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// place gives the test a runtime directory of its own.
func place(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pw") // short: the path of a socket has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", "")
	t.Setenv("TMPDIR", dir)
	t.Setenv(PathEnv, "")
	return dir
}

func TestDoor(t *testing.T) {
	for _, xdg := range []bool{false, true} {
		dir := place(t)
		if xdg {
			t.Setenv("XDG_RUNTIME_DIR", dir)
		}
		d, err := OpenDoor()
		if err != nil {
			t.Fatal(err)
		}
		if xdg != (filepath.Dir(d.path) == filepath.Join(dir, "packetwalk")) {
			t.Errorf("XDG_RUNTIME_DIR %v: the socket is %s", xdg, d.path)
		}
		conn, err := dial(d.path)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(d.path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	}
}

// TestStaleDoor leaves a socket as a killed process does.
func TestStaleDoor(t *testing.T) {
	place(t)
	d, err := OpenDoor()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.Handed()
	if labs, err := Running(); len(labs) > 0 || err == nil {
		t.Errorf("a process that lives and does not listen yet: %v, %v", labs, err)
	}
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	stale := doorPath(filepath.Dir(d.path), dead.Process.Pid)
	if err := os.Rename(d.path, stale); err != nil {
		t.Fatal(err)
	}
	if labs, err := Running(); len(labs) > 0 || err != nil {
		t.Errorf("%v, %v", labs, err)
	}
	if _, err := os.Lstat(stale); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket of a dead process is still there: %v", err)
	}
	if err := os.WriteFile(d.path, nil, 0o600); err != nil { // for Close to remove
		t.Fatal(err)
	}
}

// TestForeignDirectory sees that sockets are neither made nor looked for where
// others may have put some.
func TestForeignDirectory(t *testing.T) {
	for name, prepare := range map[string]func(dir string) error{
		"open to others":  func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o755)) },
		"a symbolic link": func(dir string) error { return os.Symlink(t.TempDir(), dir) },
		"a file":          func(dir string) error { return os.WriteFile(dir, nil, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			place(t)
			if err := prepare(fallbackDirectory()); err != nil {
				t.Fatal(err)
			}
			if _, err := OpenDoor(); err == nil || !strings.Contains(err.Error(), "not a directory of this user's alone") {
				t.Errorf("the door opened: %v", err)
			}
			if dirs := doorDirectories(); len(dirs) > 0 {
				t.Errorf("labs are looked for in %q", dirs)
			}
		})
	}
}

// TestFollow reads a pipe whose other end stays open.
func TestFollow(t *testing.T) {
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	defer to.Close()
	text := strings.Repeat("0123456789", 6000)
	if _, err := io.WriteString(to, text); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	close(stop)
	var got strings.Builder
	if err := Follow(from, &got, stop); !errors.Is(err, os.ErrDeadlineExceeded) || got.String() != text {
		t.Errorf("%d of %d bytes, %v", got.Len(), len(text), err)
	}
	_ = to.Close()
	if err := Follow(from, &got, stop); err != nil {
		t.Errorf("at the end: %v", err)
	}
}

// TestFiles passes a file along, and refuses more than there are standard streams.
func TestFiles(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	a, b := connOf(t, fds[0]), connOf(t, fds[1])
	defer a.Close()
	defer b.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if err := a.ask(Request{Do: Describe}, w); err != nil {
		t.Fatal(err)
	}
	_, files, err := b.Request()
	if err != nil || len(files) != 1 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	if _, err := io.WriteString(files[0], "x"); err != nil {
		t.Error(err)
	}
	Close(files)
	if err := a.ask(Request{Do: Describe}, w, w, w, w, w); err != nil {
		t.Fatal(err)
	}
	if _, files, err := b.Request(); err == nil || len(files) > 0 {
		t.Errorf("five files came: %d, %v", len(files), err)
	}
	_ = a.Close()
	if _, _, err := b.Request(); !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: %v", err)
	}
}

func connOf(t *testing.T, fd int) *Conn {
	t.Helper()
	file := os.NewFile(uintptr(fd), "socket")
	defer file.Close()
	c, err := net.FileConn(file)
	if err != nil {
		t.Fatal(err)
	}
	return &Conn{c.(*net.UnixConn)}
}
