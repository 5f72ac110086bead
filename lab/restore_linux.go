package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Restore puts the lab back to the state of a snapshot of it. The namespaces
// stay, so that whatever runs in them goes on; links that are to be remade are
// new ones of the same name. Tracked connections and neighbours are forgotten.
// Namespaces that the snapshot does not know are removed with all that is in them.
//
// Where something cannot be put back, the rest is put back all the same; the
// error joins a *StepError for each. It also says so where the state is another
// one in the end.
func (l *Lab) Restore(ctx context.Context, s Snapshot) error {
	l.restoring.Lock()
	defer l.restoring.Unlock()
	if s.places == nil {
		return errors.New("putting the lab back: the snapshot is empty")
	}
	r := restore{lab: l, want: s}
	defer func() { closeAll(r.others) }()
	for _, part := range []func(context.Context) error{r.openPlaces, r.removeLinks, r.makeLinks} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	err := errors.Join(
		r.eachPlace(func(n *Namespace) error { return r.restorePlace(ctx, n) }),
		l.restoreServices(ctx, s.services))
	if err != nil {
		return err
	}
	now, err := l.snapshot(ctx, r.places)
	if err == nil && !now.Equal(s) {
		err = fmt.Errorf("putting the lab back: %s", now.difference(s))
	}
	return err
}

// restore is one restoration at work.
type restore struct {
	lab    *Lab
	want   Snapshot
	places []*Namespace
	others []*Namespace // those of the places that are no nodes
	now    map[string]networkState
}

// settling is how long links and IPv6 addresses are waited for, which may have
// no carrier.
const settling = 2 * time.Second

// openPlaces removes the namespaces that are not wanted, makes those that are
// gone, and looks at what there is.
func (r *restore) openPlaces(ctx context.Context) error {
	others, err := r.lab.strangers()
	if err != nil {
		return err
	}
	for _, n := range others {
		if _, ok := r.want.places[n.name]; ok {
			r.others = append(r.others, n)
			continue
		}
		n.close()
		if err := step(n.name, "removing the namespace", removeName(n.name)); err != nil {
			return err
		}
	}
	for name := range r.want.places {
		if r.lab.nodes[name] != nil || placeNamed(r.others, name) != nil {
			continue
		}
		n, err := newNamespace(name, true)
		if err == nil {
			r.others = append(r.others, n)
			err = n.publish()
		}
		if err != nil {
			return step(name, "making the namespace", err)
		}
	}
	r.places = r.lab.places(r.others)
	r.now, err = r.lab.look(ctx, r.places)
	return err
}

// eachPlace does the same in every place, side by side.
func (r *restore) eachPlace(do func(n *Namespace) error) error {
	errs := make([]error, len(r.places))
	var work errgroup.Group
	for i, n := range r.places {
		work.Go(func() error {
			errs[i] = do(n)
			return nil
		})
	}
	_ = work.Wait() // the errors are all kept
	return errors.Join(errs...)
}

// same says whether a link is the one that is wanted, so that it can stay.
func same(a, b linkState) bool {
	return a.name == b.name && a.kind == b.kind && a.peer == b.peer
}

// removeLinks removes what is not wanted, or not like that.
func (r *restore) removeLinks(context.Context) error {
	gone := map[Port]bool{} // with the other end
	for _, n := range r.places {
		index, err := n.indices()
		if err != nil {
			return step(n.name, "listing the interfaces", err)
		}
		for _, l := range r.now[n.name].links {
			at := Port{n.name, l.name}
			wanted := slices.ContainsFunc(r.want.places[n.name].links, func(w linkState) bool { return same(w, l) })
			if wanted || gone[at] || l.kind == kindLoopback {
				continue
			}
			// One whose other end was in a namespace that is gone goes by itself, at any time.
			i, there := index[l.name]
			if !there {
				continue
			}
			if err := n.routes.LinkDel(deviceOf(i)); err != nil && !errors.Is(err, unix.ENODEV) {
				return step(n.name, "removing "+l.name, err)
			}
			gone[at], gone[l.peer] = true, l.peer != Port{}
		}
	}
	return nil
}

// makeLinks makes what is missing.
func (r *restore) makeLinks(context.Context) error {
	made := map[Port]bool{}
	for _, n := range r.places {
		for _, w := range r.want.places[n.name].links {
			at := Port{n.name, w.name}
			stays := slices.ContainsFunc(r.now[n.name].links, func(l linkState) bool { return same(w, l) })
			if stays || made[at] || w.kind == kindLoopback {
				continue
			}
			made[at], made[w.peer] = true, true
			if err := step(n.name, "making "+w.name, r.makeLink(n, w)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *restore) makeLink(n *Namespace, w linkState) error {
	switch {
	case w.kind == kindBridge:
		return n.makeBridge(w.name)
	case w.kind == kindVeth && w.peer != Port{}:
		peer := placeNamed(r.places, w.peer.Node)
		r.lab.remade++
		return n.makeVeth(w.name, peer, w.peer.Interface, laterIndex+r.lab.remade)
	case w.kind == "dummy":
		attrs := netlink.NewLinkAttrs()
		attrs.Name = w.name
		return n.routes.LinkAdd(&netlink.Dummy{LinkAttrs: attrs})
	}
	return fmt.Errorf("links of the kind %s are not put back", w.kind)
}

// laterIndex is firstIndex for links that are made when the lab lives already.
const laterIndex = 1000
