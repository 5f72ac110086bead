package lab

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// quiet keeps a node from speaking unasked: without it every bridge reports the
// multicast group of its snooping a second or two after it came up, and the
// report walks into whatever is being shown. Real hosts send it, and nothing in
// a lab listens.
var quiet = Sysctl{Name: "net.ipv4.igmp_link_local_mcast_reports", Value: "0"}

// writeSysctls sets sysctls inside the node, in the given order.
func (n *Namespace) writeSysctls(all []Sysctl) error {
	return n.Do(func() error {
		_ = writeSysctl(quiet) // a lab that cannot be quiet still works
		for _, s := range all {
			what := fmt.Sprintf("setting sysctl %s to %q", s.Name, s.Value)
			if err := step(n.name, what, writeSysctl(s)); err != nil {
				return err
			}
		}
		return nil
	})
}

// writeSysctl sets a sysctl of the calling thread's network namespace.
func writeSysctl(s Sysctl) error {
	err := writeExisting("/proc/sys/"+s.path(), s.Value)
	switch {
	case errors.Is(err, unix.EROFS):
		return &MissingError{
			What: "/proc/sys is mounted read-only here, as containers do it",
			Fix:  "run outside the container, or start it with --privileged", Err: err,
		}
	case errors.Is(err, os.ErrNotExist):
		return &MissingError{What: "this kernel has no such sysctl in a network namespace", Err: err}
	}
	return err
}

func writeExisting(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// checkSysctl compares a sysctl of the calling thread's network namespace.
func checkSysctl(s Sysctl) error {
	data, err := os.ReadFile("/proc/sys/" + s.path())
	if err != nil {
		return err
	}
	if shown := strings.TrimSpace(string(data)); !sameValue(s.Value, shown) {
		return fmt.Errorf("it is %q", shown)
	}
	return nil
}
