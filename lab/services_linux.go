package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// maxDatagram is the largest UDP payload that IPv4 carries: 65535 bytes less
// the headers.
const maxDatagram = 65507

// services are the running servers of a lab.
type services struct {
	mu      sync.Mutex
	closed  bool
	servers []server
	running sync.WaitGroup
}

// server is one running service.
type server struct {
	what Service
	stop func() error
	done <-chan struct{} // closed when it no longer serves
}

// startServices binds every service inside its node and lets it run.
func (l *Lab) startServices(ctx context.Context) error {
	for _, s := range l.topology.Services {
		what := fmt.Sprintf("starting the %s service on %s", s.Protocol, s.Listen)
		if err := step(s.Node, what, l.startService(ctx, s)); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) startService(ctx context.Context, s Service) error {
	// No multipath TCP: its option makes the SYN look different, and the
	// handshake falls back and costs time where the peer has none.
	var listen net.ListenConfig
	listen.SetMultipathTCP(false)
	listen.KeepAlive = -1
	return l.nodes[s.Node].Do(func() error {
		if s.Protocol == UDPEcho {
			conn, err := listen.ListenPacket(ctx, network("udp", s.Listen), s.Listen.String())
			if err != nil {
				return err
			}
			return l.services.add(server{what: s, stop: conn.Close}, func() { echoDatagrams(conn) })
		}
		listener, err := listen.Listen(ctx, network("tcp", s.Listen), s.Listen.String())
		if err != nil {
			return err
		}
		if s.Protocol == HTTP {
			srv, handlers := httpServer(s.Reply)
			return l.services.add(server{what: s, stop: srv.Close}, func() {
				_ = srv.Serve(listener) // it ends only because it was closed
				handlers.Wait()
			})
		}
		echo := &tcpEcho{listener: listener, open: map[net.Conn]bool{}}
		return l.services.add(server{what: s, stop: echo.close}, echo.serve)
	})
}

// network is the name of the network with the IP version of the address.
func network(name string, a netip.AddrPort) string {
	if a.Addr().Is4() {
		return name + "4"
	}
	return name + "6"
}

// add starts a server's goroutine and takes charge of it.
func (s *services) add(srv server, serve func()) error {
	done := make(chan struct{})
	srv.done = done
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.Join(errClosed, srv.stop())
	}
	s.servers = append(s.servers, srv)
	s.running.Go(func() {
		defer close(done)
		serve()
	})
	return nil
}

// check says whether every service still serves.
func (s *services) check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var faults []error
	for _, srv := range s.servers {
		select {
		case <-srv.done:
			what := fmt.Sprintf("serving %s on %s", srv.what.Protocol, srv.what.Listen)
			faults = append(faults, step(srv.what.Node, what, errors.New("the service has ended")))
		default:
		}
	}
	return errors.Join(faults...)
}

// close stops the servers and waits for their goroutines.
func (s *services) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var faults []error
	for _, srv := range s.servers {
		faults = append(faults, srv.stop())
	}
	s.servers = nil
	s.closed = true
	s.running.Wait()
	return errors.Join(faults...)
}

// httpServer answers every request with one text. The group holds what is done
// for open connections, which closing the server does not wait for.
func httpServer(reply string) (*http.Server, *sync.WaitGroup) {
	var handlers sync.WaitGroup
	srv := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			// The client may be gone: that is seen in its walk, not here.
			_, _ = io.WriteString(w, reply)
		}),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				handlers.Add(1)
			case http.StateClosed:
				handlers.Done()
			}
		},
	}
	srv.SetKeepAlivesEnabled(false)
	return srv, &handlers
}

// echoDatagrams sends every datagram back, until the socket is closed.
func echoDatagrams(conn net.PacketConn) {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			_, _ = conn.WriteTo(buf[:n], from) // a lost answer is part of what a lab shows
		}
	}
}

// tcpEcho sends back what it gets on every connection.
type tcpEcho struct {
	listener net.Listener
	mu       sync.Mutex
	open     map[net.Conn]bool
	closed   bool
}

func (e *tcpEcho) serve() {
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		conn, err := e.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || !e.keep(conn) {
			continue
		}
		conns.Go(func() {
			defer e.drop(conn)
			_, _ = io.Copy(conn, conn) // ends when either side does
		})
	}
}

// keep notes an open connection; it refuses one that comes after the end.
func (e *tcpEcho) keep(conn net.Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		_ = conn.Close()
		return false
	}
	e.open[conn] = true
	return true
}

func (e *tcpEcho) drop(conn net.Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.open, conn)
	_ = conn.Close()
}

func (e *tcpEcho) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for conn := range e.open {
		_ = conn.Close()
	}
	return e.listener.Close()
}
