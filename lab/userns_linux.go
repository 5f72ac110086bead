package lab

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// gate is a sysctl that keeps ordinary users from user namespaces.
type gate struct {
	name   string
	closed string // the value that forbids
	open   string // the value that allows
}

// gates are the switches of the distributions: Debian's, the kernel's own
// limit (namespaces(7)), and that of Ubuntu 23.10 and later.
var gates = []gate{
	{"kernel.unprivileged_userns_clone", "0", "1"},
	{"user.max_user_namespaces", "0", "15000"},
	{"kernel.apparmor_restrict_unprivileged_userns", "1", "0"},
}

// limits are the kernel's counts of namespaces that a sandbox needs.
var limits = []string{
	"user.max_user_namespaces", "user.max_net_namespaces",
	"user.max_mnt_namespaces", "user.max_pid_namespaces",
}

// readSysctl reads a sysctl of the machine or, for net.*, of the calling
// thread's network namespace.
func readSysctl(name string) (string, error) {
	data, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	return strings.TrimSpace(string(data)), err
}

// sysctlReader reads a sysctl, as readSysctl does.
type sysctlReader func(name string) (string, error)

// closedGate finds the sysctl that forbids user namespaces.
func closedGate(read sysctlReader) (gate, bool) {
	for _, g := range gates {
		if v, err := read(g.name); err == nil && v == g.closed {
			return g, true
		}
	}
	return gate{}, false
}

// fix is the command that opens the gate.
func (g gate) fix() string { return fmt.Sprintf("sudo sysctl -w %s=%s", g.name, g.open) }

// explainClone says why a sandbox could not be started, naming the very sysctl.
func explainClone(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOSPC):
		return explainLimit(err, readSysctl)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return explainDenied(err, readSysctl)
	case errors.Is(err, unix.EINVAL):
		return &MissingError{
			What: "the kernel cannot make user, mount, network and PID namespaces",
			Fix:  "a kernel with CONFIG_USER_NS, CONFIG_NET_NS and CONFIG_PID_NS", Err: err,
		}
	}
	return fmt.Errorf("starting the sandbox: %w", err)
}

// explainMount says why the sandbox could not be finished. AppArmor lets a user
// namespace be made but takes its capabilities away, which shows only here.
func explainMount(what string, err error) error {
	err = fmt.Errorf("%s: %w", what, err)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return explainDenied(err, readSysctl)
	}
	return err
}

func explainDenied(err error, read sysctlReader) error {
	if g, ok := closedGate(read); ok {
		return &MissingError{
			What: fmt.Sprintf("user namespaces are switched off for ordinary users (%s = %s)", g.name, g.closed),
			Fix:  g.fix(), Err: err,
		}
	}
	return &MissingError{
		What: "a security policy forbids new namespaces (seccomp, SELinux, or a container without the right to make them)",
		Fix:  "run as root, or in a container started with --privileged", Err: err,
	}
}

func explainLimit(err error, read sysctlReader) error {
	for _, name := range limits {
		if v, readErr := read(name); readErr == nil && v == "0" {
			return &MissingError{
				What: fmt.Sprintf("namespaces are switched off (%s = 0)", name),
				Fix:  fmt.Sprintf("sudo sysctl -w %s=15000", name), Err: err,
			}
		}
	}
	return &MissingError{
		What: "there are as many namespaces as the limits allow (" + strings.Join(limits, ", ") + ")",
		Fix:  "sudo sysctl -w user.max_net_namespaces=15000", Err: err,
	}
}
