package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// lookEvery is how often a node is looked at for changes. A look at what has
// not changed costs some system calls.
const lookEvery = 400 * time.Millisecond

// Changed tells, within half a second, that something in a node has changed
// that decides about packets: links, addresses, routes, sysctls,
// rules other than those that Options.Hidden knows, or what listens. Changes that come together are
// told once. The channel is closed, and no look is taken any more, when ctx ends.
//
// What goes wrong with a look is reported, and the next one tries again.
func (l *Lab) Changed(ctx context.Context, report func(error)) <-chan struct{} {
	changed := make(chan struct{}, 1)
	var looking sync.WaitGroup
	for _, n := range l.places(nil) {
		looking.Go(func() {
			err := n.Do(func() error { return l.watchNode(ctx, n, changed, report) })
			if err != nil && ctx.Err() == nil {
				report(step(n.name, "watching for changes", err))
			}
		})
	}
	go func() {
		looking.Wait()
		close(changed)
	}()
	return changed
}

// watchNode looks at a node until ctx ends, on a thread in the node.
func (l *Lab) watchNode(ctx context.Context, n *Namespace, changed chan<- struct{}, report func(error)) error {
	s, err := newSensor(l, n)
	if err != nil {
		return err
	}
	defer s.close()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	_, err = s.look(ctx) // what there is to begin with
	for {
		// A listing that a change has interrupted is read again anyway.
		if err != nil && ctx.Err() == nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			report(step(n.name, "looking for changes", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		var differs bool
		if differs, err = s.look(ctx); differs {
			select {
			case changed <- struct{}{}:
			default: // one is waiting to be taken
			}
		}
	}
}

// sensor is what a node was like at the last look. Every part has a sign that
// is cheap to look at, and is read itself only where the sign has changed.
type sensor struct {
	lab    *Lab
	node   *Namespace
	places []*Namespace

	events  int // a socket on which the kernel tells of links, addresses and routes
	network networkState
	known   bool // network is the state

	generations generations
	rules       rulesState

	sysctls []int // open files
	values  []byte

	sockets   listeners
	listening []string
}

// newSensor must run on the thread that looks.
func newSensor(l *Lab, n *Namespace) (*sensor, error) {
	s := &sensor{lab: l, node: n, places: l.places(nil)}
	var err error
	if s.events, err = subscribe(); err != nil {
		return nil, fmt.Errorf("subscribing to network changes: %w", err)
	}
	if err := errors.Join(s.generations.open(), s.sockets.open()); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *sensor) close() {
	_ = unix.Close(s.events)
	s.generations.close()
	s.sockets.close()
	s.openSysctls(nil)
}

// subscribe opens a socket for what happens to links, addresses, routes and
// the rules between routing tables in the network namespace of the calling thread.
func subscribe() (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return 0, err
	}
	var groups uint32
	for _, g := range []int{
		unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE,
		unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE,
	} {
		groups |= 1 << (g - 1)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		_ = unix.Close(fd)
		return 0, err
	}
	return fd, nil
}

// look says whether anything is different from the last look. Where a part
// cannot be read, it is read again the next time.
func (s *sensor) look(ctx context.Context) (bool, error) {
	var differs bool
	for _, part := range []func(context.Context) (bool, error){s.lookAtNetwork, s.lookAtRules, s.lookAtSysctls, s.lookAtSockets} {
		changed, err := part(ctx)
		if err != nil {
			return differs, err
		}
		differs = differs || changed
	}
	return differs, nil
}

func (s *sensor) lookAtNetwork(context.Context) (bool, error) {
	if !s.drain() && s.known {
		return false, nil
	}
	s.known = false
	now, err := s.node.network(s.places)
	if err != nil {
		return false, err
	}
	s.openSysctls(sysctlsOf(now.links, s.lab.named(s.node.name)))
	differs := !reflect.DeepEqual(now, s.network)
	s.network, s.known = now, true
	return differs, nil
}

// drain reads away what the kernel has told, and says whether it was anything.
func (s *sensor) drain() bool {
	var buf [4096]byte
	told := false
	for {
		_, _, err := unix.Recvfrom(s.events, buf[:], unix.MSG_TRUNC)
		if err == unix.EAGAIN {
			return told
		}
		told = true // also where the socket ran over
	}
}

func (s *sensor) lookAtRules(ctx context.Context) (bool, error) {
	now, err := s.generations.read()
	if err != nil || reflect.DeepEqual(now, s.generations.seen) {
		return false, err
	}
	rules, err := s.lab.rules(ctx)
	if err != nil {
		return false, err
	}
	differs := !reflect.DeepEqual(rules, s.rules)
	s.rules, s.generations.seen = rules, now
	return differs, nil
}

func (s *sensor) lookAtSysctls(context.Context) (bool, error) {
	now := make([]byte, 0, len(s.values))
	var buf [128]byte
	for _, fd := range s.sysctls {
		if n, err := unix.Pread(fd, buf[:], 0); err == nil { // otherwise the interface has gone
			now = append(now, buf[:n]...)
		}
	}
	differs := !bytes.Equal(now, s.values)
	s.values = now
	return differs, nil
}

// openSysctls opens the sysctls of the node, so that a look need only read.
// Those that this kernel does not have are left out.
func (s *sensor) openSysctls(names []string) {
	for _, fd := range s.sysctls {
		_ = unix.Close(fd)
	}
	s.sysctls = nil
	for _, name := range names {
		if fd, err := unix.Open("/proc/sys/"+Sysctl{Name: name}.path(), unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
			s.sysctls = append(s.sysctls, fd)
		}
	}
}

func (s *sensor) lookAtSockets(context.Context) (bool, error) {
	now, err := s.sockets.list()
	if err != nil {
		return false, err
	}
	differs := !slices.Equal(now, s.listening)
	s.listening = now
	return differs, nil
}
