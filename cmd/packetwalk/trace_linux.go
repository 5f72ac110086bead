package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"packetwalk/lab"
	"packetwalk/trace"
	"packetwalk/trace/docker"
	"packetwalk/trace/live"
	"packetwalk/trace/nflog"
	"packetwalk/tui"
)

// machine is a network namespace of this machine that is traced or cleaned.
type machine struct {
	name string
	nflog.Namespace
	backends []nflog.Backend
}

// openMachines opens the namespaces that were asked for, the program's own where
// none was.
func openMachines(netns []string) ([]machine, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("reading and changing this machine's iptables rules needs root: run it with sudo")
	}
	if len(netns) == 0 {
		name, err := os.Hostname()
		if err != nil {
			name = "host"
		}
		return []machine{{name: name, Namespace: nflog.Here{}}}, nil
	}
	var all []machine
	for _, name := range netns {
		ns, err := nflog.OpenNetNS(name)
		if err != nil {
			return nil, usageError{inputError{err}}
		}
		all = append(all, machine{name: name, Namespace: ns})
	}
	return all, nil
}

// machines opens namespaces and finds out which implementations of iptables they
// use.
func machines(ctx context.Context, netns []string, families []trace.Family) (all []machine, warnings []string, err error) {
	if all, err = openMachines(netns); err != nil {
		return nil, nil, err
	}
	for i := range all {
		m := &all[i]
		found, err := nflog.Survey(ctx, m.Namespace, families, "")
		if err != nil {
			return nil, nil, fmt.Errorf("looking at the rules of %s: %w", m.name, err)
		}
		m.backends = found.Backends
		for _, w := range found.Warnings {
			warnings = append(warnings, m.name+": "+w)
		}
	}
	return all, warnings, nil
}

// readyMachines are machines without what killed traces left, and says what there
// is to warn of.
func readyMachines(ctx context.Context, netns []string, families []trace.Family) ([]machine, error) {
	all, warnings, err := machines(ctx, netns, families)
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		notes, err := cleanLeftovers(ctx, m)
		if err != nil {
			return nil, err
		}
		warnings = append(warnings, notes...)
	}
	for _, w := range warnings {
		fmt.Fprintln(os.Stderr, "packetwalk:", w)
	}
	return all, nil
}

// traceMachine traces until it is told to end.
func traceMachine(ctx context.Context, flags traceFlags) error {
	all, err := readyMachines(ctx, flags.netns, flags.filter.Families())
	if err != nil {
		return err
	}
	name, close := containerNames(flags)
	defer close()
	t, err := startTrace(ctx, all, flags, name)
	if err != nil {
		return err
	}
	if flags.over > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, flags.over)
		defer cancel()
	}
	if flags.view() == viewTUI {
		return drawTrace(ctx, t, all, flags)
	}
	return printTrace(ctx, t, os.Stdout, flags)
}

// containerNames begins to ask Docker what its containers are called. Another
// network namespace may have the same addresses for something else.
func containerNames(flags traceFlags) (name func(netip.Addr) string, close func()) {
	socket := docker.Socket(os.Getenv)
	if len(flags.netns) > 0 || socket == "" {
		return nil, func() {}
	}
	names := docker.Watch(socket)
	return names.Of, names.Close
}

func startTrace(ctx context.Context, all []machine, flags traceFlags, name func(netip.Addr) string) (*live.Trace, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program, for the guard: %w", err)
	}
	config := live.Config{
		Finished: flags.view() != viewTUI,
		Rate:     flags.rate,
		Name:     name,
		Options: nflog.Options{
			Guard:  func(run string, backends []nflog.Backend) []string { return guardCommand(self, run, backends) },
			Report: func(err error) { fmt.Fprintln(os.Stderr, "packetwalk:", err) },
		},
	}
	for _, m := range all {
		config.Targets = append(config.Targets, nflog.Target{
			Node: m.name, Namespace: m.Namespace, Backends: m.backends, Tables: trace.Tables(),
			Careful: true, Filter: flags.filter,
		})
	}
	return live.Start(ctx, config)
}

// printTrace prints walks until ctx ends or there were enough.
func printTrace(ctx context.Context, t *live.Trace, w io.Writer, flags traceFlags) error {
	out := newPrinter(w, flags.runFlags, t.Rules)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	printed := make(chan error, 1)
	go func() { printed <- printWalks(t, out, flags, cancel) }()
	<-ctx.Done()
	err := errors.Join(t.Close(context.WithoutCancel(ctx)), <-printed)
	return errors.Join(err, out.leftOut(t.LeftOut(), flags.rate), out.lost(t.Lost()))
}

// tellEvery is how often it is told that packets were left out, while they are.
const tellEvery = time.Second

// printWalks prints walks until there are no more, and calls enough when there
// were as many as wanted, or when they cannot be printed.
func printWalks(t *live.Trace, out printer, flags traceFlags, enough func()) (err error) {
	ticker := time.NewTicker(tellEvery)
	defer ticker.Stop()
	var told uint64
	for n := 0; ; {
		full := err != nil || flags.count > 0 && n >= flags.count
		select {
		case walk, open := <-t.Walks():
			switch {
			case !open:
				return err
			case full || !flags.filter.Crossed(walk):
				continue
			}
			err = out.walk(walk)
			n++
		case <-ticker.C:
			if left := t.LeftOut(); left != told && !full {
				told, err = left, out.leftOut(left, flags.rate)
			}
		}
		if err != nil || n == flags.count && n > 0 {
			enough()
		}
	}
}

// drawTrace shows walks on the terminal until the user ends it.
func drawTrace(ctx context.Context, t *live.Trace, all []machine, flags traceFlags) error {
	var topology lab.Topology
	for _, m := range all {
		topology.Nodes = append(topology.Nodes, lab.Node{Name: m.name, Kind: lab.Host})
	}
	err := tui.Run(ctx, tui.Config{
		Title: strings.TrimSpace("trace " + flags.filter.String()), Lang: flags.lang, Topology: topology, Rulesets: t.Rules(trace.IPv4),
		Variant: t.Variant(all[0].name), Walks: t.Walks(), Losses: t.Lost,
		LeftOut: t.LeftOut, Rate: flags.rate,
	})
	return errors.Join(err, t.Abandon(context.WithoutCancel(ctx)))
}

// guardCommand is the call of this program as the guard of a run.
func guardCommand(self, run string, backends []nflog.Backend) []string {
	args := []string{self, "guard", run}
	for _, b := range backends {
		args = append(args, b.Family.String()+":"+b.Command)
	}
	return args
}

// guardMachine is the guard's work, in the network namespace that it was started in.
func guardMachine(ctx context.Context, in io.Reader, run string, args []string) error {
	var backends []nflog.Backend
	for _, a := range args {
		family, command, ok := strings.Cut(a, ":")
		b := nflog.Backend{Family: trace.IPv4, Command: command}
		if family == trace.IPv6.String() {
			b.Family = trace.IPv6
		}
		if !ok {
			return usageError{fmt.Errorf("guard: %q is not FAMILY:COMMAND", a)}
		}
		backends = append(backends, b)
	}
	return nflog.Guard(context.WithoutCancel(ctx), in, run, backends)
}

// cleanMachine removes leftovers and says what it removed: in the namespaces that
// were asked for, and where none was in all that the machine has.
func cleanMachine(ctx context.Context, w io.Writer, netns []string) error {
	all, err := openMachines(netns)
	if err != nil {
		return err
	}
	var errs []error
	if len(netns) == 0 {
		others, err := nflog.Others()
		errs = append(errs, err)
		for _, o := range others {
			defer o.Close()
			all = append(all, machine{name: o.Name, Namespace: o})
		}
	}
	found := 0
	for _, m := range all {
		notes, err := cleanLeftovers(ctx, m)
		errs = append(errs, err)
		for _, n := range notes {
			found++
			fmt.Fprintln(w, n)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if found == 0 {
		fmt.Fprintf(w, "nothing to clean: no probes without a reader (network namespaces looked at: %d)\n", len(all))
	}
	return nil
}

// cleanLeftovers removes the probes of dead traces, whichever implementation of
// iptables holds them.
func cleanLeftovers(ctx context.Context, m machine) (notes []string, err error) {
	backends, err := nflog.Installed(m.Namespace)
	if err != nil {
		return nil, fmt.Errorf("entering %s: %w", m.name, err)
	}
	dead, err := nflog.Leftovers(ctx, m.Namespace, backends)
	if err != nil {
		return nil, fmt.Errorf("looking for leftovers on %s: %w", m.name, err)
	}
	if err := nflog.Clean(ctx, m.Namespace, backends, dead); err != nil {
		return nil, fmt.Errorf("cleaning %s: %w", m.name, err)
	}
	for _, l := range dead {
		notes = append(notes, fmt.Sprintf("%s: removed %d probes of a trace that is dead (run %s)", m.name, l.Probes, l.Run))
	}
	return notes, nil
}
