package xtables

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// Between the replacement of a table and the return of its counters they exist
// only in the memory of the process that does both. So that whoever ends this
// program cannot make them vanish, a process of its own does it: this program
// again, under another name, which inherits the lock.

// swapName is how the process is called: by the first word of its command line.
const swapName = "packetwalk-swap"

// init is where a process that was started to swap tables does so and ends.
func init() {
	if len(os.Args) != 1 || os.Args[0] != swapName {
		return
	}
	if err := swapAll(os.Stdin); err != nil {
		fmt.Fprint(os.Stderr, err)
		var errno unix.Errno
		if errors.As(err, &errno) && errno == unix.EAGAIN {
			os.Exit(swapChanged)
		}
		os.Exit(swapFailed)
	}
	os.Exit(0)
}

// How the process ends when it could not do it.
const (
	swapFailed  = 1
	swapChanged = 3
)

// ErrChanged says that somebody who does not take the lock has changed a table.
var ErrChanged = errors.New("the legacy table was changed by somebody who does not take the xtables lock")

// swapAll replaces the tables that it reads, up to the first that fails.
func swapAll(in io.Reader) error {
	var all []Replacement
	if err := gob.NewDecoder(in).Decode(&all); err != nil {
		return err
	}
	for _, r := range all {
		if err := swap(r); err != nil {
			return fmt.Errorf("replacing table %s: %w", r.Name, err)
		}
	}
	return nil
}

func swap(r Replacement) error {
	s, err := openSocket(r.Family)
	if err != nil {
		return err
	}
	defer s.close()
	return s.replace(r)
}

// Replace puts edited tables in the place of those that were read, each at
// once, in their order. Counters of rules and policies go on from where they
// are. After an error the tables before the one that failed are replaced.
func (t *Tables) Replace(edited []*Table) error {
	if len(edited) == 0 {
		return nil
	}
	var all []Replacement
	for _, table := range edited {
		all = append(all, table.Replacement())
	}
	var in, errs bytes.Buffer
	if err := gob.NewEncoder(&in).Encode(all); err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{swapName}
	cmd.Stdin, cmd.Stderr = &in, &errs
	cmd.ExtraFiles = []*os.File{t.lock.file}
	// A session of its own: what ends this program from the terminal does not reach it.
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	err := cmd.Run()
	if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == swapChanged {
		return ErrChanged
	}
	if err != nil {
		return unsupported("%w: %s", err, strings.TrimSpace(errs.String()))
	}
	return nil
}
