package vantage

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"packetwalk/lab"
	"packetwalk/trace/docker"
	"packetwalk/trace/nflog"
	"packetwalk/trace/why"
	"packetwalk/trace/why/inquire"
)

// Machine is a machine to ask questions on, with the containers that run on it.
type Machine struct {
	place      inquire.Place
	containers []docker.Container
	// unavailable is why the containers are not known; nil where they are.
	unavailable error
}

// Here is the machine that the program runs on, or the container that it runs in.
func Here() inquire.Place {
	name, err := os.Hostname()
	if err != nil {
		name = "host"
	}
	return inquire.Place{Name: name, Kind: string(lab.Host), Namespace: nflog.Here{}}
}

// Open looks at the containers of a machine. Where Docker does not answer on the
// socket, which is empty for none, the machine counts as one without, and only
// what needs Docker says so.
func Open(ctx context.Context, machine inquire.Place, socket string) *Machine {
	m := &Machine{place: machine}
	if socket == "" {
		m.unavailable = fmt.Errorf("DOCKER_HOST names a daemon that is not on this machine")
		return m
	}
	m.containers, m.unavailable = docker.Containers(ctx, socket)
	return m
}

// Unavailable is why Docker could not be asked; nil where it answered.
func (m *Machine) Unavailable() error { return m.unavailable }

// Published lists the ports that Docker publishes; nil where it could not be asked.
func (m *Machine) Published() []why.Publication {
	if m.unavailable != nil {
		return nil
	}
	all := []why.Publication{}
	for _, c := range m.containers {
		for _, p := range c.Ports {
			all = append(all, why.Publication{Container: c.Name, Proto: p.Proto, Host: p.Host, Inside: c.Target(p)})
		}
	}
	return all
}

// Names maps the containers' addresses to their names. An address that two have,
// on networks of their own, is left out.
func (m *Machine) Names() map[netip.Addr]string {
	names, twice := map[netip.Addr]string{}, map[netip.Addr]bool{}
	for _, c := range m.containers {
		for _, a := range c.Addresses() {
			if other, taken := names[a]; taken && other != c.Name {
				twice[a] = true
			}
			names[a] = c.Name
		}
	}
	for a := range twice {
		delete(names, a)
	}
	return names
}

// Resolve lists the addresses of the container that is called so, by its name,
// by what a network calls it, or by the beginning of its ID.
func (m *Machine) Resolve(name string) ([]netip.Addr, error) {
	c, err := m.find(name)
	if err != nil {
		return nil, fmt.Errorf("resolving %q: %w", name, err)
	}
	addresses := c.Addresses()
	switch {
	case c.HostNetwork:
		return nil, fmt.Errorf("resolving %q: the container uses the network of its host: name an address of the host", name)
	case len(addresses) == 0:
		return nil, fmt.Errorf("resolving %q: the container has no address: docker network connect NETWORK %s gives it one", name, c.Name)
	}
	return addresses, nil
}

// find finds a container. Names go before aliases, and these before IDs.
func (m *Machine) find(name string) (docker.Container, error) {
	if m.unavailable != nil {
		return docker.Container{}, m.unavailable
	}
	for _, is := range []func(docker.Container) bool{
		func(c docker.Container) bool { return c.Name == name },
		func(c docker.Container) bool { return c.Called(name) },
		func(c docker.Container) bool { return len(name) >= shortestID && strings.HasPrefix(c.ID, name) },
	} {
		var found []docker.Container
		for _, c := range m.containers {
			if is(c) {
				found = append(found, c)
			}
		}
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			return docker.Container{}, fmt.Errorf("%d containers are called so: %s", len(found), strings.Join(namesOf(found), ", "))
		}
	}
	if len(m.containers) == 0 {
		return docker.Container{}, fmt.Errorf("%w: none runs", ErrUnknownName)
	}
	return docker.Container{}, fmt.Errorf("%w; there are: %s", ErrUnknownName, strings.Join(namesOf(m.containers), ", "))
}

// shortestID is how much of an ID has to be given: less is more likely a mistake.
const shortestID = 4

func namesOf(all []docker.Container) []string {
	var names []string
	for _, c := range all {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return names
}

// owners lists the containers that a request may come to: those that have the
// target's address or are published on its port, and those at the addresses that
// rules may send it to.
func (m *Machine) owners(target why.Target, sentTo []netip.Addr) []docker.Container {
	addresses := append(slices.Clone(sentTo), target.Addr.Addr())
	return slices.DeleteFunc(slices.Clone(m.containers), func(c docker.Container) bool {
		byAddress := slices.ContainsFunc(c.Addresses(), func(a netip.Addr) bool { return slices.Contains(addresses, a) })
		byPort := slices.ContainsFunc(c.Ports, func(p docker.Port) bool { return isPublished(p, target) })
		return !byAddress && !byPort
	})
}

// isPublished says whether a published port is the target.
func isPublished(p docker.Port, target why.Target) bool {
	at, addr := p.Host.Addr(), target.Addr.Addr()
	return p.Proto == target.Proto && p.Host.Port() == target.Addr.Port() &&
		(at == addr || at.IsUnspecified() && at.Is4() == addr.Is4())
}
