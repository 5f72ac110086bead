package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/creack/pty"
	"github.com/muesli/cancelreader"
	"golang.org/x/sys/unix"
)

// runOnTerminal runs the program on a terminal of its own and relays between
// that and the user's, which is in raw mode meanwhile: what is typed, Ctrl-C
// included, is the program's.
func (l Lab) runOnTerminal(ctx context.Context, node string, p Program, s Streams, signals <-chan os.Signal) (exit Exit, err error) {
	own, theirs, err := pty.Open()
	if err != nil {
		return exit, fmt.Errorf("opening a terminal for the program: %w", err)
	}
	defer own.Close()
	defer theirs.Close()
	t := &relay{user: s, own: own}
	t.resize()
	streams := Streams{theirs, theirs, theirs}
	if !term.IsTerminal(s.Err.Fd()) {
		streams.Err = s.Err
	}
	p.Terminal = true
	r, err := l.start(node, p, streams)
	if err != nil {
		return exit, err
	}
	_ = theirs.Close() // the program's copies are the ones that count
	if err := t.start(); err != nil {
		return exit, errors.Join(err, r.conn.Close())
	}
	exit, err = r.wait(ctx, signals)
	return exit, errors.Join(err, t.end())
}

// relay joins the user's terminal with the one that a program runs on.
type relay struct {
	user    Streams
	own     *os.File // the side of the program's terminal where the keyboard is
	before  *term.State
	keys    cancelreader.CancelReader
	changes chan os.Signal
	done    chan struct{}
	work    sync.WaitGroup
}

// start begins to relay.
func (t *relay) start() (err error) {
	if t.keys, err = cancelreader.NewReader(t.user.In); err != nil {
		return fmt.Errorf("reading the terminal: %w", err)
	}
	if t.before, err = term.MakeRaw(t.user.In.Fd()); err != nil {
		return errors.Join(fmt.Errorf("setting the terminal up: %w", err), t.keys.Close())
	}
	t.changes = make(chan os.Signal, 4)
	t.done = make(chan struct{})
	signal.Notify(t.changes, unix.SIGWINCH, unix.SIGCONT)
	t.resize() // it may have changed since
	t.work.Go(func() { _, _ = io.Copy(t.own, t.keys) })
	t.work.Go(func() { _ = Follow(t.own, t.user.Out, t.done) })
	t.work.Go(t.adapt)
	return nil
}

// end stops relaying once everything that the program has written is shown.
func (t *relay) end() error {
	signal.Stop(t.changes)
	close(t.done)
	t.keys.Cancel()
	_ = t.own.SetWriteDeadline(time.Unix(1, 0)) // what was typed for an ended program is lost
	t.work.Wait()
	return errors.Join(t.keys.Close(), term.Restore(t.user.In.Fd(), t.before))
}

// adapt follows the user's terminal: its size, and its mode after a stop, since
// the shell that was in front meanwhile has set its own.
func (t *relay) adapt() {
	for {
		select {
		case <-t.done:
			return
		case s := <-t.changes:
			if s == unix.SIGCONT {
				_, _ = term.MakeRaw(t.user.In.Fd())
			}
			t.resize()
		}
	}
}

// resize gives the program's terminal the size of the user's. The kernel tells
// the program (tty_ioctl(4), TIOCSWINSZ).
func (t *relay) resize() {
	if size, err := pty.GetsizeFull(t.user.Out); err == nil {
		_ = pty.Setsize(t.own, size) // a program on a terminal of the wrong size still works
	}
}

// Follow copies from a pipe or terminal until its end or until stop is closed,
// and then what had been written by that time. The error is nil at the end, and
// os.ErrDeadlineExceeded where stop came first and somebody may still write.
func Follow(from *os.File, to io.Writer, stop <-chan struct{}) error {
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-stop:
			_ = from.SetReadDeadline(time.Unix(1, 0))
		case <-done:
		}
	})
	_, err := io.Copy(to, struct{ io.Reader }{from})
	close(done)
	watch.Wait()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return rest(from, to)
	}
	if errors.Is(err, unix.EIO) {
		err = nil // a terminal that nobody else has open any more (pts(4))
	}
	return err
}

// rest copies what can be read at once.
func rest(from *os.File, to io.Writer) error {
	if err := from.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	raw, err := from.SyscallConn()
	if err != nil {
		return err
	}
	buf := make([]byte, 32<<10)
	for {
		var n int
		var readErr error
		if err := raw.Read(func(fd uintptr) bool { n, readErr = unix.Read(int(fd), buf); return true }); err != nil {
			return err
		}
		switch {
		case readErr == unix.EINTR:
			continue
		case readErr == unix.EAGAIN:
			return os.ErrDeadlineExceeded
		case readErr == unix.EIO, readErr == nil && n == 0:
			return nil
		case readErr != nil:
			return readErr
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return err
		}
	}
}
