package control

import (
	"os"

	"golang.org/x/sys/unix"
)

// InForeground says whether this process belongs to the foreground process
// group of a terminal, the one that a terminal sends its signals to.
func InForeground() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
