package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
)

// list is the services that run, in the order in which they were started.
func (s *services) list() []Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Service
	for _, srv := range s.servers {
		select {
		case <-srv.done:
		default:
			all = append(all, srv.what)
		}
	}
	return all
}

// stop ends the servers of which over says so, and waits for them.
func (s *services) stop(over func(Service) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	s.servers = slices.DeleteFunc(s.servers, func(srv server) bool {
		if !over(srv.what) {
			return false
		}
		if stopErr := srv.stop(); stopErr != nil && !errors.Is(stopErr, net.ErrClosed) && err == nil {
			err = fmt.Errorf("stopping the %s service on %s: %w", srv.what.Protocol, srv.what.Listen, stopErr)
		}
		<-srv.done
		return true
	})
	return err
}

// restoreServices stops the services that are not wanted, and starts those that
// are and do not run.
func (l *Lab) restoreServices(ctx context.Context, want []Service) error {
	running := l.services.list()
	err := l.services.stop(func(s Service) bool { return !slices.Contains(want, s) || !slices.Contains(running, s) })
	if err != nil {
		return err
	}
	for _, s := range want {
		if slices.Contains(running, s) {
			continue
		}
		what := fmt.Sprintf("starting the %s service on %s", s.Protocol, s.Listen)
		if err := step(s.Node, what, l.startAgain(ctx, s)); err != nil {
			return err
		}
	}
	return nil
}
