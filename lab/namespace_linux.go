package lab

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Namespace is a node of a running lab: a network namespace that lives for as
// long as it is held open here, or by a process or socket inside it.
type Namespace struct {
	name string
	file *os.File
	// routes is a netlink socket inside the namespace, usable from any thread.
	routes *netlink.Handle
	links  *linkWatch
	// published says that ip-netns(8) knows the node by its name.
	published bool
}

// errClosed is what a node answers once its lab has been closed.
var errClosed = errors.New("the lab is closed")

// Name is the node's name in the topology.
func (n *Namespace) Name() string { return n.name }

// newNamespace makes a network namespace, with its loopback interface up or,
// as the kernel makes it, down.
func newNamespace(name string, loopbackDown bool) (*Namespace, error) {
	n := &Namespace{name: name}
	err := onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("making a network namespace: %w", err)
		}
		if err := n.open(); err != nil || loopbackDown {
			return err
		}
		return loopbackUp()
	})
	if err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

// open takes hold of the calling thread's network namespace.
func (n *Namespace) open() (err error) {
	// Not /proc/self, which is the main thread, and not a path with a process
	// ID, which /proc may count in another PID namespace.
	if n.file, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return fmt.Errorf("opening the network namespace: %w", err)
	}
	if n.routes, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return fmt.Errorf("opening a netlink socket: %w", err)
	}
	if n.links, err = watchLinks(); err != nil {
		return fmt.Errorf("subscribing to link changes: %w", err)
	}
	return nil
}

func (n *Namespace) close() {
	if n.links != nil {
		n.links.close()
	}
	if n.routes != nil {
		n.routes.Close()
	}
	if n.file != nil {
		_ = n.file.Close() // opened for its reference only: nothing can be lost
	}
}

// Do runs fn inside the node, on an operating system thread of its own that is
// thrown away afterwards. Sockets that fn opens and programs that it starts
// belong to the node; goroutines that it starts do not run in it.
func (n *Namespace) Do(fn func() error) error {
	return onOwnThread(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			if errors.Is(err, unix.EBADF) {
				err = errClosed
			}
			return fmt.Errorf("entering node %s: %w", n.name, err)
		}
		return fn()
	})
}

// errGoexit stands for a function that ended its goroutine, as a failing test does.
var errGoexit = errors.New("the function ended its goroutine")

// onOwnThread runs fn on a thread that ends with it, so that fn may change the
// thread's namespaces.
func onOwnThread(fn func() error) error {
	result := make(chan error, 1)
	go func() {
		err := errGoexit
		defer func() { result <- err }()
		runtime.LockOSThread() // stays locked, so that the thread ends with this goroutine
		if unix.Gettid() != unix.Getpid() {
			err = fn()
			return
		}
		// The main thread cannot end, and it is the one that /proc/self shows:
		// hold it here while another thread does the work.
		err = onOwnThread(fn)
		runtime.UnlockOSThread()
	}()
	return <-result
}
