package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Lab is a topology come to life. Its methods may be called concurrently.
type Lab struct {
	topology Topology
	options  Options
	nodes    map[string]*Namespace
	tools    *tools

	services services
	jobs     jobs
	// replacing is held while a service takes another one's place.
	replacing sync.Mutex

	restoring sync.Mutex // held by the one restoration at a time
	remade    int        // how many links have been made since the lab was built

	closing  sync.Once
	closeErr error
}

// Build makes a lab live: when it returns, links are up, rules are in place and
// services listen. Call it in the sandbox; everywhere else it needs root and
// still keeps to namespaces of its own.
//
// When a step fails, everything made so far is torn down and the error is a
// *StepError. A faulty topology is refused before anything is made; see
// Topology.Validate.
func Build(ctx context.Context, t Topology, o Options) (*Lab, error) {
	if err := t.Validate(); err != nil {
		return nil, fmt.Errorf("checking the topology: %w", err)
	}
	if !slices.Contains(Variants(), o.Iptables) {
		return nil, fmt.Errorf("choosing iptables: there is no variant %q", o.Iptables)
	}
	l := &Lab{
		topology: t, options: o, nodes: make(map[string]*Namespace, len(t.Nodes)),
		jobs: jobs{all: map[*job]bool{}, ending: make(chan struct{}), children: startReaper()},
	}
	if err := l.build(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// build does what depends on nothing else at the same time: the rules name
// interfaces that need not exist yet, so they go in beside the network.
func (l *Lab) build(ctx context.Context) error {
	tools := make(chan error, 1)
	go func() {
		var err error
		l.tools, err = findTools(l.options.Iptables, l.topology)
		tools <- err
	}()
	err := l.makeNodes()
	if toolsErr := <-tools; err == nil {
		err = step("", "looking for iptables", toolsErr)
	}
	if err != nil {
		return err
	}
	work, ctx := errgroup.WithContext(ctx)
	for _, n := range l.topology.Nodes {
		work.Go(func() error { return l.setRules(ctx, n) })
	}
	work.Go(func() error {
		if err := l.makeNetwork(ctx); err != nil {
			return err
		}
		return l.startServices(ctx)
	})
	return work.Wait()
}

// makeNodes makes the namespaces, all at once.
func (l *Lab) makeNodes() error {
	made := make([]*Namespace, len(l.topology.Nodes))
	var work errgroup.Group
	for i, n := range l.topology.Nodes {
		work.Go(func() (err error) {
			if made[i], err = newNamespace(n.Name, n.LoopbackDown); err != nil {
				return step(n.Name, "making the network namespace", err)
			}
			return step(n.Name, "naming the network namespace", made[i].publish())
		})
	}
	err := work.Wait()
	for _, n := range made {
		if n != nil {
			l.nodes[n.name] = n
		}
	}
	return err
}

// Node finds a node by name; nil if there is none.
func (l *Lab) Node(name string) *Namespace { return l.nodes[name] }

// Topology is what the lab was built from.
func (l *Lab) Topology() Topology { return l.topology }

// Close stops the services, kills every program that runs in a node, waits for
// them and lets the nodes go, which the kernel then removes. Closing again does
// nothing.
func (l *Lab) Close() error {
	l.closing.Do(func() {
		l.endPrograms()
		faults := []error{l.services.close()}
		for _, n := range l.nodes {
			faults = append(faults, step(n.name, "taking back its name", n.unpublish()))
			n.close()
		}
		l.closeErr = errors.Join(faults...)
	})
	return l.closeErr
}
