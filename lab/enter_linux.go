package lab

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// lifelineFD is the descriptor of the lifeline in the sandboxed process: a pipe
// whose other end only the process that started the sandbox holds.
const lifelineFD = 3

// Enter finishes the sandbox from inside the process that Reexec started:
// mounts of its own, a tmpfs on /run, where iptables keeps its lock, a /proc of
// its own PID namespace, and the loopback interface up. Where a container
// forbids to mount /proc, the one that is there goes on serving.
func Enter() error {
	if !InSandbox() {
		return errors.New("entering the sandbox: this process was not started by Reexec")
	}
	if err := checkLifeline(); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return explainMount("making mounts private", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return explainMount("mounting a tmpfs on /run", err)
	}
	// mount(2): EPERM where parts of the present /proc are masked, as
	// containers do it. /proc/self and /proc/thread-self are right even then.
	err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	if err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	if err := prepareNames(); err != nil {
		return err
	}
	entered.Store(true)
	return loopbackUp()
}

// checkLifeline ends a sandbox whose starter died before the kernel was asked
// for the death signal: the pipe has hung up then.
func checkLifeline() error {
	fds := []unix.PollFd{{Fd: lifelineFD}}
	if _, err := unix.Poll(fds, 0); err != nil {
		return fmt.Errorf("looking at the sandbox's lifeline: %w", err)
	}
	if fds[0].Revents&unix.POLLHUP != 0 {
		return errors.New("entering the sandbox: the process that started it is gone")
	}
	unix.CloseOnExec(lifelineFD)
	if fd, err := strconv.Atoi(os.Getenv(doorEnv)); err == nil {
		unix.CloseOnExec(fd)
	}
	return nil
}

// loopbackUp brings up lo in the network namespace of the calling thread.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening a socket for lo: %w", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("naming lo: %w", err)
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bringing up lo: %w", os.NewSyscallError("ioctl", err))
	}
	return nil
}
