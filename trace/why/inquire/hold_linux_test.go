package inquire_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"packetwalk/lab"
)

// held are services that do not do what one expects of them, until they are stopped.
type held struct{ close []func() error }

func (h *held) stop() {
	for _, end := range h.close {
		_ = end() // the test is over, or what follows tells
	}
	h.close = nil
}

// badService reads a service that does not work: "mute 53" takes datagrams in and
// says nothing, "stuck 80" accepts no connection and has its queue full.
func badService(text string) (what string, port int, ok bool) {
	what, number, _ := strings.Cut(text, " ")
	port, err := strconv.Atoi(number)
	return what, port, err == nil && (what == "mute" || what == "stuck")
}

func (h *held) start(t *testing.T, node *lab.Namespace, what string, port int) {
	t.Helper()
	err := node.Do(func() error {
		if what == "mute" {
			conn, err := net.ListenUDP("udp4", &net.UDPAddr{Port: port})
			if err == nil {
				h.close = append(h.close, conn.Close)
			}
			return err
		}
		return h.stick(port)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// stick listens with the shortest queue there is, and fills it.
func (h *held) stick(port int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	h.close = append(h.close, func() error { return unix.Close(fd) })
	if err := errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), unix.Bind(fd, &unix.SockaddrInet4{Port: port}), unix.Listen(fd, 0)); err != nil {
		return err
	}
	for {
		conn, err := net.DialTimeout("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), 200*time.Millisecond)
		if err != nil {
			return nil // the queue is full: the kernel does not answer any more
		}
		h.close = append(h.close, conn.Close)
	}
}

// send sends the request of the case from a node, before it is asked about.
func (c causeCase) send(t *testing.T, l *lab.Lab, node string) {
	t.Helper()
	q := c.question(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, _ = lab.Request(ctx, l.Node(node), lab.Client{Node: node, Protocol: lab.UDPEcho, To: q.Target.Addr, From: c.Port})
}
