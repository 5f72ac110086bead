package lab

import (
	"encoding/binary"
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// asker asks the kernel questions whose answers come at once. It does without
// the netlink packages, whose sockets wait in the background: on a thread of its
// own, each question would cost two changes of threads.
type asker struct {
	fd  int
	buf []byte
}

// newAsker opens a netlink socket in the network namespace of the calling thread.
func newAsker(protocol int) (*asker, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	return &asker{fd: fd, buf: make([]byte, 32<<10)}, nil
}

func (a *asker) close() {
	if a != nil {
		_ = unix.Close(a.fd) // nothing was written
	}
}

// ask sends a request, a dump or one for a single answer, and calls f with the
// content of every message of the answer.
func (a *asker) ask(kind uint16, dump bool, content []byte, f func([]byte)) error {
	flags := uint16(unix.NLM_F_REQUEST)
	if dump {
		flags |= unix.NLM_F_DUMP
	}
	request := make([]byte, unix.SizeofNlMsghdr, unix.SizeofNlMsghdr+len(content))
	binary.NativeEndian.PutUint32(request, uint32(cap(request)))
	binary.NativeEndian.PutUint16(request[4:], kind)
	binary.NativeEndian.PutUint16(request[6:], flags)
	if err := unix.Sendto(a.fd, append(request, content...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("sendto", err)
	}
	for {
		n, _, err := unix.Recvfrom(a.fd, a.buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return os.NewSyscallError("recvfrom", err)
		}
		messages, err := syscall.ParseNetlinkMessage(a.buf[:n])
		if err != nil {
			return err
		}
		for _, m := range messages {
			switch {
			case m.Header.Type == unix.NLMSG_DONE:
				return nil
			case m.Header.Type == unix.NLMSG_ERROR && len(m.Data) >= 4:
				return unix.Errno(-int32(binary.NativeEndian.Uint32(m.Data)))
			}
			f(m.Data)
		}
		if !dump {
			return nil
		}
	}
}
