package docker

import (
	"context"
	"encoding/json"
	"net/netip"
	"sync"
	"time"
)

// Names knows what the containers behind addresses are called, and keeps up with
// those that come and go.
type Names struct {
	client  client
	stop    context.CancelFunc
	stopped chan struct{}

	mu     sync.Mutex
	byAddr map[netip.Addr]entry
}

// entry is the name that an address has, or had until a time.
type entry struct {
	name string
	gone time.Time // zero while the container is there
}

const (
	// again is how long a daemon is left alone that did not answer.
	again = 2 * time.Second
	// remember is how long a container's name outlives it: the walks of its last
	// packets are still to be shown. An address that somebody else has by then has
	// the new name.
	remember = 10 * time.Second
)

// Watch begins to ask the daemon behind a socket, and goes on until Close. It
// does not wait for an answer. Where nobody answers, there are no names.
func Watch(socket string) *Names {
	ctx, stop := context.WithCancel(context.Background())
	n := &Names{client: newClient(socket), stop: stop, stopped: make(chan struct{}), byAddr: map[netip.Addr]entry{}}
	go func() {
		defer close(n.stopped)
		n.watch(ctx)
	}()
	return n
}

// Close stops asking. The names stay.
func (n *Names) Close() {
	n.stop()
	<-n.stopped
	n.client.http.CloseIdleConnections()
}

// Of is the name of the container that has an address; empty where none is known.
func (n *Names) Of(addr netip.Addr) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.byAddr[addr.Unmap()]
	if !e.gone.IsZero() && time.Since(e.gone) > remember {
		return ""
	}
	return e.name
}

// watch follows the daemon until ctx ends, through its restarts.
func (n *Names) watch(ctx context.Context) {
	for {
		n.follow(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(again):
		}
	}
}

// follow lists the containers, and again whenever something has happened to
// them, until the daemon says nothing more. To miss nothing, it asks to be told
// before it looks.
func (n *Names) follow(ctx context.Context) {
	events, err := n.client.events(ctx, time.Now())
	if err != nil {
		return
	}
	defer events.Close()
	happened := make(chan struct{}, 1)
	happened <- struct{}{} // for the first look
	go func() {
		defer close(happened)
		for d := json.NewDecoder(events); ; {
			if err := d.Decode(&struct{}{}); err != nil {
				return
			}
			select {
			case happened <- struct{}{}:
			default: // a look is to come anyway
			}
		}
	}()
	for range happened {
		if names, err := n.client.list(ctx); err == nil {
			n.learn(names, time.Now())
		}
	}
}

// learn takes in what the containers are called now.
func (n *Names) learn(names map[netip.Addr]string, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for addr, e := range n.byAddr {
		_, there := names[addr]
		switch {
		case there:
		case e.gone.IsZero():
			n.byAddr[addr] = entry{e.name, now}
		case now.Sub(e.gone) > remember:
			delete(n.byAddr, addr)
		}
	}
	for addr, name := range names {
		n.byAddr[addr] = entry{name: name}
	}
}
