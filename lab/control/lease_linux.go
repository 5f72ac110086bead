package control

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// insidePath is where programs in a lab find its socket if nothing tells them.
const insidePath = "/run/packetwalk/lab.sock"

// Lease is a time without probes, for the node that this process is in. It ends
// at the latest with this process.
type Lease struct {
	// Iptables is the variant of iptables that the lab runs with: "nft",
	// "legacy" or, empty, the one that the system calls iptables.
	Iptables string
	conn     *Conn
}

// PauseHere has the probes of this process's node taken out, by the lab that
// this process runs in.
func PauseHere() (*Lease, error) {
	conn, a, err := askHere(Request{Do: Pause})
	if err != nil {
		return nil, err
	}
	return &Lease{a.Iptables, conn}, nil
}

// Release has the probes put in again, and returns when they are.
func (l *Lease) Release() error {
	defer l.conn.Close()
	err := l.conn.ask(Request{Do: Release})
	if err == nil {
		_, err = l.conn.answer()
	}
	var said *Error
	if errors.As(err, &said) {
		return err
	}
	return nil // a lab that is gone has no probes
}

// ServeHere starts a service in this process's node.
func ServeHere(s Service) error {
	conn, _, err := askHere(Request{Do: Serve, Service: &s})
	if err != nil {
		return err
	}
	return conn.Close()
}

// askHere asks the lab that this process runs in, about the node that it is in.
// That is told by the network namespace: the environment would be wrong behind
// ip netns exec.
func askHere(r Request) (*Conn, Answer, error) {
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		return nil, Answer{}, fmt.Errorf("looking at this program's network namespace: %w", err)
	}
	r.Netns = st.Ino
	conn, err := dial(cmp.Or(os.Getenv(PathEnv), insidePath))
	if err != nil {
		return nil, Answer{}, fmt.Errorf("asking the lab: %w", err)
	}
	err = conn.ask(r)
	var a Answer
	if err == nil {
		a, err = conn.answer()
	}
	if err != nil {
		return nil, a, errors.Join(err, conn.Close())
	}
	return conn, a, nil
}
