package toolbox

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"packetwalk/lab/control"
)

// wrap runs the system's own program while the probes of this node are out of
// its rules, so that what it lists and the numbers that it counts by are the
// user's own. It ends when they are in again: what comes next is traced. Where
// no lab answers, the program runs all the same.
func wrap(name string, args []string) int {
	lease, err := control.PauseHere()
	real := name
	if err == nil {
		real = inVariant(name, lease.Iptables)
	}
	path, code := find(name, real, true)
	if path == "" {
		return code
	}
	status, runErr := runReal(path, append([]string{real}, patient(real, args)...))
	if lease != nil {
		if err := lease.Release(); err != nil {
			complain("packetwalk", 0, "%v", err)
		}
	}
	if runErr != nil {
		return complain(name, exitCannotRun, "%v", runErr)
	}
	return endAs(status)
}

// inVariant is the program that a name without a variant means in a lab that
// runs with one: iptables-save is iptables-legacy-save there.
func inVariant(name, variant string) string {
	for _, base := range []string{"ip6tables", "iptables"} {
		rest, ok := strings.CutPrefix(name, base)
		if ok && variant != "" && !strings.HasPrefix(rest, "-nft") && !strings.HasPrefix(rest, "-legacy") {
			return base + "-" + variant + rest
		}
	}
	return name
}

// patient are the arguments with which a program of iptables waits for the lock of
// the legacy tables, where they do not say how long: a trace holds it now and then,
// which the user knows nothing of, and newer versions do not wait by themselves.
func patient(name string, args []string) []string {
	rest := strings.TrimPrefix(strings.TrimPrefix(name, "ip6tables"), "iptables")
	rest = strings.TrimPrefix(strings.TrimPrefix(rest, "-nft"), "-legacy")
	waits := func(arg string) bool { return strings.HasPrefix(arg, "-w") || strings.HasPrefix(arg, "--wait") }
	if rest != "" && rest != "-restore" || slices.ContainsFunc(args, waits) {
		return args
	}
	return append([]string{"--wait"}, args...)
}

// runReal runs a program with this one's streams and passes signals on. The
// program dies with this one.
func runReal(path string, args []string) (syscall.WaitStatus, error) {
	// The death signal is tied to the thread that starts the program (prctl(2)).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signals := catch()
	defer signal.Stop(signals)
	cmd := &exec.Cmd{
		Path: path, Args: args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL},
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	done := make(chan struct{})
	passed := make(chan struct{})
	go func() {
		defer close(passed)
		for {
			select {
			case <-done:
				return
			case s := <-signals:
				// The terminal has sent its own to the program too.
				if s != unix.SIGINT && s != unix.SIGQUIT || !control.InForeground() {
					_ = cmd.Process.Signal(s) // an ended program needs none
				}
			}
		}
	}()
	err := cmd.Wait()
	close(done)
	<-passed
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return status, nil
}

// catch takes the signals that would end this program before the one that it
// stands for; those that the caller had ignored stay so.
func catch() chan os.Signal {
	signals := make(chan os.Signal, 8)
	for _, s := range []os.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM} {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	return signals
}

// endAs ends the way that the program did: where a signal ended it, by the same
// signal, so that a shell sees no difference.
func endAs(status syscall.WaitStatus) int {
	if !status.Signaled() {
		return status.ExitStatus()
	}
	s := status.Signal()
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) // the program has dumped its own
	signal.Reset(s)
	_ = unix.Kill(os.Getpid(), s)
	return 128 + int(s) // a signal that does not end this program, or not yet
}

func joinList(dirs []string) string { return strings.Join(dirs, string(os.PathListSeparator)) }
