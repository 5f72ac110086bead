package toolbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"packetwalk/lab"
)

// netcatCall is a call of nc.
type netcatCall struct {
	udp, probe, listen, verbose bool
	wait                        time.Duration // to connect, and for something to be said; 0: no limit
	port                        string        // that of this side
	host, to                    string
}

func parseNetcat(args []string) (c netcatCall, err error) {
	operands, err := parseOptions(args, []option{
		{names: []string{"-u"}, set: func() { c.udp = true }},
		{names: []string{"-z"}, set: func() { c.probe = true }},
		{names: []string{"-l"}, set: func() { c.listen = true }},
		{names: []string{"-v"}, set: func() { c.verbose = true }},
		{names: []string{"-w"}, take: seconds(&c.wait)},
		{names: []string{"-p"}, take: func(v string) error { c.port = v; return nil }},
		{names: []string{"-n"}}, {names: []string{"-4"}}, {names: []string{"-6"}}, {names: []string{"-N"}},
	})
	switch {
	case err != nil:
		return c, err
	case c.listen && c.port == "" && len(operands) == 1:
		c.port = operands[0]
	case c.listen && c.port == "" && len(operands) == 2:
		c.host, c.port = operands[0], operands[1]
	case c.listen && c.port != "" && len(operands) == 0:
	case !c.listen && len(operands) == 2:
		c.host, c.to = operands[0], operands[1]
	default:
		err = errors.New("expected an address and a port, or -l and a port")
	}
	return c, err
}

// netcat stands in for nc(1): a connection joined with the standard streams.
func netcat(name string, args []string) int {
	c, err := parseNetcat(args)
	if err != nil {
		return complain(name, 1, "%v", err)
	}
	if err := c.do(); err != nil {
		return complain(name, 1, "%v", err)
	}
	return 0
}

func (c netcatCall) do() error {
	conn, err := c.open()
	if err != nil {
		return err
	}
	defer conn.Close()
	if c.verbose || c.probe && !c.udp {
		fmt.Fprintf(os.Stderr, "connected to %s\n", conn.RemoteAddr())
	}
	if c.probe {
		return nil
	}
	return c.join(conn)
}

// open connects, or waits for somebody who does.
func (c netcatCall) open() (net.Conn, error) {
	network := "tcp"
	if c.udp {
		network = "udp"
	}
	switch {
	case c.listen && c.udp:
		return listenDatagrams(net.JoinHostPort(c.host, c.port))
	case c.listen:
		var config net.ListenConfig
		config.SetMultipathTCP(false)
		l, err := config.Listen(context.Background(), network, net.JoinHostPort(c.host, c.port))
		if err != nil {
			return nil, err
		}
		defer l.Close()
		return l.Accept()
	}
	dialer := lab.Dialer()
	dialer.Timeout = c.wait
	if c.port != "" {
		local := net.JoinHostPort("", c.port)
		var err error
		if c.udp {
			dialer.LocalAddr, err = net.ResolveUDPAddr(network, local)
		} else {
			dialer.LocalAddr, err = net.ResolveTCPAddr(network, local)
		}
		if err != nil {
			return nil, err
		}
	}
	return dialer.Dial(network, net.JoinHostPort(c.host, c.to))
}

// listenDatagrams waits for a first datagram and talks with its sender alone.
func listenDatagrams(address string) (net.Conn, error) {
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		return nil, err
	}
	buf := make([]byte, 64<<10)
	n, from, err := conn.ReadFrom(buf)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &datagrams{PacketConn: conn, peer: from, first: buf[:n]}, nil
}

// datagrams is a connection with the sender of a first datagram.
type datagrams struct {
	net.PacketConn
	peer  net.Addr
	first []byte
}

func (d *datagrams) RemoteAddr() net.Addr { return d.peer }

func (d *datagrams) Write(b []byte) (int, error) { return d.WriteTo(b, d.peer) }

func (d *datagrams) Read(b []byte) (int, error) {
	if d.first != nil {
		n := copy(b, d.first)
		d.first = nil
		return n, nil
	}
	for {
		n, from, err := d.ReadFrom(b)
		if err != nil || from.String() == d.peer.String() {
			return n, err
		}
	}
}

// join copies both ways until the other side has ended or, with -w, has said
// nothing for so long.
func (c netcatCall) join(conn net.Conn) error {
	go func() { // ends with the program at the latest: nothing can end a read of standard input
		_, _ = io.Copy(conn, os.Stdin)
		if half, ok := conn.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
	}()
	_, err := io.Copy(os.Stdout, c.patient(conn))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// patient reads from conn, for as long as -w says at a time.
func (c netcatCall) patient(conn net.Conn) io.Reader {
	if c.wait == 0 {
		return conn
	}
	return readFunc(func(b []byte) (int, error) {
		if err := conn.SetReadDeadline(time.Now().Add(c.wait)); err != nil {
			return 0, err
		}
		return conn.Read(b)
	})
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }
