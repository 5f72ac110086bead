package control

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Conn is a connection between a client and a lab.
type Conn struct{ *net.UnixConn }

// maxFiles is how many descriptors a message may carry: the standard streams.
const maxFiles = 3

// dial connects to the socket at path.
func dial(path string) (*Conn, error) {
	c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return nil, err
	}
	return &Conn{c}, nil
}

// Peer is the user on the other side, as this process's user namespace counts
// them: users who are unknown in it are all one, and never this process's own.
func (c *Conn) Peer() (uid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	if raised := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); raised != nil {
		return 0, raised
	}
	if err != nil {
		return 0, os.NewSyscallError("getsockopt", err)
	}
	return int(cred.Uid), nil
}

// send writes a message, with open files for the other side.
func (c *Conn) send(message any, files ...*os.File) error {
	data, err := encode(message)
	if err != nil {
		return err
	}
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	_, _, err = c.WriteMsgUnix(data, rights, nil)
	return err
}

// receive reads a message and the files that came with it, which are the
// caller's to close. io.EOF says that the other side is gone.
func (c *Conn) receive() (data []byte, files []*os.File, err error) {
	buf := make([]byte, MaxMessage+1)
	oob := make([]byte, unix.CmsgSpace(maxFiles*4))
	n, oobn, flags, _, err := c.ReadMsgUnix(buf, oob)
	if err != nil {
		return nil, nil, err
	}
	files, err = receivedFiles(oob[:oobn])
	switch {
	case err != nil:
	case flags&unix.MSG_CTRUNC != 0:
		err = errors.New("too many files came with a message")
	case n == 0:
		err = io.EOF
	case n > MaxMessage || flags&unix.MSG_TRUNC != 0:
		err = errTooLong
	}
	if err != nil {
		Close(files)
		return nil, nil, err
	}
	return buf[:n], files, nil
}

// receivedFiles takes the files out of a control message (unix(7), SCM_RIGHTS).
func receivedFiles(oob []byte) (files []*os.File, err error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("reading what came with a message: %w", err)
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			continue // of another kind, which holds no files
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	return files, nil
}

// Close closes files that were passed along.
func Close(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // nothing was written through it
	}
}

// Request reads what the client says next.
func (c *Conn) Request() (r Request, files []*os.File, err error) {
	data, files, err := c.receive()
	if err != nil {
		return r, nil, err
	}
	if r, err = ParseRequest(data); err != nil {
		Close(files)
		return r, nil, &Error{Refused, err.Error()}
	}
	return r, files, nil
}

// Answer says something to the client.
func (c *Conn) Answer(a Answer) error {
	a.Version = Version
	return c.send(a)
}

// Fail answers with an error; one of type *Error says which fault it is.
func (c *Conn) Fail(err error) error {
	a := Answer{Error: err.Error(), Fault: NotCarried}
	var known *Error
	if errors.As(err, &known) {
		a.Fault = known.Fault
	}
	return c.Answer(a)
}

// ask says something to the lab.
func (c *Conn) ask(r Request, files ...*os.File) error {
	r.Version = Version
	return c.send(r, files...)
}

// answer reads what the lab says next.
func (c *Conn) answer() (Answer, error) {
	data, files, err := c.receive()
	if err != nil {
		return Answer{}, err
	}
	Close(files) // an answer has none
	return parseAnswer(data)
}
