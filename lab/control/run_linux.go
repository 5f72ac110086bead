package control

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/charmbracelet/x/term"
	"golang.org/x/sys/unix"
)

// ErrLabEnded says that the lab ended while a program ran in it.
var ErrLabEnded = errors.New("the lab has ended")

// Streams are the standard streams of a program.
type Streams struct{ In, Out, Err *os.File }

// OnTerminal says whether a program with these streams gets a terminal.
func (s Streams) OnTerminal() bool { return term.IsTerminal(s.In.Fd()) && term.IsTerminal(s.Out.Fd()) }

// Run runs a program in a node with the given streams and waits for it. Where
// input and output are terminals, the program gets one of its own that they
// are relayed to, so that job control and the size work as they should; input
// that is no terminal is handed to the program as it is.
//
// Signals from the channel, which may be nil, are passed on to the program; with
// a terminal, a change of its size is passed on too. When ctx ends, the program
// is ended: SIGHUP, then SIGKILL for all of its session. ErrLabEnded says that
// the lab was quicker.
func (l Lab) Run(ctx context.Context, node string, p Program, s Streams, signals <-chan os.Signal) (Exit, error) {
	if s.OnTerminal() {
		return l.runOnTerminal(ctx, node, p, s, signals)
	}
	p.Terminal = false
	r, err := l.start(node, p, s)
	if err != nil {
		return Exit{}, err
	}
	return r.wait(ctx, signals)
}

// running is a program that was started in a lab.
type running struct{ conn *Conn }

// start asks the lab to run the program, and waits until it runs.
func (l Lab) start(node string, p Program, s Streams) (*running, error) {
	conn, err := dial(l.path)
	if err != nil {
		return nil, errors.Join(ErrLabEnded, err)
	}
	if err = conn.ask(Request{Do: Run, Node: node, Program: &p}, s.In, s.Out, s.Err); err == nil {
		_, err = conn.answer()
	}
	if err != nil {
		_ = conn.Close()
		return nil, lost(err)
	}
	return &running{conn}, nil
}

// lost turns the end of a connection into what it means.
func lost(err error) error {
	var said *Error
	if errors.As(err, &said) && said.Fault != Ended || errors.Is(err, errTooLong) {
		return err
	}
	return fmt.Errorf("%w (%w)", ErrLabEnded, err)
}

// wait waits for the program, and passes signals on meanwhile.
func (r *running) wait(ctx context.Context, signals <-chan os.Signal) (Exit, error) {
	defer r.conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = r.conn.Close() }) // which ends the program
	defer stop()
	done := make(chan struct{})
	var forwarding sync.WaitGroup
	forwarding.Go(func() {
		for {
			select {
			case <-done:
				return
			case s := <-signals:
				if number, ok := s.(unix.Signal); ok {
					_ = r.conn.ask(Request{Do: Signal, Signal: int(number)}) // an ended program needs none
				}
			}
		}
	})
	a, err := r.conn.answer()
	close(done)
	forwarding.Wait()
	switch {
	case ctx.Err() != nil:
		return Exit{}, context.Cause(ctx)
	case err != nil:
		return Exit{}, lost(err)
	case a.Exit == nil:
		return Exit{}, errors.New("the lab does not say how the program ended")
	}
	return *a.Exit, nil
}

// passedOn are the variables of the environment that say how the user likes
// programs to speak; the rest is the lab's.
var passedOn = []string{"TERM", "COLORTERM", "NO_COLOR", "LANG", "LANGUAGE", "TZ", "EDITOR", "VISUAL", "PAGER", "LESS", "HOME", "USER", "LOGNAME"}

// Caller is a program as somebody with this environment would start it, in the
// directory that this process is in. Without args it is the caller's shell.
func Caller(environ, args []string) Program {
	var p Program
	for _, a := range args {
		p.Args = append(p.Args, []byte(a))
	}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if name == "SHELL" {
			p.Shell = []byte(value)
		}
		if strings.HasPrefix(name, "LC_") || slices.Contains(passedOn, name) {
			p.Env = append(p.Env, []byte(e))
		}
	}
	if dir, err := os.Getwd(); err == nil {
		p.Dir = []byte(dir)
	}
	return p
}
