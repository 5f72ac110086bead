package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// namesDir is where ip-netns(8) looks for named network namespaces.
const namesDir = "/run/netns"

// entered says that Enter has given this process a /run of its own. Elsewhere
// /run is the machine's, where a lab leaves nothing.
var entered atomic.Bool

// prepareNames makes the folder for the names of namespaces, shared as
// ip-netns(8) has it: what "ip netns add" mounts in one mount namespace of the
// lab is then seen in all.
func prepareNames() error {
	if err := os.MkdirAll(namesDir, 0o755); err != nil {
		return fmt.Errorf("making %s: %w", namesDir, err)
	}
	if err := unix.Mount(namesDir, namesDir, "none", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mounting %s: %w", namesDir, err)
	}
	if err := unix.Mount("", namesDir, "none", unix.MS_SHARED|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("sharing %s: %w", namesDir, err)
	}
	return nil
}

// publish makes the node known to ip-netns(8) by its name. Where two labs have
// a node of one name, the newer one has it.
func (n *Namespace) publish() error {
	if !entered.Load() {
		return nil
	}
	path := filepath.Join(namesDir, n.name)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o444)
	if err != nil {
		return err
	}
	_ = f.Close() // nothing was written
	if err := unix.Mount(fmt.Sprintf("/proc/thread-self/fd/%d", n.file.Fd()), path, "none", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting %s: %w", path, err)
	}
	n.published = true
	return nil
}

// unpublish takes the name back.
func (n *Namespace) unpublish() error {
	if !n.published {
		return nil
	}
	n.published = false
	return removeName(n.name)
}

// removeName does what "ip netns del" does: the namespace lives on for as long
// as something else holds it. A name that is gone already is no error.
func removeName(name string) error {
	path := filepath.Join(namesDir, name)
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmounting %s: %w", path, err)
	}
	err := os.Remove(path)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.EBUSY) { // another lab's node has the name
		return nil
	}
	return err
}

// errNoNamespace is a file among the names that no namespace is mounted on.
var errNoNamespace = errors.New("no namespace has that name")

// openNamed opens a namespace by its name.
func openNamed(name string) (*Namespace, error) {
	n := &Namespace{name: name}
	f, err := os.Open(filepath.Join(namesDir, name))
	if err != nil {
		return nil, err
	}
	n.file = f
	if _, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_NSTYPE); err != nil {
		n.close()
		return nil, errNoNamespace
	}
	err = n.Do(func() (err error) {
		n.routes, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}
