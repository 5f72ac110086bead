package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Services lists the services that run now, in the order of their start.
func (l *Lab) Services() []Service {
	l.services.mu.Lock()
	defer l.services.mu.Unlock()
	all := make([]Service, len(l.services.servers))
	for i, srv := range l.services.servers {
		all[i] = srv.what
	}
	return all
}

// ReplaceService starts a service, in place of whatever service of its node has
// the same port: those are stopped first, with their connections, whatever
// address they listen on. Where the new one cannot be started, the old ones are
// started again.
func (l *Lab) ReplaceService(ctx context.Context, s Service) error {
	what := fmt.Sprintf("starting the %s service on %s", s.Protocol, s.Listen)
	if l.nodes[s.Node] == nil {
		return step("", what, l.noNode(s.Node))
	}
	if err := s.check(); err != nil {
		return step(s.Node, what, err)
	}
	l.replacing.Lock() // two at once would take each other's port
	defer l.replacing.Unlock()
	old := l.services.take(func(other Service) bool { return other.samePort(s) })
	for _, o := range old {
		_ = o.stop() // it may have ended by itself, and then its port is free too
		<-o.done
	}
	err := l.startService(ctx, s)
	if err == nil {
		return nil
	}
	faults := []error{step(s.Node, what, err)}
	for _, o := range old {
		again := fmt.Sprintf("starting the %s service on %s again", o.what.Protocol, o.what.Listen)
		faults = append(faults, step(s.Node, again, l.startService(context.WithoutCancel(ctx), o.what)))
	}
	return errors.Join(faults...)
}

// StopService stops the services of a node on the port of s, as ReplaceService does.
func (l *Lab) StopService(s Service) {
	l.replacing.Lock()
	defer l.replacing.Unlock()
	for _, o := range l.services.take(func(other Service) bool { return other.samePort(s) }) {
		_ = o.stop() // it may have ended by itself
		<-o.done
	}
}

// take removes servers from the list, for the caller to stop.
func (s *services) take(meant func(Service) bool) (taken []server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.servers = slices.DeleteFunc(s.servers, func(srv server) bool {
		if !meant(srv.what) {
			return false
		}
		taken = append(taken, srv)
		return true
	})
	return taken
}

// reply is what a service on this port has answered so far or, where there was
// none, a greeting of the node.
func (l *Lab) reply(s Service) string {
	for _, other := range l.Services() {
		if other.samePort(s) && other.Reply != "" {
			return other.Reply
		}
	}
	return fmt.Sprintf("Hello from %s.\n", s.Node)
}

// samePort says whether two services cannot, or need not, be there together.
func (s Service) samePort(other Service) bool {
	return s.Node == other.Node && (s.Protocol == UDPEcho) == (other.Protocol == UDPEcho) && s.Listen.Port() == other.Listen.Port()
}

// check finds what is wrong with a service by itself.
func (s Service) check() error {
	if !slices.Contains([]Protocol{HTTP, TCPEcho, UDPEcho}, s.Protocol) {
		return fmt.Errorf("%q is no protocol of a service: http, tcp or udp", s.Protocol)
	}
	if !s.Listen.Addr().IsValid() || s.Listen.Port() == 0 {
		return errors.New("a service needs an address and a port to listen on")
	}
	return nil
}
