package host

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/vishvananda/netlink"
)

// place is a Place in which ends of veth pairs are looked for, by readers of
// several others perhaps.
type place struct {
	Place
	look  sync.Once
	ns    *os.File       // the network namespace; nil before the first look
	names map[int]string // of the links, by number
	err   error
}

func placesOf(all []Place) []*place {
	places := make([]*place, len(all))
	for i, p := range all {
		places[i] = &place{Place: p}
	}
	return places
}

// open looks into the place, once.
func (p *place) open() error {
	p.look.Do(func() {
		p.err = p.Namespace.Do(func() (err error) {
			if p.ns, err = os.Open("/proc/thread-self/ns/net"); err != nil {
				return err
			}
			links, err := listed(netlink.LinkList)
			p.names = namesOf(links)
			return err
		})
	})
	return p.err
}

func closeAll(all []*place) {
	for _, p := range all {
		if p.ns != nil {
			_ = p.ns.Close() // opened for its reference only
		}
	}
}

func namesOf(links []netlink.Link) map[int]string {
	names := map[int]string{}
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	return names
}

// sameNamespace stands for the ID of a link whose far end is in the same
// namespace: the kernel gives none.
const sameNamespace = -1

// peers finds the far ends of veth pairs, by the number of the near end. A link
// names its far end by the number that this has in its own namespace, and by the
// ID that this namespace has given to the other one.
func (r *reader) peers(links []netlink.Link) (map[int]Port, error) {
	wanted := map[int][]netlink.Link{} // by the ID
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
	pair(sameNamespace, r.Node, r.names)
	var faults []error
	for _, o := range r.others {
		if len(wanted) == 0 {
			break
		}
		id, err := o.id()
		if err != nil {
			faults = append(faults, fmt.Errorf("looking for the far ends of veth pairs in %s: %w", o.Name, err))
			continue
		}
		pair(id, o.Name, o.names)
	}
	return found, errors.Join(faults...)
}

// id looks into the place, and asks for the ID that the namespace of the calling
// thread has given to it. One without an ID holds no far ends.
func (p *place) id() (int, error) {
	if err := p.open(); err != nil {
		return 0, err
	}
	return netlink.GetNetNsIdByFd(int(p.ns.Fd()))
}
