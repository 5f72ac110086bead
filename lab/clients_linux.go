package lab

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// payload is what the clients of the echo services send.
const payload = "packetwalk\n"

// Send runs a client of the topology and waits for its answer: until the end of
// the context, and no longer than the client's own Wait. Where neither says how
// long, that is DefaultTimeout.
func (l *Lab) Send(ctx context.Context, client string) (Response, error) {
	for _, c := range l.topology.Clients {
		if c.Name != client {
			continue
		}
		wait := c.Wait
		if _, ok := ctx.Deadline(); !ok && wait == 0 {
			wait = DefaultTimeout
		}
		if wait > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, wait)
			defer cancel()
		}
		return Request(ctx, l.nodes[c.Node], c)
	}
	return Response{}, fmt.Errorf("sending %s: there is no such client", client)
}

// Place is where something can be done: a node, or the machine itself.
type Place interface{ Do(func() error) error }

// Request sends a request as a client of a lab does, from any place, and waits
// for its answer until the end of the context.
func Request(ctx context.Context, from Place, c Client) (Response, error) {
	r, err := send(ctx, from, c)
	if err != nil {
		return r, fmt.Errorf("sending %s from %s to %s: %w", c.Protocol, c.Node, target(c), cause(err))
	}
	return r, nil
}

// tooLate is a request that was given up after its time.
type tooLate struct{ err error }

func (tooLate) Error() string   { return "no answer came in time" }
func (e tooLate) Unwrap() error { return e.err }

// cause is why a request failed, without the account of which calls it was made by.
func cause(err error) error {
	var errno syscall.Errno
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return tooLate{err}
	case errors.As(err, &errno):
		return errno
	}
	return err
}

// target is what a client asks, in words.
func target(c Client) string {
	if c.Protocol == Ping {
		return c.To.Addr().String()
	}
	return c.To.String()
}

func send(ctx context.Context, from Place, c Client) (Response, error) {
	start := time.Now()
	conn, err := dial(ctx, from, c)
	if err != nil {
		return Response{}, err
	}
	defer conn.Close()
	// Ending the context ends what the client waits for.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	r := Response{Local: addrPort(conn.LocalAddr()), Remote: addrPort(conn.RemoteAddr())}
	switch c.Protocol {
	case HTTP:
		r.Status, r.Body, err = get(ctx, conn, c)
	case TCPEcho:
		// The connection itself is the answer.
	case UDPEcho:
		r.Body, err = echo(conn)
	case Ping:
		r.Body, err = ping(conn, c.To.Addr())
	}
	r.RTT = time.Since(start)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return r, err
}

// dial opens the client's socket where the request comes from.
func dial(ctx context.Context, from Place, c Client) (conn net.Conn, err error) {
	var dialer net.Dialer
	dialer.SetMultipathTCP(false)
	dialer.KeepAlive = -1
	var name, to string
	switch c.Protocol {
	case HTTP, TCPEcho:
		name, to = network("tcp", c.To), c.To.String()
		if c.From != 0 || c.Source.IsValid() {
			dialer.LocalAddr, dialer.Control = &net.TCPAddr{IP: c.Source.AsSlice(), Port: int(c.From)}, reuseAddress
		}
	case UDPEcho:
		name, to = network("udp", c.To), c.To.String()
		if c.From != 0 || c.Source.IsValid() {
			dialer.LocalAddr = &net.UDPAddr{IP: c.Source.AsSlice(), Port: int(c.From)}
		}
	case Ping:
		name, to = pingNetwork(c.To.Addr()), c.To.Addr().String()
		if c.Source.IsValid() {
			dialer.LocalAddr = &net.IPAddr{IP: c.Source.AsSlice()}
		}
	}
	err = from.Do(func() error {
		conn, err = dialer.DialContext(ctx, name, to)
		return err
	})
	return conn, err
}

// reuseAddress lets a client take its port again for another destination while
// the kernel still waits for stray segments of its last connection (TIME_WAIT).
func reuseAddress(_, _ string, conn syscall.RawConn) error {
	var failed error
	err := conn.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	})
	return errors.Join(err, failed)
}

// goodbye is how long the server may take to close the connection behind its answer.
const goodbye = 200 * time.Millisecond

// get asks for the client's path and has the server close the connection behind
// the answer, so that a request is one connection from its first packet to its
// last. Who closes first is held back by TIME_WAIT, and this client may want its
// port again.
func get(ctx context.Context, conn net.Conn, c Client) (status int, body []byte, err error) {
	if fault := c.pathFault(); fault != "" {
		return 0, nil, errors.New(fault)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.To.String()+c.path(), nil)
	if err != nil {
		return 0, nil, err
	}
	req.Close = true
	req.Header.Set("User-Agent", "packetwalk")
	if err := req.Write(conn); err != nil {
		return 0, nil, err
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(io.LimitReader(resp.Body, MaxBody)); err == nil {
		_ = conn.SetReadDeadline(time.Now().Add(goodbye))
		_, _ = in.ReadByte() // the end, or more than was asked for
	}
	return resp.StatusCode, body, err
}

// echo sends one datagram and waits for it to come back.
func echo(conn net.Conn) ([]byte, error) {
	if _, err := io.WriteString(conn, payload); err != nil {
		return nil, err
	}
	buf := make([]byte, maxDatagram)
	n, err := conn.Read(buf)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(buf[:n], []byte(payload)) {
		return buf[:n], errors.New("the answer is not what was sent")
	}
	return buf[:n], nil
}

// addrPort turns the net package's address into a value; the port is 0 where
// the protocol has none.
func addrPort(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.TCPAddr:
		return unmap(a.AddrPort())
	case *net.UDPAddr:
		return unmap(a.AddrPort())
	case *net.IPAddr:
		ip, _ := netip.AddrFromSlice(a.IP)
		return unmap(netip.AddrPortFrom(ip, 0))
	}
	return netip.AddrPort{}
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
