package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"packetwalk/lab"
	"packetwalk/lab/control"
	"packetwalk/lab/toolbox"
)

// runInLab runs a program, or the user's shell where there are no args, in a
// node of a running lab, and ends with its exit code.
func runInLab(ctx context.Context, which, node string, args []string) error {
	all, lost := control.Running()
	l, err := chooseLab(all, which)
	if err != nil {
		if len(all) == 0 { // otherwise others are of no interest
			err = errors.Join(lost, err)
		}
		return err
	}
	if node, err = chooseNode(l, node); err != nil {
		return err
	}
	streams := control.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	passed, ends := signalsFor(streams)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, passed...)
	defer signal.Stop(signals)
	ctx, cancel := endBySignal(context.WithoutCancel(ctx), ends)
	defer cancel()
	exit, err := l.Run(ctx, node, control.Caller(os.Environ(), args), streams, signals)
	return labExit(exit, err)
}

// signalsFor says which signals are passed on to the program, and which end this
// command, and the program with it. On a terminal the keys that send signals
// reach the program by themselves: what comes here is meant for this command.
func signalsFor(s control.Streams) (passed, ends []os.Signal) {
	passed = []os.Signal{unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2}
	ends = []os.Signal{unix.SIGHUP}
	if s.OnTerminal() {
		return passed, append(ends, unix.SIGTERM)
	}
	return append(passed, unix.SIGTERM), ends
}

// endBySignal ends the context with the exit code that tells the signal.
func endBySignal(ctx context.Context, by []os.Signal) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, by...)
	go func() {
		defer signal.Stop(signals)
		select {
		case s := <-signals:
			if number, ok := s.(unix.Signal); ok {
				cancel(exitError(128 + int(number)))
			}
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// labExit turns the end of a program in a lab into that of this one.
func labExit(exit control.Exit, err error) error {
	var fault *control.Error
	switch {
	case err == nil && exit.Status() == exitDone:
		return nil
	case err == nil:
		return exitError(exit.Status())
	case errors.Is(err, control.ErrLabEnded):
		fmt.Fprintln(os.Stderr, "packetwalk:", control.ErrLabEnded)
		return exitError(exitLost)
	case errors.As(err, &fault) && (fault.Fault == control.NoProgram || fault.Fault == control.NotRun):
		fmt.Fprintln(os.Stderr, "packetwalk:", err)
		return exitError(toolbox.ExitCode(fault))
	}
	return err
}

// chooseLab picks the lab that was asked for by scenario or process ID, or the
// only one there is.
func chooseLab(all []control.Lab, which string) (control.Lab, error) {
	var fit []control.Lab
	for _, l := range all {
		if which == "" || which == l.Scenario || which == strconv.Itoa(l.PID) {
			fit = append(fit, l)
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(all) == 0:
		return control.Lab{}, errors.New("no lab of this user is running: start one in another terminal, for example with packetwalk run publish-port")
	case len(fit) == 0:
		return control.Lab{}, usageError{inputError{fmt.Errorf("no running lab is called %q; there are: %s", which, labNames(all))}}
	}
	return control.Lab{}, usageError{inputError{fmt.Errorf("several labs are running: choose one with --lab: %s", labNames(fit))}}
}

func labNames(all []control.Lab) string {
	names := make([]string, len(all))
	for i, l := range all {
		names[i] = fmt.Sprintf("%d (%s)", l.PID, l.Scenario)
	}
	return strings.Join(names, ", ")
}

// chooseNode finds the node or, where none is named, the only host.
func chooseNode(l control.Lab, name string) (string, error) {
	var names, hosts []string
	for _, n := range l.Nodes {
		names = append(names, n.Name)
		if n.Kind == string(lab.Host) {
			hosts = append(hosts, n.Name)
		}
	}
	if _, ok := l.Node(name); ok {
		return name, nil
	}
	list := strings.Join(names, ", ")
	switch {
	case name != "":
		return "", usageError{inputError{fmt.Errorf("there is no node %q in the lab; there are: %s", name, list)}}
	case len(hosts) != 1:
		return "", usageError{inputError{fmt.Errorf("name one of the nodes: %s", list)}}
	}
	return hosts[0], nil
}
