package host_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/host"
)

// option is a socket option that is set before the address is bound.
type option struct{ level, name, value int }

// listen opens a socket in a node, until the test ends.
func listen(t testing.TB, l *lab.Lab, node, network, address string, device string, options ...option) {
	t.Helper()
	var c net.ListenConfig
	c.SetMultipathTCP(false)
	c.Control = func(_, _ string, raw syscall.RawConn) (err error) {
		control := raw.Control(func(fd uintptr) {
			if device != "" {
				err = unix.BindToDevice(int(fd), device)
			}
			for _, o := range options {
				if err == nil {
					err = unix.SetsockoptInt(int(fd), o.level, o.name, o.value)
				}
			}
		})
		if err == nil {
			err = control
		}
		return err
	}
	err := l.Node(node).Do(func() error {
		if strings.HasPrefix(network, "udp") {
			conn, err := c.ListenPacket(context.Background(), network, address)
			if err == nil {
				t.Cleanup(func() { _ = conn.Close() })
			}
			return err
		}
		listener, err := c.Listen(context.Background(), network, address)
		if err == nil {
			t.Cleanup(func() { _ = listener.Close() })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSockets(t *testing.T) {
	labtest.Need(t)
	l := labtest.Build(t, bridged(), "")
	listen(t, l, "c1", "tcp4", "127.0.0.1:80", "")
	listen(t, l, "c1", "tcp6", "[::]:81", "", option{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1})
	listen(t, l, "c1", "tcp", ":82", "")
	listen(t, l, "c1", "tcp4", "10.0.0.2:83", "eth0")
	listen(t, l, "c1", "udp4", "0.0.0.0:53", "")
	listen(t, l, "c1", "udp6", "[fd00::2]:54", "")
	send(t, l, "c1", "udp4", "10.0.0.2:55", "10.0.0.1:9") // it has a peer: not one that takes others in
	backlog := 4096                                       // of net.core.somaxconn, which Go's listeners ask for
	want := []host.Socket{
		{Proto: trace.TCP, Local: netip.MustParseAddrPort("127.0.0.1:80"), Limit: backlog},
		{Proto: trace.TCP, Local: netip.MustParseAddrPort("[::]:81"), Only6: true, Limit: backlog},
		{Proto: trace.TCP, Local: netip.MustParseAddrPort("[::]:82"), Limit: backlog},
		{Proto: trace.TCP, Local: netip.MustParseAddrPort("10.0.0.2:83"), Interface: "eth0", Limit: backlog},
		{Proto: trace.UDP, Local: netip.MustParseAddrPort("0.0.0.0:53")},
		{Proto: trace.UDP, Local: netip.MustParseAddrPort("[fd00::2]:54"), Only6: true},
	}
	program := self(t)
	for i := range want {
		want[i].Process, want[i].PID = program.Process, program.PID
	}
	diff(t, "sockets", want, read(t, l, "c1").Sockets)
	if others := read(t, l, "host").Sockets; len(others) > 0 {
		t.Errorf("the sockets of another namespace: %v", others)
	}
}

// self is this program, as /proc shows it.
func self(t testing.TB) host.Socket {
	t.Helper()
	link, err := os.Readlink("/proc/self")
	if err != nil {
		t.Fatal(err)
	}
	name, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	var s host.Socket
	s.Process = strings.TrimSpace(string(name))
	for _, r := range filepath.Base(link) {
		s.PID = s.PID*10 + int(r-'0')
	}
	return s
}

// A backlog is full where there is one connection more than the limit.
func TestBacklog(t *testing.T) {
	labtest.Need(t)
	l := labtest.Build(t, bridged(), "")
	err := l.Node("c1").Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		if err := unix.Bind(fd, &unix.SockaddrInet4{Port: 80}); err != nil {
			return err
		}
		return unix.Listen(fd, 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		send(t, l, "host", "tcp4", "", "10.0.0.2:80")
	}
	sockets := read(t, l, "c1").Sockets
	i := slices.IndexFunc(sockets, func(s host.Socket) bool { return s.Local.Port() == 80 })
	if s := sockets[i]; s.Queued != 2 || s.Limit != 1 {
		t.Errorf("the backlog is %d of %d, want 2 of 1", s.Queued, s.Limit)
	}
}
