package expect_test

import (
	"context"
	"os"
	"testing"
	"time"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/scenarios"
	"packetwalk/scenarios/expect"
	"packetwalk/trace"
	"packetwalk/trace/assemble"
	"packetwalk/trace/live"
	"packetwalk/trace/nflog"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// TestCheckLive holds what is expected of every way to end to what the kernel does.
func TestCheckLive(t *testing.T) {
	for _, variant := range lab.Variants()[1:] {
		t.Run(variant, func(t *testing.T) {
			labtest.NeedIptables(t, variant)
			data, err := os.ReadFile("testdata/ends.yaml")
			if err != nil {
				t.Fatal(err)
			}
			s, err := scenarios.Parse("ends.yaml", data)
			if err != nil {
				t.Fatal(err)
			}
			evidence := gather(t, s, variant)
			for i, r := range expect.Check(evidence, s.Steps[0].Expect) {
				if !r.Holds {
					t.Errorf("expectation %d, of %q, %s: %s, walk %d", i+1, r.Expectation.Request, r.Expectation.Packet, r.Fault, r.Walk)
				}
			}
			if t.Failed() {
				for _, w := range evidence.Walks {
					t.Logf("walk %d, flow %d: %s from %s to %s, %s in %d steps, answers %d", w.ID, w.Flow, w.Packet.Summary(), w.Packet.Src, w.Packet.Dst, w.Outcome, len(w.Steps), w.Answers)
				}
			}
		})
	}
}

// gather builds the scenario's lab and sends the requests of its first step.
func gather(t *testing.T, s scenarios.Scenario, variant string) expect.Evidence {
	t.Helper()
	l := labtest.Build(t, s.Topology, variant)
	c := live.Config{Segments: map[assemble.Port]int{}, Finished: true}
	for port, segment := range s.Topology.Segments() {
		c.Segments[assemble.Port(port)] = segment
	}
	for _, n := range s.Topology.Nodes {
		c.Targets = append(c.Targets, nflog.Target{
			Node: n.Name, Namespace: l.Node(n.Name), Tables: trace.Tables(),
			Backends: []nflog.Backend{{Family: trace.IPv4, Command: lab.Command(variant).Iptables}},
		})
	}
	tr, err := live.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	e := expect.Evidence{Topology: s.Topology, Answers: map[string]expect.Answer{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for w := range tr.Walks() {
			e.Walks = append(e.Walks, w)
		}
	}()
	for _, client := range s.Steps[0].Send {
		r, err := l.Send(t.Context(), client)
		e.Answers[client] = expect.Answer{Response: r, Err: err}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := tr.Quiet(ctx, 50*time.Millisecond); err != nil {
		t.Error(err)
	}
	if err := tr.Close(t.Context()); err != nil {
		t.Error(err)
	}
	<-done
	return e
}
