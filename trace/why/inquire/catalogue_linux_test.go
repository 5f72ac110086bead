package inquire_test

import (
	"slices"
	"testing"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/scenarios"
	"packetwalk/trace"
	"packetwalk/trace/why"
)

// TestCatalogue asks why in every scenario what its requests ask: what the
// scenario knows to be answered must be reached, and for what it knows not to be
// there must be something to blame. Without -full that is, of a lesson, the last
// step with an answer.
func TestCatalogue(t *testing.T) {
	t.Parallel() // beside the others; of its own labs one lives at a time
	for i, s := range scenarios.List() {
		if raced && i > 0 {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			variant := s.Variant("")
			if variant == "both" || variant == "" {
				variant = "nft"
			}
			labtest.NeedIptables(t, variant)
			l := labtest.Build(t, s.Topology, variant)
			c, err := l.Control(lab.ControlOptions{Scenario: s.Name})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			last := lastAnswered(s)
			for i, step := range s.Steps {
				carryAllOut(t, l, step.Run)
				if s.Kind == scenarios.Challenge || *full || i == last {
					asked(t, l, variant, step.Name, step.Expect)
				}
				if step.Goal == nil {
					continue
				}
				carryAllOut(t, l, step.Goal.Solution)
				if s.Kind == scenarios.Challenge || *full || i == last {
					asked(t, l, variant, step.Name+", solved", step.Goal.Expect)
				}
			}
		})
	}
}

// lastAnswered is the last step of a scenario in which a request is answered.
func lastAnswered(s scenarios.Scenario) int {
	answered := func(x scenarios.Expectation) bool { return x.Answered != nil && *x.Answered }
	last := -1
	for i, step := range s.Steps {
		if slices.ContainsFunc(step.Expect, answered) || step.Goal != nil && slices.ContainsFunc(step.Goal.Expect, answered) {
			last = i
		}
	}
	return last
}

// carryAllOut runs the commands of a step. Some are meant to fail.
func carryAllOut(t *testing.T, l *lab.Lab, commands []scenarios.Command) {
	t.Helper()
	for _, c := range commands {
		r, err := l.Run(t.Context(), c.Node, c.Text)
		if err != nil {
			t.Fatalf("%s: %s: %v", c.Node, c.Text, err)
		}
		if r.Exit != 0 {
			t.Logf("%s: %s: exit code %d: %s", c.Node, c.Text, r.Exit, r.Output)
		}
	}
}

// asked asks for the requests of which a step knows whether they are answered.
func asked(t *testing.T, l *lab.Lab, variant, step string, expected []scenarios.Expectation) {
	t.Helper()
	seen := map[string]bool{}
	for _, x := range expected {
		if x.Answered == nil || seen[x.Request] {
			continue
		}
		seen[x.Request] = true
		client := clientOf(l.Topology(), x.Request)
		wanted := why.Wanted{Proto: protoOf(client.Protocol), Port: client.To.Port(), HTTP: client.Protocol == lab.HTTP}
		a := ask(t, l, variant, why.Question{From: client.Node, Port: client.From, Target: wanted.At(client.To.Addr())})
		switch {
		case a.Reachable != *x.Answered:
			t.Errorf("%s: %s: reachable is %v (%s); %s", step, x.Request, a.Reachable, a.Cause, describe(a))
		case !a.Reachable && a.Cause == why.Unknown:
			t.Errorf("%s: %s: there is nothing to blame; %s", step, x.Request, describe(a))
		case !a.Reachable:
			t.Logf("%s: %s: %s %+v", step, x.Request, a.Cause, a.Culprit)
		}
	}
}

func clientOf(t lab.Topology, name string) lab.Client {
	for _, c := range t.Clients {
		if c.Name == name {
			return c
		}
	}
	return lab.Client{}
}

func protoOf(p lab.Protocol) trace.Proto {
	switch p {
	case lab.UDPEcho:
		return trace.UDP
	case lab.Ping:
		return trace.ICMP
	}
	return trace.TCP
}
