package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"packetwalk/lab/control"
)

// hangUpDelay is how long a program may take to end itself after SIGHUP.
const hangUpDelay = 500 * time.Millisecond

// job is a program that runs in a node, in a session of its own.
type job struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended; exit holds from then on
	exit control.Exit
}

// jobs are the programs that were started in a lab's nodes.
type jobs struct {
	mu       sync.Mutex
	closed   bool
	all      map[*job]bool // those that run
	control  string        // the path of the lab's socket, empty while there is none
	running  sync.WaitGroup
	ending   chan struct{} // closed when the lab ends them
	children *reaper
}

// Run runs a command line in a node as somebody would type it there, by sh -c,
// without input, and waits for it. A program that it leaves in the background
// goes on, as in a shell; what that prints later is not kept.
//
// When ctx ends, the shell and all that it started in its session is killed; the
// error is the context's cause then, and the Result holds what came until that.
// A command that fails is no error: see Result.Exit.
func (l *Lab) Run(ctx context.Context, node, command string) (Result, error) {
	out, in, err := os.Pipe()
	if err != nil {
		return Result{}, fmt.Errorf("running %q: %w", command, err)
	}
	cmd := &exec.Cmd{
		Path: "/bin/sh", Args: []string{"sh", "-c", command}, Dir: "/",
		Env: l.environment(node, []string{"TERM=dumb"}), Stdout: in, Stderr: in,
	}
	p, err := l.start(node, cmd)
	_ = in.Close() // the program has its own
	if err != nil {
		_ = out.Close()
		return Result{}, fmt.Errorf("running %q: %w", command, err)
	}
	stop := context.AfterFunc(ctx, p.kill)
	defer stop()
	var kept keeper
	open := control.Follow(out, &kept, p.done)
	<-p.done
	r := Result{Output: kept.data, Omitted: kept.omitted, Exit: p.exit.Status()}
	if errors.Is(open, os.ErrDeadlineExceeded) {
		l.discard(out)
	} else {
		_ = out.Close()
	}
	if ctx.Err() != nil {
		return r, fmt.Errorf("running %q: %w", command, context.Cause(ctx))
	}
	return r, nil
}

// discard reads what programs in the background print, so that they can go on,
// until they have ended.
func (l *Lab) discard(out *os.File) {
	l.jobs.running.Go(func() {
		defer out.Close()
		_ = control.Follow(out, &keeper{omitted: 1}, l.jobs.ending)
	})
}

// keeper keeps the beginning of what is written to it.
type keeper struct {
	data    []byte
	omitted int64
}

func (k *keeper) Write(b []byte) (int, error) {
	keep := 0
	if k.omitted == 0 {
		keep = min(len(b), MaxOutput-len(k.data))
	}
	k.data = append(k.data, b[:keep]...)
	k.omitted += int64(len(b) - keep)
	return len(b), nil
}

// start starts a program in a node, in a session of its own, and waits for it
// in the background.
func (l *Lab) start(node string, cmd *exec.Cmd) (*job, error) {
	n := l.nodes[node]
	if n == nil {
		return nil, l.noNode(node)
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true
	l.jobs.mu.Lock()
	defer l.jobs.mu.Unlock()
	if l.jobs.closed {
		return nil, &control.Error{Fault: control.Ended, Message: errClosed.Error()}
	}
	if err := n.Do(cmd.Start); err != nil {
		return nil, err
	}
	p := &job{cmd: cmd, done: make(chan struct{})}
	l.jobs.all[p] = true
	l.jobs.running.Go(func() {
		p.wait()
		l.jobs.mu.Lock()
		defer l.jobs.mu.Unlock()
		delete(l.jobs.all, p)
	})
	return p, nil
}

// wait waits for the end. What a program that was killed has left in its
// session is killed too; one that has ended by itself may leave something in
// the background.
func (p *job) wait() {
	defer close(p.done)
	_ = p.cmd.Wait() // the state says how it ended
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		p.exit.Signal = int(status.Signal())
		killSession(p.session())
	} else {
		p.exit.Code = p.cmd.ProcessState.ExitCode()
	}
}

// session is the ID of the program's session, which is its own process ID.
func (p *job) session() int { return p.cmd.Process.Pid }

// signal sends a signal to the program and what it has started in its process
// group.
func (p *job) signal(s unix.Signal) {
	_ = unix.Kill(-p.session(), s) // an ended program needs none
}

// kill ends the program and everything in its session at once.
func (p *job) kill() { killSession(p.session()) }

// hangUp ends the program as the end of a terminal line does, and what does not
// heed that by force. It returns when the program has ended.
func (p *job) hangUp() {
	p.signal(unix.SIGHUP)
	p.signal(unix.SIGCONT) // a stopped program would not see it
	timer := time.NewTimer(hangUpDelay)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
	}
	p.kill()
	<-p.done
}

// endPrograms kills everything that runs in the lab's nodes, daemons included,
// and waits for what the lab itself has started.
func (l *Lab) endPrograms() {
	l.jobs.mu.Lock()
	l.jobs.closed = true
	close(l.jobs.ending)
	for p := range l.jobs.all {
		p.signal(unix.SIGKILL)
	}
	l.jobs.mu.Unlock()
	inodes := map[uint64]bool{}
	for _, n := range l.nodes {
		if inode, err := n.inode(); err == nil {
			inodes[inode] = true
		}
	}
	killAll(func(p process) bool {
		inode, err := p.netns()
		return err == nil && inodes[inode]
	})
	l.jobs.running.Wait()
	l.jobs.children.close()
}

// inode is the number of the node's network namespace (namespaces(7)).
func (n *Namespace) inode() (uint64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(n.file.Fd()), &st); err != nil {
		return 0, fmt.Errorf("looking at the namespace of %s: %w", n.name, err)
	}
	return st.Ino, nil
}

// noNode says that there is no such node, and which there are.
func (l *Lab) noNode(name string) error {
	return &control.Error{Fault: control.NoNode, Message: fmt.Sprintf("there is no node %q in this lab; there are: %s", name, l.nodeNames())}
}

// FindProgram looks for a program as a shell does: a name with a slash in it is
// a path, any other is looked for in path, a list as in PATH. The error is a *control.Error.
func FindProgram(name, dir, path string) (string, error) {
	candidates := []string{name}
	if filepath.Base(name) == name {
		candidates = nil
		for _, d := range filepath.SplitList(path) {
			candidates = append(candidates, filepath.Join(d, name))
		}
	} else if !filepath.IsAbs(name) {
		candidates[0] = filepath.Join(dir, name)
	}
	fault := &control.Error{Fault: control.NoProgram, Message: name + ": there is no such program in the lab"}
	for _, c := range candidates {
		info, err := os.Stat(c)
		switch {
		case err != nil:
		case info.IsDir() || info.Mode()&0o111 == 0:
			fault = &control.Error{Fault: control.NotRun, Message: c + ": it cannot be run: it is a directory, or not executable"}
		default:
			return c, nil
		}
	}
	return "", fault
}
