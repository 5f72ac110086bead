package host

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
)

// Read looks at a network namespace. The others are the namespaces in which the
// far ends of veth pairs are looked for; the place itself may be among them.
//
// What cannot be read is told by State.Unseen. It is an error that the
// namespace cannot be entered, or that no part of it can be read.
func Read(ctx context.Context, at Place, others []Place, o Options) (State, error) {
	places := placesOf(others)
	defer closeAll(places)
	return read(ctx, at, places, o)
}

// ReadAll looks at several network namespaces at the same time, as Read does, and
// looks for the far ends of veth pairs in each of them.
func ReadAll(ctx context.Context, all []Place, o Options) (map[string]State, error) {
	places := placesOf(all)
	defer closeAll(places)
	states := make([]State, len(all))
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(2 * runtime.GOMAXPROCS(0)) // each takes a thread, which mostly waits for the kernel
	for i, at := range all {
		work.Go(func() (err error) {
			states[i], err = read(ctx, at, places, o)
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	byName := map[string]State{}
	for _, s := range states {
		byName[s.Node] = s
	}
	return byName, nil
}

// reader fills in a State, on a thread inside the namespace.
type reader struct {
	State
	others  []*place
	options Options
	names   map[int]string // of the links, by number
}

func read(ctx context.Context, at Place, others []*place, o Options) (State, error) {
	r := reader{State: State{Node: at.Name, Look: looker{at.Namespace}}, others: others, options: o}
	parts := []struct {
		name Part
		read func(context.Context) error
	}{
		{Links, r.links}, {Routes, r.routes}, {Choices, r.choices}, {Neighbors, r.neighbors},
		{Sockets, r.sockets}, {Sysctls, r.sysctls}, {Connections, r.connections}, {Native, r.native},
	}
	var faults []error
	err := at.Namespace.Do(func() error {
		for _, p := range parts {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			if err := p.read(ctx); err != nil {
				r.unseen(p.name, err)
				faults = append(faults, fmt.Errorf("reading the %s: %w", p.name, err))
			}
		}
		return context.Cause(ctx)
	})
	if err == nil && len(faults) == len(parts) {
		err = errors.Join(faults...)
	}
	if err != nil {
		return State{}, fmt.Errorf("looking at %s: %w", at.Name, err)
	}
	return r.State, nil
}

// unseen notes why a part, or some of it, could not be read.
func (r *reader) unseen(p Part, err error) {
	if r.Unseen == nil {
		r.Unseen = map[Part]string{}
	}
	if was := r.Unseen[p]; was != "" {
		err = fmt.Errorf("%s; %w", was, err)
	}
	r.Unseen[p] = err.Error()
}

// attempts is how often something is listed that changes while it is listed.
const attempts = 5

// listed lists something, again where the kernel says that it changed meanwhile.
func listed[T any](list func() (T, error)) (all T, err error) {
	for range attempts {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
	}
	return all, err
}
