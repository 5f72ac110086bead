package control

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// PathEnv names the environment variable that tells programs in a lab where
// the lab's socket is, and NodeEnv the one that tells the node.
const (
	PathEnv = "PACKETWALK_LAB"
	NodeEnv = "PACKETWALK_NODE"
)

// describeTimeout is how long a lab may take to say what it is. One that is
// being built takes its time, and one that was suspended says nothing.
const describeTimeout = 3 * time.Second

// Lab is a running lab, as others see it.
type Lab struct {
	// PID is the process that was started as packetwalk; 0 where the lab is the
	// one that this program runs in.
	PID int
	Description
	path string
}

// At is the lab whose socket is at path.
func At(path string) (Lab, error) {
	l := Lab{path: path}
	conn, err := dial(path)
	if err != nil {
		return l, fmt.Errorf("asking the lab at %s: %w", path, err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(describeTimeout)) // fails on a closed connection only
	err = conn.ask(Request{Do: Describe})
	if err != nil {
		return l, fmt.Errorf("asking the lab at %s: %w", path, err)
	}
	a, err := conn.answer()
	if errors.Is(err, io.EOF) {
		err = errors.New("it has just ended")
	} else if err == nil && a.Lab == nil {
		err = errors.New("it does not say what it is")
	}
	if err != nil {
		return l, fmt.Errorf("asking the lab at %s: %w", path, err)
	}
	l.Description = *a.Lab
	return l, nil
}

// Running finds the running labs of this user: the one that this program runs
// in or, outside of labs, all of them. A lab that does not answer is left out,
// and the error joins what is known of it. Sockets of killed labs are removed.
func Running() (labs []Lab, err error) {
	if path := os.Getenv(PathEnv); path != "" {
		if l, err := At(path); err == nil {
			return []Lab{l}, nil
		}
	}
	for _, dir := range doorDirectories() {
		for _, pid := range doors(dir) {
			path := doorPath(dir, pid)
			if removeStale(path, pid) {
				continue
			}
			l, lost := At(path)
			if lost != nil {
				err = errors.Join(err, lost)
				continue
			}
			l.PID = pid
			labs = append(labs, l)
		}
	}
	return labs, err
}

// Node finds a node by name.
func (l Lab) Node(name string) (Node, bool) {
	for _, n := range l.Nodes {
		if n.Name == name {
			return n, true
		}
	}
	return Node{}, false
}
