package host

import (
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
)

// peers finds the far ends of veth pairs, by the number of the near end. A link
// names its far end by the number that this has in its own namespace, and by the
// ID that this namespace has given to the other one.
func (r *reader) peers(links []netlink.Link) (map[int]Port, error) {
	wanted := map[int][]netlink.Link{}
	for _, l := range links {
		if l.Type() == "veth" {
			id := l.Attrs().NetNsID
			wanted[id] = append(wanted[id], l)
		}
	}
	found := map[int]Port{}
	pair := func(id int, node string, names map[int]string) {
		for _, l := range wanted[id] {
			if name, ok := names[l.Attrs().ParentIndex]; ok {
				found[l.Attrs().Index] = Port{node, name}
			}
		}
		delete(wanted, id)
	}
	pair(sameNamespace, r.at.Name, r.names)
	for _, o := range r.others {
		if len(wanted) == 0 {
			break
		}
		id, names, err := lookInto(o, wanted)
		if err != nil {
			return found, fmt.Errorf("looking for the far ends of veth pairs in %s: %w", o.Name, err)
		}
		pair(id, o.Name, names)
	}
	return found, nil
}

// sameNamespace stands for the ID of a link whose far end is in the same
// namespace: the kernel gives none.
const sameNamespace = -1

// lookInto asks for the ID of another namespace and, where that is wanted, for
// the names of the links in it.
func lookInto(o Place, wanted map[int][]netlink.Link) (id int, names map[int]string, err error) {
	var other *os.File
	var links []netlink.Link
	err = o.Namespace.Do(func() (err error) {
		if other, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		links, err = listed(netlink.LinkList)
		return err
	})
	if other != nil {
		defer other.Close() // opened for its reference only
	}
	if err != nil {
		return 0, nil, err
	}
	if id, err = netlink.GetNetNsIdByFd(int(other.Fd())); err != nil {
		return 0, nil, fmt.Errorf("asking for its ID: %w", err)
	}
	names = map[int]string{}
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	return id, names, nil
}
