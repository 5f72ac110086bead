package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/charmbracelet/x/term"

	"packetwalk/lab"
	"packetwalk/lab/control"
	"packetwalk/trace"
	"packetwalk/trace/host"
	"packetwalk/trace/nflog"
	"packetwalk/trace/ruleset"
	"packetwalk/trace/why"
	"packetwalk/trace/why/inquire"
	"packetwalk/tui"
)

// answerWhy asks where the flags say, and ends with an exitError where the
// target is not reached.
func answerWhy(ctx context.Context, flags whyFlags) error {
	switch {
	case flags.mail.ruleset != "":
		return whyMailed(ctx, flags)
	case flags.scenario != "":
		return whyInScenario(ctx, flags)
	case flags.inside:
		return whyInside(ctx, flags)
	}
	which, ok, err := labToAsk(flags)
	if err != nil {
		return err
	}
	if ok {
		return enterLab(ctx, which, flags)
	}
	return whyOnMachine(ctx, flags)
}

// theater is where the question is asked, and how the answer is acted on.
type theater struct {
	flags whyFlags
	// ask asks, of things as they are at that moment.
	ask func(context.Context) (tui.Asked, error)
	// run carries out a command in a node; nil where nothing must be changed.
	run func(ctx context.Context, node, command string) (output string, exit int, err error)
	// watch says that ask waits for somebody's request, rebuilt that the commands run
	// in a copy of a mailed host.
	watch, rebuilt bool
	// unasked says why nobody can be asked for a yes; empty where somebody can.
	unasked string
	// ran are the commands of fixes that were run, in their order.
	ran []commandJSON
	// answers is where a yes is read from; nil before the first question.
	answers *bufio.Reader
}

// labScene is a lab that is asked about.
type labScene struct {
	inquire.Scene
	flags whyFlags
	// source is the sender's address; zero leaves it to the kernel.
	source netip.Addr
	// observe gives the lab as it is; nil where only its nodes are known.
	observe func() (lab.Topology, error)
}

// kinds says what every place is.
func (s *labScene) kinds() map[string]string {
	all := map[string]string{}
	for _, p := range s.Places {
		all[p.Name] = p.Kind
	}
	return all
}

// ask resolves the target anew, since the lab may have changed, and asks.
func (s *labScene) ask(ctx context.Context) (tui.Asked, error) {
	hosts, err := inquire.Look(ctx, s.Places, nil)
	if err != nil {
		return tui.Asked{}, err
	}
	if _, ok := hosts[s.flags.from]; !ok {
		return tui.Asked{}, usageError{inputError{fmt.Errorf("asking from %q: there is no such node; there are: %s", s.flags.from, strings.Join(names(s.Places), ", "))}}
	}
	addr, err := s.resolve(hosts)
	if err != nil {
		return tui.Asked{}, err
	}
	scene := s.Scene
	scene.Family = trace.FamilyOf(addr)
	question := why.Question{Target: s.flags.wanted.At(addr), From: s.flags.from, Source: s.source, Port: s.flags.port}
	e, err := inScene(ctx, scene, func(q *inquire.Inquiry) (why.Evidence, error) { return q.Ask(ctx, question) })
	if err != nil {
		return tui.Asked{}, err
	}
	return asked(e, s.topology(e)), nil
}

// topology is the lab as it was seen behind the question, its nodes in their order.
func (s *labScene) topology(e why.Evidence) lab.Topology {
	if s.observe != nil {
		if t, err := s.observe(); err == nil {
			return t
		}
	}
	return topologyOf(s.Places, e.Hosts)
}

// asked is the answer to a question, with what its walks are drawn on.
func asked(e why.Evidence, t lab.Topology) tui.Asked {
	a := tui.Asked{Answer: why.Explain(e), Topology: t, Rulesets: map[string]ruleset.Ruleset{}}
	for node, variants := range e.Rules {
		a.Variant = e.Default[node]
		a.Rulesets[node] = variants[a.Variant]
	}
	return a
}

// inScene traces a scene for one question.
func inScene(ctx context.Context, s inquire.Scene, ask func(*inquire.Inquiry) (why.Evidence, error)) (why.Evidence, error) {
	q, err := inquire.Open(ctx, s)
	if err != nil {
		return why.Evidence{}, err
	}
	e, err := ask(q)
	return e, errors.Join(err, q.Close(context.WithoutCancel(ctx)))
}

func names(places []inquire.Place) []string {
	var all []string
	for _, p := range places {
		all = append(all, p.Name)
	}
	return all
}

func (s *labScene) resolve(hosts map[string]host.State) (netip.Addr, error) {
	wanted := s.flags.wanted
	addr, ok := wanted.Resolve(hosts, s.kinds(), s.flags.from)
	switch {
	case ok:
		return addr, nil
	case wanted.Host == "":
		return addr, usageError{inputError{errors.New("resolving the target: it names no host, and there is more than one")}}
	}
	return addr, usageError{inputError{fmt.Errorf("resolving %q: it is no address and no node; there are: %s", wanted.Host, strings.Join(names(s.Places), ", "))}}
}

// show asks and prints what came of it.
func (t *theater) show(ctx context.Context) error {
	if t.flags.view() == viewTUI && !t.flags.fix {
		return t.draw(ctx)
	}
	a, err := t.ask(ctx)
	if err != nil {
		return err
	}
	if err := printAnswer(os.Stdout, a.Answer, t.flags.runFlags); err != nil {
		return err
	}
	if t.flags.fix && !a.Answer.Reachable {
		return t.mend(ctx, a.Answer)
	}
	return exitOf(a.Answer)
}

// draw shows the answer on the screen, and leaves the last one in print.
func (t *theater) draw(ctx context.Context) error {
	var last *why.Answer
	config := tui.WhyConfig{Lang: t.flags.lang, Target: t.flags.target, From: t.flags.from, Watch: t.watch}
	if t.run != nil {
		config.Fix = t.carryOut
	}
	config.Ask = func(ctx context.Context) (tui.Asked, error) {
		a, err := t.ask(ctx)
		if err == nil {
			last = &a.Answer
		}
		return a, err
	}
	if err := tui.Why(ctx, config); err != nil || last == nil {
		return err
	}
	for _, r := range t.ran {
		if err := t.printRan(r); err != nil {
			return err
		}
	}
	if err := printAnswer(os.Stdout, *last, t.flags.runFlags); err != nil {
		return err
	}
	return exitOf(*last)
}

// exitOf is the exit code that tells whether the target was reached.
func exitOf(a why.Answer) error {
	if a.Reachable {
		return nil
	}
	return exitError(exitFailed)
}

func printAnswer(w io.Writer, a why.Answer, flags runFlags) error {
	if !flags.json {
		return (&tui.Plain{W: w, Lang: flags.lang, Width: terminalWidth()}).Why(a)
	}
	out := json.NewEncoder(w)
	for _, walk := range a.Attempt.Walks {
		if err := out.Encode(walk); err != nil {
			return err
		}
	}
	text, err := a.JSON(flags.lang)
	if err != nil {
		return err
	}
	return out.Encode(json.RawMessage(text))
}

// terminalWidth is that of standard output, in columns; 0 where it is no terminal.
func terminalWidth() int {
	width, _, err := term.GetSize(os.Stdout.Fd())
	if err != nil {
		return 0
	}
	return width
}

// topologyOf draws places by what they look like: links between them, bridges,
// addresses.
func topologyOf(places []inquire.Place, hosts map[string]host.State) lab.Topology {
	var t lab.Topology
	for _, p := range places {
		n := lab.Node{Name: p.Name, Kind: lab.NodeKind(p.Kind)}
		for _, l := range hosts[p.Name].Links {
			if l.Kind == "bridge" {
				n.Bridges = append(n.Bridges, lab.Bridge{Name: l.Name, Addresses: l.Addresses, Down: !l.Up})
			}
			far, known := hosts[l.Peer.Node].Link(l.Peer.Interface)
			if known && (p.Name < l.Peer.Node || p.Name == l.Peer.Node && l.Name < far.Name) {
				t.Links = append(t.Links, lab.Link{Ends: [2]lab.End{endOf(p.Name, l), endOf(l.Peer.Node, far)}})
			}
		}
		t.Nodes = append(t.Nodes, n)
	}
	return t
}

func endOf(node string, l host.Link) lab.End {
	return lab.End{Node: node, Interface: l.Name, Addresses: l.Addresses, Bridge: l.Bridge, Down: !l.Up}
}

// enterLab asks in a running lab: this program runs again, inside it.
func enterLab(ctx context.Context, which string, flags whyFlags) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program, to run it in the lab: %w", err)
	}
	// In front of what the user wrote, which may have a -- in it.
	own := []string{self, "why", "--inside", "--lang", flags.lang}
	return runInLab(ctx, which, flags.from, append(own, os.Args[2:]...))
}

// labToAsk says whether the question is about a running lab: the one that was
// named, or one that is there where no host can be meant.
func labToAsk(flags whyFlags) (which string, ok bool, err error) {
	all, lost := control.Running()
	isNode := func(l control.Lab) bool { _, ok := l.Node(flags.from); return ok }
	switch {
	case flags.lab != "" || len(all) > 0 && os.Geteuid() != 0 || slices.ContainsFunc(all, isNode):
		if flags.from == "" {
			return "", false, usageError{inputError{errors.New("asking in a lab needs --from with one of its nodes")}}
		}
		return flags.lab, true, nil
	case len(all) > 0 && flags.from == "":
		return "", false, usageError{inputError{errors.New("a lab is running: say with --from whether one of its nodes asks, or, about this machine, local, outside, container NAME or anyone")}}
	case len(all) == 0 && os.Geteuid() != 0:
		return "", false, errors.Join(lost, errors.New("no lab of this user is running, and asking about this machine needs root: "+
			"run it with sudo, or start a lab in another terminal, for example with packetwalk run publish-port"))
	}
	return "", false, nil
}

// whyInside is the part of enterLab that runs in the lab.
func whyInside(ctx context.Context, flags whyFlags) error {
	leaveTools()
	all, err := control.Running()
	if err != nil || len(all) != 1 {
		return errors.Join(errors.New("asking inside a lab: there is none around this process"), err)
	}
	l := all[0]
	s := &labScene{flags: flags, Scene: inquire.Scene{Iptables: l.Iptables, Wait: flags.wait, Options: guarded()}}
	for _, n := range l.Nodes {
		ns, err := nflog.OpenNetNS(n.Name)
		if err != nil {
			return err
		}
		defer ns.Close()
		s.Places = append(s.Places, inquire.Place{Name: n.Name, Kind: n.Kind, Namespace: ns})
	}
	run := func(ctx context.Context, node, command string) (string, int, error) {
		return runCommand(ctx, l, node, command)
	}
	return (&theater{flags: flags, ask: s.ask, run: run}).show(ctx)
}

// leaveTools takes the lab's tools off the PATH: the system's own iptables is
// what the trace works with.
func leaveTools() {
	var dirs []string
	for dir := range strings.SplitSeq(os.Getenv("PATH"), string(os.PathListSeparator)) {
		if dir != lab.ToolDir {
			dirs = append(dirs, dir)
		}
	}
	os.Setenv("PATH", strings.Join(dirs, string(os.PathListSeparator)))
}

// guarded are the options of a trace whose probes must not outlive this process.
func guarded() nflog.Options {
	o := nflog.Options{Report: func(err error) { fmt.Fprintln(os.Stderr, "packetwalk:", err) }}
	if self, err := os.Executable(); err == nil {
		o.Guard = func(run string, backends []nflog.Backend) []string { return guardCommand(self, run, backends) }
	}
	return o
}

// runCommand runs a command in a node of a running lab as one would type it there.
func runCommand(ctx context.Context, l control.Lab, node, command string) (output string, exit int, err error) {
	in, err := os.Open(os.DevNull)
	if err != nil {
		return "", 0, err
	}
	defer in.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return "", 0, err
	}
	defer r.Close()
	read := make(chan string, 1)
	go func() {
		var b bytes.Buffer
		_, _ = io.Copy(&b, r)
		read <- b.String()
	}()
	signals := make(chan os.Signal)
	e, err := l.Run(ctx, node, control.Caller(os.Environ(), []string{"sh", "-c", command}), control.Streams{In: in, Out: w, Err: w}, signals)
	w.Close()
	return <-read, e.Status(), err
}

// whyInScenario builds a lab of its own to ask in.
func whyInScenario(ctx context.Context, flags whyFlags) error {
	draft, err := readScenario(flags.scenario)
	if err != nil {
		return err
	}
	if err := draft.Err(); err != nil {
		return usageError{inputError{err}}
	}
	s := draft.Scenario
	if !lab.InSandbox() {
		return reexec(ctx, nil)
	}
	if err := lab.Enter(); err != nil {
		return err
	}
	iptables, err := usableIptables(ctx, s, flags.iptables)
	if err != nil {
		return err
	}
	l, err := lab.Build(ctx, s.Topology, lab.Options{Iptables: iptables, Hidden: nflog.IsProbe})
	if err != nil {
		return err
	}
	defer l.Close()
	scene := newLabScene(l, iptables, flags)
	if flags.view() == viewPlain {
		fmt.Fprintf(os.Stderr, "packetwalk: built the lab of %s as it is before the first step, with %s\n", s.Name, strings.Join(names(scene.Places), ", "))
	}
	return within(l, func() error { return theaterOf(scene, l).show(ctx) })
}

// within does something while commands in a lab of this process find its tools,
// the first of which is the iptables of the lab's own variant.
func within(l *lab.Lab, do func() error) error {
	tools, err := l.Control(lab.ControlOptions{})
	if err != nil {
		return err
	}
	return errors.Join(do(), tools.Close())
}

// theaterOf asks and acts in a lab of this process.
func theaterOf(s *labScene, l *lab.Lab) *theater {
	return &theater{flags: s.flags, ask: s.ask, run: runIn(l)}
}

// newLabScene is a lab of this process, to be asked about.
func newLabScene(l *lab.Lab, iptables string, flags whyFlags) *labScene {
	report := func(err error) { fmt.Fprintln(os.Stderr, "packetwalk:", err) }
	s := &labScene{
		flags: flags, Scene: inquire.Scene{Iptables: iptables, Wait: flags.wait, Options: nflog.Options{Report: report}},
		observe: func() (lab.Topology, error) { return l.Observe(context.Background()) },
	}
	for _, n := range l.Topology().Nodes {
		s.Places = append(s.Places, inquire.Place{Name: n.Name, Kind: string(n.Kind), Namespace: l.Node(n.Name)})
	}
	return s
}

// runIn runs commands in a lab of this process. They are run as typed: iptables
// is the lab's own variant.
func runIn(l *lab.Lab) func(ctx context.Context, node, command string) (string, int, error) {
	return func(ctx context.Context, node, command string) (string, int, error) {
		r, err := l.Run(ctx, node, command)
		return string(r.Output), r.Exit, err
	}
}
