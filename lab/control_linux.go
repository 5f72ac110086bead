package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"packetwalk/lab/control"
)

// doorEnv tells the sandboxed process the descriptor of the socket that its
// starter made; see control.Door.
const doorEnv = "PACKETWALK_DOOR"

// requestTimeout is how long a client may take to say what it wants.
const requestTimeout = 10 * time.Second

// Control answers those who control the lab: other terminals, and the tools on
// the PATH of programs in it.
type Control struct {
	lab       *Lab
	options   ControlOptions
	path      string
	listeners []*net.UnixListener
	ctx       context.Context // ends with Close
	cancel    context.CancelFunc
	work      sync.WaitGroup
}

// Control lets the lab be controlled: by other terminals of the same user,
// where Reexec was given a door, and by programs in the lab's nodes. Those find
// tools first on their PATH that stand for iptables and nft, sudo and serve,
// and last what the system may lack; see package toolbox.
//
// It works in the sandbox only, where /run is the lab's own, and for one lab at
// a time.
func (l *Lab) Control(o ControlOptions) (*Control, error) {
	if !InSandbox() {
		return nil, errors.New("controlling the lab: this process is not in the sandbox")
	}
	c := &Control{lab: l, options: o, path: socketPath}
	if err := placeTools(); err != nil {
		return nil, fmt.Errorf("placing the lab's tools: %w", err)
	}
	inside, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: c.path, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("making the control socket inside the lab: %w", err)
	}
	c.listeners = append(c.listeners, inside)
	door, err := takeDoor()
	if err != nil {
		return nil, errors.Join(err, inside.Close())
	}
	if door != nil {
		c.listeners = append(c.listeners, door)
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	l.jobs.mu.Lock()
	l.jobs.control = c.path
	l.jobs.mu.Unlock()
	for _, listener := range c.listeners {
		c.work.Go(func() { c.accept(listener) })
	}
	return c, nil
}

// takeDoor takes the socket over that the starter of the sandbox made; nil
// where it made none.
func takeDoor() (*net.UnixListener, error) {
	number, ok := os.LookupEnv(doorEnv)
	if !ok {
		return nil, nil
	}
	if err := os.Unsetenv(doorEnv); err != nil {
		return nil, err
	}
	fd, err := strconv.Atoi(number)
	if err != nil {
		return nil, fmt.Errorf("taking the lab's control socket: %s=%s: %w", doorEnv, number, err)
	}
	file := os.NewFile(uintptr(fd), "door")
	defer file.Close() // the listener is a copy
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("taking the lab's control socket: %w", err)
	}
	unixListener, ok := listener.(*net.UnixListener)
	if !ok {
		return nil, errors.Join(errors.New("taking the lab's control socket: it is of another kind"), listener.Close())
	}
	return unixListener, nil
}

// Client is the lab as its clients see it, for a shell on the terminal that the
// lab itself runs on.
func (c *Control) Client() (control.Lab, error) { return control.At(c.path) }

// Close ends what was asked for: programs that were started are ended, services
// stay. It waits for all of it.
func (c *Control) Close() error {
	c.lab.jobs.mu.Lock()
	c.lab.jobs.control = ""
	c.lab.jobs.mu.Unlock()
	var faults []error
	for _, l := range c.listeners {
		faults = append(faults, l.Close())
	}
	c.cancel()
	c.work.Wait()
	return errors.Join(faults...)
}

func (c *Control) accept(listener *net.UnixListener) {
	for {
		conn, err := listener.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // this one is gone; there may be others
		}
		c.work.Go(func() {
			defer conn.Close()
			c.serve(&control.Conn{UnixConn: conn})
		})
	}
}

// serve carries out what one connection asks for. Answers that do not arrive
// need no care: who asked is gone then.
func (c *Control) serve(conn *control.Conn) {
	_ = conn.SetDeadline(time.Now().Add(requestTimeout))
	r, files, err := conn.Request()
	if err != nil {
		_ = conn.Fail(err)
		return
	}
	defer control.Close(files)
	if uid, err := conn.Peer(); err != nil || uid != os.Geteuid() {
		_ = conn.Fail(&control.Error{Fault: control.Refused, Message: "this lab is another user's"})
		return
	}
	_ = conn.SetDeadline(time.Time{})
	switch r.Do {
	case control.Describe:
		_ = conn.Answer(control.Answer{Lab: c.describe()})
	case control.Run:
		err = c.run(conn, r, files)
	case control.Pause:
		err = c.pause(conn, r)
	case control.Serve:
		err = c.startService(conn, r)
	default:
		err = &control.Error{Fault: control.Refused, Message: fmt.Sprintf("%q makes no sense without what it is about", r.Do)}
	}
	if err != nil {
		_ = conn.Fail(err)
	}
}

func (c *Control) describe() *control.Description {
	d := &control.Description{Scenario: c.options.Scenario, Iptables: c.lab.options.Iptables}
	for _, n := range c.lab.topology.Nodes {
		d.Nodes = append(d.Nodes, control.Node{Name: n.Name, Kind: string(n.Kind)})
	}
	return d
}

// node finds the node that a request is about.
func (c *Control) node(r control.Request) (string, error) {
	if r.Node != "" {
		if c.lab.nodes[r.Node] == nil {
			return "", c.lab.noNode(r.Node)
		}
		return r.Node, nil
	}
	for name, n := range c.lab.nodes {
		if inode, err := n.inode(); err == nil && inode == r.Netns {
			return name, nil
		}
	}
	return "", &control.Error{Fault: control.NoNode, Message: "the program that asks runs in no node of this lab"}
}

// run runs a program with the streams that came along, until it ends or the
// client or the lab does.
func (c *Control) run(conn *control.Conn, r control.Request, files []*os.File) error {
	node, err := c.node(r)
	if err != nil {
		return err
	}
	if len(files) != 3 {
		return &control.Error{Fault: control.Refused, Message: "a program needs three standard streams"}
	}
	cmd, err := c.lab.command(node, *r.Program)
	if err != nil {
		return err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = files[0], files[1], files[2]
	p, err := c.lab.start(node, cmd)
	if err != nil {
		return err
	}
	control.Close(files) // the program has its own
	_ = conn.Answer(control.Answer{})
	defer c.changed(node)
	gone := make(chan struct{})
	c.work.Go(func() {
		defer close(gone)
		passSignals(conn, p)
	})
	defer func() {
		_ = conn.Close() // which ends passSignals
		<-gone
	}()
	select {
	case <-p.done:
		_ = conn.Answer(control.Answer{Exit: &p.exit})
	case <-gone:
		p.hangUp()
	case <-c.ctx.Done():
		p.hangUp()
		return &control.Error{Fault: control.Ended, Message: "the lab is ending"}
	}
	return nil
}

// passSignals passes on what the client sends to the program, until it is gone.
func passSignals(conn *control.Conn, p *job) {
	for {
		r, files, err := conn.Request()
		control.Close(files)
		if err != nil {
			return
		}
		if r.Do == control.Signal {
			p.signal(unix.Signal(r.Signal))
		}
	}
}

// pause takes the probes of a node out for as long as the client wants.
func (c *Control) pause(conn *control.Conn, r control.Request) error {
	node, err := c.node(r)
	if err != nil {
		return err
	}
	defer c.changed(node)
	if probes := c.options.Probes; probes != nil {
		if err := probes.Pause(c.ctx, node); err != nil {
			return fmt.Errorf("taking the probes of %s out: %w", node, err)
		}
	}
	_ = conn.Answer(control.Answer{Iptables: c.lab.options.Iptables})
	err = c.awaitRelease(conn)
	if probes := c.options.Probes; probes != nil {
		// Not c.ctx: what was taken out goes in again, whatever ends.
		err = errors.Join(err, probes.Resume(context.WithoutCancel(c.ctx), node))
	}
	if err != nil {
		return fmt.Errorf("putting the probes of %s in again: %w", node, err)
	}
	_ = conn.Answer(control.Answer{})
	return nil
}

// awaitRelease waits until the client is done, or gone, or the lab ends.
func (c *Control) awaitRelease(conn *control.Conn) error {
	stop := context.AfterFunc(c.ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	_, files, err := conn.Request()
	control.Close(files)
	var fault *control.Error
	if errors.As(err, &fault) {
		return err
	}
	return nil
}

// startService starts a service in the place of one on the same port.
func (c *Control) startService(conn *control.Conn, r control.Request) error {
	node, err := c.node(r)
	if err != nil {
		return err
	}
	s := Service{Node: node, Protocol: Protocol(r.Service.Protocol), Listen: r.Service.Listen}
	if r.Service.Reply != nil {
		s.Reply = *r.Service.Reply
	} else {
		s.Reply = c.lab.reply(s)
	}
	if err := c.lab.ReplaceService(c.ctx, s); err != nil {
		return err
	}
	c.changed(node)
	_ = conn.Answer(control.Answer{})
	return nil
}

func (c *Control) changed(node string) {
	if c.options.Changed != nil && c.ctx.Err() == nil {
		c.options.Changed(node)
	}
}

func (l *Lab) nodeNames() string {
	names := make([]string, len(l.topology.Nodes))
	for i, n := range l.topology.Nodes {
		names[i] = n.Name
	}
	return strings.Join(names, ", ")
}
