package inquire_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/scenarios"
	"packetwalk/trace"
	"packetwalk/trace/nflog"
	"packetwalk/trace/why"
	"packetwalk/trace/why/inquire"
)

// causeCase is a lab with one fault, and what is to be said of it. The files
// are described in testdata/causes/README.md.
type causeCase struct {
	Lab      string
	Iptables []string // the variants in which it is tried; nft and legacy where none is named
	Services *[]service
	Break    []command
	From     string
	Port     uint16
	Target   string
	Cause    why.Name
	Culprit  *why.Culprit
	Fix      fix
	// Mend is what is done in the place of the fix: where no command can mend it, or
	// none that a lab allows.
	Mend []command

	held *held
}

type service struct{ Node, Serve string }

type command struct {
	Node string
	Run  string
	// Serve starts a service: "http 80", "tcp 127.0.0.1:80"; or one that does not
	// work, see holds.
	Serve string
	// Send sends the case's request once, whatever comes of it.
	Send bool
	// Fill fills the node's connection tracking table.
	Fill bool
}

type fix struct {
	Node     string
	Commands []string
}

// TestCauses tries every cause's labs, in every variant of iptables in which they
// are to be tried.
func TestCauses(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../testdata/causes/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("finding the causes' labs: %v", err)
	}
	for i, file := range files {
		c := readCase(t, file)
		variants := c.Iptables
		if len(variants) == 0 {
			variants = []string{"nft", "legacy"}
		}
		if raced {
			if i%10 != 0 {
				continue
			}
			variants = variants[:1]
		}
		for _, variant := range variants {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml")+"/"+variant, func(t *testing.T) {
				t.Parallel()
				labtest.NeedIptables(t, variant)
				c.try(t, variant)
			})
		}
	}
}

func readCase(t *testing.T, file string) causeCase {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var c causeCase
	if err := yaml.UnmarshalWithOptions(data, &c, yaml.Strict()); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return c
}

// try breaks the lab, asks, compares, mends and asks again.
func (c causeCase) try(t *testing.T, variant string) {
	c.held = &held{}
	defer c.held.stop()
	l := labtest.Build(t, c.topology(t), variant)
	for _, b := range c.Break {
		c.carryOut(t, l, variant, b)
	}
	c.fillIn(t, l)
	a := c.ask(t, l, variant)
	if a.Reachable != (c.Cause == "") || a.Cause != c.Cause {
		t.Fatalf("the answer is %q (reachable: %v), want %q; %s", a.Cause, a.Reachable, c.Cause, describe(a))
	}
	if c.Culprit != nil && c.Culprit.Variant == "" && a.Culprit != nil { // it follows the lab's
		a.Culprit.Variant = ""
	}
	if diff := cmp.Diff(c.Culprit, a.Culprit); diff != "" {
		t.Errorf("culprit (-want +got):\n%s%s", diff, describe(a))
	}
	for _, lang := range []string{"en", "zh"} {
		if text := a.Text(lang); strings.ContainsAny(text.Title+text.Because+text.Opens, "{}") {
			t.Errorf("a value is missing in %+v", text)
		}
	}
	if diff := cmp.Diff(why.Fix{Node: c.Fix.Node, Commands: c.Fix.Commands}, a.Fix); diff != "" {
		t.Errorf("fix (-want +got):\n%s", diff)
	}
	mend := c.Mend
	if len(mend) == 0 {
		for _, run := range a.Fix.Commands {
			mend = append(mend, command{Node: a.Fix.Node, Run: run})
		}
	}
	for _, m := range mend {
		c.carryOut(t, l, variant, m)
	}
	if len(mend) > 0 {
		if a = c.ask(t, l, variant); !a.Reachable {
			t.Errorf("after the fix: %s; %s", a.Cause, describe(a))
		}
	}
}

func (c causeCase) topology(t *testing.T) lab.Topology {
	t.Helper()
	file := filepath.Join("../testdata/labs", c.Lab+".yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := scenarios.Read(file, data)
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	topology := d.Scenario.Topology
	if c.Services != nil {
		topology.Services = nil
		for _, s := range *c.Services {
			topology.Services = append(topology.Services, parseService(t, s.Node, s.Serve))
		}
	}
	return topology
}

// parseService reads what the lab's serve tool reads: a protocol, and a port or an address.
func parseService(t *testing.T, node, text string) lab.Service {
	t.Helper()
	protocol, at, _ := strings.Cut(text, " ")
	if !strings.Contains(at, ":") {
		at = "0.0.0.0:" + at
	}
	listen, err := netip.ParseAddrPort(at)
	if err != nil {
		t.Fatalf("service %q: %v", text, err)
	}
	return lab.Service{Node: node, Protocol: lab.Protocol(protocol), Listen: listen, Reply: "Hello.\n"}
}

// carryOut runs a command as the lab's shells would, where iptables is the lab's own.
func (c causeCase) carryOut(t *testing.T, l *lab.Lab, variant string, m command) {
	t.Helper()
	if m.Send {
		c.send(t, l, m.Node)
		return
	}
	if m.Fill {
		fillConntrack(t, l.Node(m.Node))
		return
	}
	if what, port, ok := badService(m.Serve); ok {
		c.held.start(t, l.Node(m.Node), what, port)
		return
	}
	if m.Serve != "" {
		c.held.stop()
		if err := l.ReplaceService(t.Context(), parseService(t, m.Node, m.Serve)); err != nil {
			t.Fatal(err)
		}
		return
	}
	run := strings.ReplaceAll(m.Run, "tables ", "tables-"+variant+" ")
	r, err := l.Run(t.Context(), m.Node, run)
	if err != nil || r.Exit != 0 {
		t.Fatalf("%s: %s: exit %d, %v: %s", m.Node, m.Run, r.Exit, err, r.Output)
	}
}

func (c causeCase) ask(t *testing.T, l *lab.Lab, variant string) why.Answer {
	t.Helper()
	return ask(t, l, variant, c.question(t))
}

// ask opens an inquiry for one question, so that no probes are in the rules when
// commands are carried out.
func ask(t *testing.T, l *lab.Lab, variant string, question why.Question) why.Answer {
	t.Helper()
	return why.Explain(evidence(t, l, variant, question))
}

func evidence(t *testing.T, l *lab.Lab, variant string, question why.Question) why.Evidence {
	t.Helper()
	scene := inquire.Scene{Places: places(l), Family: trace.IPv4, Iptables: variant, Options: nflog.Options{Report: func(err error) { t.Error(err) }}}
	if question.Target.Addr.Addr().Is6() {
		scene.Family = trace.IPv6
	}
	q, err := inquire.Open(t.Context(), scene)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := q.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	e, err := q.Ask(t.Context(), question)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// question is what the case asks.
func (c causeCase) question(t *testing.T) why.Question {
	t.Helper()
	want, err := why.ParseTarget(c.Target)
	if err != nil {
		t.Fatal(err)
	}
	addr, err := netip.ParseAddr(want.Host)
	if err != nil {
		t.Fatal(err)
	}
	return why.Question{From: c.From, Port: c.Port, Target: want.At(addr)}
}

func places(l *lab.Lab) []inquire.Place {
	var all []inquire.Place
	for _, n := range l.Topology().Nodes {
		all = append(all, inquire.Place{Name: n.Name, Kind: string(n.Kind), Namespace: l.Node(n.Name)})
	}
	return all
}

// describe is what an answer was made of, for a failed test.
func describe(a why.Answer) string {
	var b strings.Builder
	b.WriteString("result " + string(a.Attempt.Result) + " " + a.Attempt.Err + "\n")
	for _, f := range append(a.Evidence, a.Unseen...) {
		b.WriteString("  " + f.Text("en") + "\n")
	}
	for _, w := range a.Attempt.Walks {
		b.WriteString("walk " + w.Packet.Summary() + " " + string(w.Outcome) + "\n")
		for _, s := range w.Steps {
			b.WriteString("    " + s.Node + " " + s.Hook.String() + " " + string(s.Table) + "/" + s.Chain + " " + string(s.Verdict) + " " + s.In + ">" + s.Out + " " + s.Src.String() + " " + s.Dst.String() + " " + s.Text + "\n")
		}
	}
	return b.String()
}
