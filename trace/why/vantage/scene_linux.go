package vantage

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"packetwalk/lab"
	"packetwalk/trace"
	"packetwalk/trace/docker"
	"packetwalk/trace/filter"
	"packetwalk/trace/host"
	"packetwalk/trace/nflog"
	"packetwalk/trace/ruleset"
	"packetwalk/trace/why"
	"packetwalk/trace/why/inquire"
)

// Scene is where one question is asked on a machine: the machine, where the
// request comes from, and the containers that it may come to.
type Scene struct {
	inquire.Scene
	// From is the name of the place that the request comes from; empty where it
	// is waited for.
	From string
	// Outside is the outside client; nil where the request does not come from one.
	Outside *Outside

	opened []*nflog.NetNS
	known  map[identity]string // the places' names
}

// Scene prepares a question. Close has to be called, once nothing is traced any more.
func (m *Machine) Scene(ctx context.Context, from Origin, target why.Target) (*Scene, error) {
	s := &Scene{known: map[identity]string{}, Scene: inquire.Scene{Family: trace.FamilyOf(target.Addr.Addr()), Careful: true, Published: m.Published()}}
	names := m.Names()
	s.Name = func(a netip.Addr) string { return names[a] }
	if err := s.fill(ctx, m, from, target); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Scene) fill(ctx context.Context, m *Machine, from Origin, target why.Target) error {
	found, err := nflog.Survey(ctx, m.place.Namespace, []trace.Family{s.Family}, "")
	if err != nil {
		return fmt.Errorf("looking at the rules of %s: %w", m.place.Name, err)
	}
	rules, err := nflog.Rulesets(ctx, m.place.Namespace, found.Backends)
	if err != nil {
		return fmt.Errorf("reading the rules of %s: %w", m.place.Name, err)
	}
	if _, err := s.add(m.place); err != nil {
		return err
	}
	if err := s.addOrigin(ctx, m, from, target, rules); err != nil {
		return err
	}
	if err := s.addOwners(m, target, rules); err != nil {
		return err
	}
	s.Filter, err = s.narrow(target)
	return err
}

// addOrigin adds the place that the request comes from.
func (s *Scene) addOrigin(ctx context.Context, m *Machine, from Origin, target why.Target, rules []ruleset.Ruleset) (err error) {
	switch from.Kind {
	case Local:
		s.From = m.place.Name
	case InContainer:
		c, err := m.find(from.Container)
		if err != nil {
			return fmt.Errorf("asking from container %q: %w", from.Container, err)
		}
		s.From, err = s.addContainer(c, false)
		return err
	case FromOutside:
		if addr := target.Addr.Addr(); addr.IsLoopback() {
			return fmt.Errorf("asking from outside for %s: that is an outside client's own address; name one that %s has on a network", addr, m.place.Name)
		}
		s.Outside, err = NewOutside(ctx, host.Place{Name: m.place.Name, Namespace: m.place.Namespace}, s.Family, rules)
		if err == nil {
			s.From, err = s.add(s.Outside.Place())
		}
	}
	return err
}

// addOwners adds the containers that the request may come to. NAT may have given
// it another address by then, so that the scene's filter is none for them.
func (s *Scene) addOwners(m *Machine, target why.Target, rules []ruleset.Ruleset) error {
	var sentTo []netip.Addr
	for _, r := range rules {
		sentTo = append(sentTo, destinations(r, target.Proto, target.Addr)...)
	}
	for _, c := range m.owners(target, sentTo) {
		if _, err := s.addContainer(c, true); err != nil {
			return err
		}
	}
	return nil
}

func (s *Scene) addContainer(c docker.Container, unfiltered bool) (name string, err error) {
	ns, err := openContainer(c)
	if err != nil {
		return "", err
	}
	s.opened = append(s.opened, ns)
	return s.add(inquire.Place{Name: c.Name, Kind: string(lab.Container), Namespace: ns, Unfiltered: unfiltered})
}

// add adds a place unless its namespace is one that is there already: containers
// can share that of others, or of the machine. It returns the name that the
// namespace has.
func (s *Scene) add(p inquire.Place) (string, error) {
	id, err := identify(p.Namespace)
	if err != nil {
		return "", fmt.Errorf("looking at the network namespace of %s: %w", p.Name, err)
	}
	if name, ok := s.known[id]; ok {
		i := slices.IndexFunc(s.Places, func(have inquire.Place) bool { return have.Name == name })
		s.Places[i].Unfiltered = s.Places[i].Unfiltered || p.Unfiltered
		return name, nil
	}
	p.Name = s.unused(p)
	s.known[id] = p.Name
	s.Places = append(s.Places, p)
	return p.Name, nil
}

// unused makes a place's name one that no other has: a container may be called
// as the machine is.
func (s *Scene) unused(p inquire.Place) string {
	name := p.Name
	for slices.ContainsFunc(s.Places, func(other inquire.Place) bool { return other.Name == name }) {
		name += " (" + p.Kind + ")"
	}
	return name
}

// identity tells network namespaces apart, by the device and number of their file.
type identity struct{ device, inode uint64 }

// identify tells which network namespace it is.
func identify(ns nflog.Namespace) (id identity, err error) {
	err = ns.Do(func() error {
		var s unix.Stat_t
		if err := unix.Stat("/proc/thread-self/ns/net", &s); err != nil {
			return err
		}
		id = identity{s.Dev, s.Ino}
		return nil
	})
	return id, err
}

// narrow is the filter for the request's connection where it has the target's address.
func (s *Scene) narrow(target why.Target) (filter.Filter, error) {
	words := map[trace.Proto]string{trace.TCP: "tcp", trace.UDP: "udp", trace.ICMP: "icmp", trace.ICMPv6: "icmp6"}
	text := fmt.Sprintf("%s and dst host %s", words[target.Proto], target.Addr.Addr().WithZone(""))
	if target.Addr.Port() != 0 {
		text += fmt.Sprintf(" and dst port %d", target.Addr.Port())
	}
	if s.Outside != nil {
		text += fmt.Sprintf(" and src host %s", s.Outside.Address)
	}
	return filter.Parse(text)
}

// Close removes the outside client and lets go of the containers. It can be repeated.
func (s *Scene) Close() error {
	var errs []error
	if s.Outside != nil {
		errs = append(errs, s.Outside.Close())
	}
	for _, ns := range s.opened {
		errs = append(errs, ns.Close())
	}
	s.opened = nil
	return errors.Join(errs...)
}
