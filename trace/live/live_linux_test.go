package live_test

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/scenarios"
	"packetwalk/trace"
	"packetwalk/trace/assemble"
	"packetwalk/trace/live"
	"packetwalk/trace/nflog"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// publishPort builds the scenario of that name.
func publishPort(t testing.TB, variant string) (*lab.Lab, lab.Topology) {
	t.Helper()
	labtest.NeedIptables(t, variant)
	s, err := scenarios.Load("publish-port")
	if err != nil {
		t.Fatal(err)
	}
	return labtest.Build(t, s.Topology, variant), s.Topology
}

// start traces every node of a lab.
func start(t testing.TB, l *lab.Lab, topology lab.Topology, variant string) *live.Trace {
	t.Helper()
	c := live.Config{Segments: map[assemble.Port]int{}, Finished: true}
	for port, segment := range topology.Segments() {
		c.Segments[assemble.Port(port)] = segment
	}
	for _, n := range topology.Nodes {
		c.Targets = append(c.Targets, nflog.Target{
			Node: n.Name, Namespace: l.Node(n.Name), Backends: backends(variant), Tables: trace.Tables(),
		})
	}
	tr, err := live.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func backends(variant string) []nflog.Backend {
	return []nflog.Backend{{Family: trace.IPv4, Command: lab.Command(variant).Iptables}}
}

// collect sends a request and returns the walks that it caused.
func collect(t testing.TB, l *lab.Lab, tr *live.Trace, client string) []trace.Walk {
	t.Helper()
	walks := make(chan []trace.Walk)
	go func() {
		var all []trace.Walk
		for w := range tr.Walks() {
			all = append(all, w)
		}
		walks <- all
	}()
	if _, err := l.Send(t.Context(), client); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := tr.Quiet(ctx, 50*time.Millisecond); err != nil {
		t.Error(err)
	}
	if err := tr.Close(t.Context()); err != nil {
		t.Error(err)
	}
	return <-walks
}

// places lists the steps of a walk on a node as TABLE/CHAIN, with the rule and
// verdict of those that matched one.
func places(w trace.Walk, node string) []string {
	var out []string
	for _, s := range w.Steps {
		switch {
		case s.Node != node:
		case s.Rule > 0:
			out = append(out, fmt.Sprintf("%s/%s %d %s", s.Table, s.Chain, s.Rule, s.Verdict))
		case s.Table == trace.ConntrackTable:
			out = append(out, fmt.Sprintf("%s %s", s.Hook, s.Table))
		case len(out) == 0 || out[len(out)-1] != string(s.Table)+"/"+s.Chain:
			out = append(out, string(s.Table)+"/"+s.Chain)
		}
	}
	return out
}

func TestPublishedPort(t *testing.T) {
	for _, variant := range []string{"nft", "legacy"} {
		t.Run(variant, func(t *testing.T) {
			l, topology := publishPort(t, variant)
			before := saveAll(t, l, topology, variant)
			tr := start(t, l, topology, variant)
			walks := collect(t, l, tr, topology.Clients[0].Name)
			if tr.Lost() != 0 {
				t.Errorf("%d events were lost", tr.Lost())
			}
			if diff := cmp.Diff(before, saveAll(t, l, topology, variant)); diff != "" {
				t.Errorf("rulesets (-before +after):\n%s", diff)
			}
			if len(walks) < 2 {
				t.Fatalf("%d walks, want a whole connection", len(walks))
			}
			checkSYN(t, walks[0])
			checkReply(t, walks[1])
			checkConnection(t, walks)
		})
	}
}

func checkSYN(t *testing.T, w trace.Walk) {
	t.Helper()
	if w.Packet.Summary() != "SYN" || w.Direction != trace.Original || w.Outcome != trace.Delivered {
		t.Errorf("the first walk is a %s, %s, %s", w.Packet.Summary(), w.Direction, w.Outcome)
	}
	want := []string{
		"raw/PREROUTING", "mangle/PREROUTING",
		"nat/PREROUTING", "nat/PREROUTING 1 JUMP", "nat/DOCKER", "nat/DOCKER 2 DNAT",
		"mangle/FORWARD",
		"filter/FORWARD", "filter/FORWARD 1 JUMP", "filter/DOCKER-USER", "filter/DOCKER-USER 1 RETURN",
		"filter/FORWARD 2 JUMP", "filter/DOCKER-ISOLATION-STAGE-1", "filter/DOCKER-ISOLATION-STAGE-1 2 RETURN",
		"filter/FORWARD 4 JUMP", "filter/DOCKER", "filter/DOCKER 1 ACCEPT",
		"security/FORWARD", "mangle/POSTROUTING", "nat/POSTROUTING",
	}
	if diff := cmp.Diff(want, places(w, "host")); diff != "" {
		t.Errorf("the SYN on the host (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"raw/OUTPUT", "mangle/OUTPUT", "nat/OUTPUT", "filter/OUTPUT", "security/OUTPUT", "mangle/POSTROUTING", "nat/POSTROUTING"},
		places(w, "client")); diff != "" {
		t.Errorf("the SYN on the client (-want +got):\n%s", diff)
	}
	container := places(w, "c1")
	slices.Sort(container[max(0, len(container)-2):]) // see trace.Variant
	if diff := cmp.Diff([]string{"raw/PREROUTING", "mangle/PREROUTING", "nat/PREROUTING", "mangle/INPUT", "filter/INPUT", "nat/INPUT", "security/INPUT"},
		container); diff != "" {
		t.Errorf("the SYN in the container (-want +got):\n%s", diff)
	}
	translated := slices.IndexFunc(w.Steps, func(s trace.Step) bool { return s.Verdict == trace.DNAT })
	for i, s := range w.Steps {
		want := "192.168.23.149:80"
		if i >= translated {
			want = "172.17.0.2:80"
		}
		if s.Dst.String() != want {
			t.Errorf("step %d goes to %s, want %s", i, s.Dst, want)
		}
	}
	if end, _ := w.EndStep(); end.Node != "c1" || end.Hook != trace.Input {
		t.Errorf("the SYN ends at %+v", end)
	}
}

func checkReply(t *testing.T, w trace.Walk) {
	t.Helper()
	if w.Packet.Summary() != "SYN ACK" || w.Direction != trace.Reply || w.Outcome != trace.Delivered || w.Flow != 1 {
		t.Errorf("the second walk is a %s, %s, %s, of flow %d", w.Packet.Summary(), w.Direction, w.Outcome, w.Flow)
	}
	for _, s := range w.Steps {
		if s.Table == trace.NAT {
			t.Errorf("the reply visits the nat table: %+v", s)
		}
	}
	i := slices.IndexFunc(w.Steps, func(s trace.Step) bool { return s.Table == trace.ConntrackTable })
	if i < 0 {
		t.Fatal("the reply's walk does not show connection tracking at work")
	}
	if before, after := w.Steps[i-1].Src.String(), w.Steps[i].Src.String(); before != "172.17.0.2:80" || after != "192.168.23.149:80" {
		t.Errorf("connection tracking turned %s into %s", before, after)
	}
	want := &trace.Remembered{Walk: 1, Node: "host", Table: trace.NAT, Chain: "DOCKER", Rule: 2, Undone: true}
	if diff := cmp.Diff(want, w.Steps[i].Remembered); diff != "" {
		t.Errorf("what it goes back to (-want +got):\n%s", diff)
	}
}

// describe is every step of a walk, for the message of a failed test.
func describe(w trace.Walk) string {
	var b strings.Builder
	for _, s := range w.Steps {
		fmt.Fprintf(&b, "  %s %s %s/%s %d %s %s>%s %s %s %s %s\n", s.Node, s.Hook, s.Table, s.Chain, s.Rule, s.Verdict, s.In, s.Out, s.Src, s.Dst,
			s.CTState, s.Time.Format("05.000000"))
	}
	return b.String()
}

// checkConnection looks at what holds for every walk of the one connection.
func checkConnection(t *testing.T, walks []trace.Walk) {
	t.Helper()
	for i, w := range walks {
		if w.ID != i+1 || w.Flow != 1 || w.Outcome != trace.Delivered {
			t.Errorf("walk %d: ID %d, flow %d, %s, %s\n%s", i+1, w.ID, w.Flow, w.Outcome, w.Packet.Summary(), describe(w))
		}
		if !slices.IsSortedFunc(w.Steps, func(a, b trace.Step) int { return a.Time.Compare(b.Time) }) {
			t.Errorf("the times of walk %d run backwards", w.ID)
		}
	}
}

var (
	comment    = regexp.MustCompile(`(?m)^#.*\n`)
	counters   = regexp.MustCompile(`\[\d+:\d+\]`)
	emptyTable = regexp.MustCompile(`(?m)^\*\w+\n(:\w+ ACCEPT \[0:0\]\n)+COMMIT\n`)
)

// saveAll is iptables-save of every node, without comments and counters, and
// without empty tables in the legacy variant, which the kernel keeps.
func saveAll(t testing.TB, l *lab.Lab, topology lab.Topology, variant string) string {
	t.Helper()
	var all strings.Builder
	for _, n := range topology.Nodes {
		var out []byte
		err := l.Node(n.Name).Do(func() (err error) {
			out, err = exec.Command(lab.Command(variant).Save).Output()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		text := counters.ReplaceAllString(comment.ReplaceAllString(string(out), ""), "[0:0]")
		if variant == "legacy" {
			text = emptyTable.ReplaceAllString(text, "")
		}
		fmt.Fprintf(&all, "%s\n%s", n.Name, text)
	}
	return all.String()
}

// A run may not depend on luck: the same walks, every time.
func TestPublishedPortTwentyTimes(t *testing.T) {
	l, topology := publishPort(t, "")
	for range 20 {
		tr := start(t, l, topology, "")
		walks := collect(t, l, tr, topology.Clients[0].Name)
		if len(walks) < 2 {
			t.Fatalf("%d walks", len(walks))
		}
		checkSYN(t, walks[0])
		checkReply(t, walks[1])
		checkConnection(t, walks)
		if t.Failed() {
			for _, w := range walks {
				t.Logf("walk %d, %s, %s\n%s", w.ID, w.Packet.Summary(), w.Outcome, describe(w))
			}
			t.Fatalf("%d events were lost", tr.Lost())
		}
	}
}

// Where one namespace cannot be traced, nothing stays behind in the others.
func TestStartIsAllOrNothing(t *testing.T) {
	l, topology := publishPort(t, "")
	before := saveAll(t, l, topology, "")
	c := live.Config{}
	for _, n := range topology.Nodes {
		target := nflog.Target{Node: n.Name, Namespace: l.Node(n.Name), Backends: backends(""), Tables: trace.Tables()}
		if n.Name == "c1" {
			target.Backends[0].Command = "no-such-iptables"
		}
		c.Targets = append(c.Targets, target)
	}
	if _, err := live.Start(t.Context(), c); err == nil || !strings.Contains(err.Error(), "no-such-iptables") {
		t.Errorf("Start = %v, want an error that names what failed", err)
	}
	if diff := cmp.Diff(before, saveAll(t, l, topology, "")); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

// BenchmarkWalk is the time from a request to the last of its walks.
func BenchmarkWalk(b *testing.B) {
	l, topology := publishPort(b, "")
	tr := start(b, l, topology, "")
	defer func() {
		if err := tr.Close(context.Background()); err != nil {
			b.Error(err)
		}
	}()
	done := make(chan trace.Walk)
	go func() {
		for w := range tr.Walks() {
			if w.Packet.Summary() == "SYN" {
				done <- w
			}
		}
	}()
	for b.Loop() {
		if _, err := l.Send(b.Context(), topology.Clients[0].Name); err != nil {
			b.Fatal(err)
		}
		<-done
	}
}
