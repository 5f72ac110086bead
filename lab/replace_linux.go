package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Services lists the services that run now, in the order of their start.
func (l *Lab) Services() []Service { return l.services.list() }

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
	old := slices.DeleteFunc(l.services.list(), func(other Service) bool { return !other.samePort(s) })
	if err := l.services.stop(s.samePort); err != nil {
		return step(s.Node, what, err)
	}
	err := l.startAgain(ctx, s)
	if err == nil {
		return nil
	}
	faults := []error{step(s.Node, what, err)}
	for _, o := range old {
		again := fmt.Sprintf("starting the %s service on %s again", o.Protocol, o.Listen)
		faults = append(faults, step(s.Node, again, l.startAgain(context.WithoutCancel(ctx), o)))
	}
	return errors.Join(faults...)
}

// portFree is how long the port of a service that was stopped may still be taken.
const portFree = time.Second

// startAgain starts a service on a port that another one has just left. A command
// that is being started holds what this process had open, that one's socket too,
// until it becomes another program.
func (l *Lab) startAgain(ctx context.Context, s Service) error {
	for end := time.Now().Add(portFree); ; time.Sleep(time.Millisecond) {
		err := l.startService(ctx, s)
		if !errors.Is(err, unix.EADDRINUSE) || time.Now().After(end) {
			return err
		}
	}
}

// StopService stops the services of a node on the port of s, as ReplaceService does.
func (l *Lab) StopService(s Service) error {
	l.replacing.Lock()
	defer l.replacing.Unlock()
	return l.services.stop(s.samePort)
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
