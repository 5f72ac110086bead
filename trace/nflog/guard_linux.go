package nflog

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// A guard is a process of its own that removes a tracer's probes when the
// tracer dies, SIGKILL included: it waits for the end of a pipe that only the
// tracer holds.

// guardDone is what a tracer writes to its guard when nothing is left to do.
const guardDone = 'd'

// guard is the tracer's side.
type guard struct {
	cmd  *exec.Cmd
	pipe *os.File
}

// startGuard starts the program args as a guard, on a thread in the network
// namespace, so that it works there.
func startGuard(args []string) (*guard, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stderr = r, os.Stderr
	// A session of its own: what ends the tracer from the terminal does not reach it.
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, fmt.Errorf("starting the guard: %w", err)
	}
	return &guard{cmd, w}, nil
}

// dismiss tells the guard that nothing is left to do, and waits for it.
func (g *guard) dismiss() error {
	if g == nil {
		return nil
	}
	_, err := g.pipe.Write([]byte{guardDone})
	g.pipe.Close()
	if waitErr := g.cmd.Wait(); err == nil {
		err = waitErr
	}
	if err != nil {
		return fmt.Errorf("ending the guard: %w", err)
	}
	return nil
}

// Guard is the guard's side: it waits for the end of in and then removes the
// probes of the run from the network namespace that it is in, unless it was
// told that nothing is left to do.
func Guard(ctx context.Context, in io.Reader, run string, backends []Backend) error {
	word, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("guarding run %s: %w", run, err)
	}
	if len(word) > 0 && word[0] == guardDone {
		return nil
	}
	ofRun := func(r string) bool { return r == run }
	if err := RemoveProbes(ctx, backends, ofRun); err != nil {
		return err
	}
	// A command that the tracer had started may have been carried out after the
	// first look, just before it died too.
	time.Sleep(secondLook)
	return RemoveProbes(ctx, backends, ofRun)
}

// secondLook is how long a guard waits before it looks again.
const secondLook = 100 * time.Millisecond
