package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"packetwalk/lab/control"
)

// sandboxEnv marks the environment of the sandboxed process. Programs that it
// starts inherit the mark, but never its process ID 1.
const sandboxEnv = "PACKETWALK_SANDBOX"

// killDelay is how long a sandboxed process may take to clean up once its
// context has ended.
const killDelay = 5 * time.Second

// InSandbox says whether this process is already the sandboxed one.
func InSandbox() bool {
	return os.Getpid() == 1 && os.Getenv(sandboxEnv) != ""
}

// Reexec runs this program again, with the same arguments and standard streams,
// in new mount, network and PID namespaces and, for everyone but root, a new
// user namespace, and waits for it. It returns the exit code, 128 plus the
// signal's number where a signal ended the child.
//
// The child never outlives this process. Signals that ask to end reach the
// child, which then ends in its own time. The child is process 1 of its PID
// namespace, so whatever it started ends with it.
//
// The door, if it is not nil, is handed to the child: Lab.Control answers at it.
// So are the files, which the child finds by Handed.
//
// The error is a *MissingError where namespaces are not to be had.
func Reexec(ctx context.Context, door *control.Door, files ...*os.File) (exitCode int, err error) {
	return reexec(ctx, door, func(cmd *exec.Cmd) {
		cmd.Args, cmd.ExtraFiles = os.Args, slices.Clone(files)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	})
}

// Handed is, in the sandboxed process, a file that was given to Reexec, by its
// index there. It is to be closed by who asks, who does so once.
func Handed(index int) *os.File {
	fd := lifelineFD + 1 + index
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), fmt.Sprintf("handed %d", index))
}

// reexec starts the program in the sandbox as configure wants it, and waits.
func reexec(ctx context.Context, door *control.Door, configure func(*exec.Cmd)) (exitCode int, err error) {
	// The kernel ties the death signal to the thread that started the child
	// (prctl(2), PR_SET_PDEATHSIG), so this thread must last as long.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	lifeline, end, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("making the sandbox's lifeline: %w", err)
	}
	defer end.Close()
	defer lifeline.Close()

	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGTSTP)
	defer signal.Stop(signals)

	cmd, err := startSandbox(ctx, lifeline, door, configure)
	if err != nil {
		return 0, err
	}
	if door != nil {
		door.Handed()
	}
	stopped := make(chan struct{})
	forwarded := make(chan struct{})
	go func() {
		defer close(forwarded)
		forwardSignals(signals, stopped, cmd.Process)
	}()
	err = cmd.Wait()
	close(stopped)
	<-forwarded
	return exitStatus(cmd, err)
}

// startSandbox starts the child: as root without a user namespace, unless that
// is refused (root in a container lacks CAP_SYS_ADMIN), otherwise with one.
func startSandbox(ctx context.Context, lifeline *os.File, door *control.Door, configure func(*exec.Cmd)) (*exec.Cmd, error) {
	start := func(userNamespace bool) (*exec.Cmd, error) {
		cmd := exec.CommandContext(ctx, "/proc/self/exe")
		configure(cmd)
		if cmd.Env == nil {
			cmd.Env = os.Environ()
		}
		cmd.Env = append(cmd.Env, sandboxEnv+"=1")
		// The lifeline comes first, so that it is always descriptor 3.
		cmd.ExtraFiles = append([]*os.File{lifeline}, cmd.ExtraFiles...)
		if door != nil {
			cmd.ExtraFiles = append(cmd.ExtraFiles, door.File())
			cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d", doorEnv, lifelineFD+len(cmd.ExtraFiles)-1))
		}
		cmd.SysProcAttr = sandboxAttributes(userNamespace)
		cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
		cmd.WaitDelay = killDelay
		return cmd, cmd.Start()
	}
	if os.Geteuid() == 0 {
		cmd, err := start(false)
		if err == nil || !errors.Is(err, unix.EPERM) {
			return cmd, explainClone(err)
		}
	}
	cmd, err := start(true)
	return cmd, explainClone(err)
}

// sandboxAttributes asks for the namespaces. In the user namespace the caller
// is root, and nobody else exists.
func sandboxAttributes(userNamespace bool) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID,
		Pdeathsig:  unix.SIGKILL,
	}
	if userNamespace {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

// forwardSignals passes on the signals that ask to end, until stopped is closed.
func forwardSignals(signals <-chan os.Signal, stopped <-chan struct{}, child *os.Process) {
	for {
		select {
		case <-stopped:
			return
		case s := <-signals:
			switch {
			case s == unix.SIGTSTP:
				suspend(child)
			case (s == unix.SIGINT || s == unix.SIGQUIT) && control.InForeground():
				// The terminal has sent it to the whole process group, the
				// child included: passed on, it would count twice.
			default:
				_ = child.Signal(s) // the child may be gone already, which is what was asked for
			}
		}
	}
}

// suspend stops the child and this process, and lets the child go on when this
// process does. The terminal's own SIGTSTP leaves process 1 of a PID namespace
// unmoved (pid_namespaces(7)).
func suspend(child *os.Process) {
	_ = child.Signal(unix.SIGSTOP)
	_ = unix.Kill(os.Getpid(), unix.SIGSTOP)
	_ = child.Signal(unix.SIGCONT)
}

// exitStatus turns the end of the child into a shell's exit code.
func exitStatus(cmd *exec.Cmd, err error) (int, error) {
	if cmd.ProcessState == nil {
		return 0, fmt.Errorf("waiting for the sandbox: %w", err)
	}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}
