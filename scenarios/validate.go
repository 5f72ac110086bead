package scenarios

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"packetwalk/lab"
)

// hintsOfChallenge is how many hints each goal of a challenge has.
const hintsOfChallenge = 3

// Validate reports every fault of the scenario that shows without building it,
// those of its topology included. The error joins values of type *lab.Fault,
// whose paths are those of the file.
func (s Scenario) Validate() error {
	v := validator{s: s}
	v.head()
	steps := map[string]bool{}
	for i, step := range s.Steps {
		path := fmt.Sprintf("steps[%d]", i)
		switch {
		case !lab.IsName(step.Name):
			v.fault(path+".name", "%q is no name for a step: letters, digits, '-', '_' and '.' only", step.Name)
		case steps[step.Name]:
			v.fault(path+".name", "there is a step %s already", step.Name)
		}
		steps[step.Name] = true
		v.step(path, step)
	}
	return errors.Join(append([]error{s.Topology.Validate()}, v.faults...)...)
}

// validator gathers faults.
type validator struct {
	s      Scenario
	faults []error
}

func (v *validator) fault(path, format string, args ...any) {
	v.faults = append(v.faults, &lab.Fault{Path: path, Problem: fmt.Sprintf(format, args...)})
}

// head checks what stands outside the topology and the steps.
func (v *validator) head() {
	if !lab.IsName(v.s.Name) {
		v.fault("name", "%q is no name for a scenario: letters, digits, '-', '_' and '.' only", v.s.Name)
	}
	if len(v.s.Title) == 0 {
		v.fault("title", "the scenario has no title")
	}
	if v.s.Kind != Lesson && v.s.Kind != Challenge {
		v.fault("kind", "%q is no kind of scenario: lesson or challenge", v.s.Kind)
	}
	if !slices.Contains([]string{"", "nft", "legacy", "both"}, v.s.Iptables) {
		v.fault("iptables", "%q is no variant of iptables: nft, legacy or both", v.s.Iptables)
	}
	hasGoal := slices.ContainsFunc(v.s.Steps, func(s Step) bool { return s.Goal != nil })
	switch {
	case v.s.Kind == Challenge && !hasGoal:
		v.fault("steps", "a challenge needs a step with a goal")
	case len(v.s.Steps) == 0 && len(v.s.Topology.Clients) == 0:
		v.fault("clients", "at least one client is needed where there are no steps: the first one's request is what is watched")
	}
}

func (v *validator) step(path string, s Step) {
	if len(s.Title) == 0 {
		v.fault(path+".title", "the step has no title")
	}
	v.commands(path+".run", s.Run)
	if s.Ask != nil {
		v.question(path+".ask", *s.Ask)
	}
	v.send(path+".send", s.Send)
	if len(s.Expect) > 0 && len(s.Send) == 0 && len(s.Run) == 0 {
		v.fault(path+".expect", "nothing is sent in this step whose walks could be looked at: it has neither send nor run")
	}
	for i, e := range s.Expect {
		v.expectation(fmt.Sprintf("%s.expect[%d]", path, i), e, s.Send)
	}
	if s.Goal != nil {
		v.goal(path+".goal", *s.Goal)
	}
}

// commands checks what is typed. Of what runs in a shell, only calls of iptables
// can be looked into.
func (v *validator) commands(path string, all []Command) {
	for i, c := range all {
		at := fmt.Sprintf("%s[%d]", path, i)
		v.node(at+".node", c.Node, true)
		var bad *lab.CommandError
		switch _, _, err := lab.ParseTyped(c.Text); {
		case strings.TrimSpace(c.Text) == "":
			v.fault(at+".command", "the command is missing")
		case errors.As(err, &bad):
			v.fault(at+".command", "%s", bad.Problem)
		}
	}
}

// node checks the name of a node; where it may be missing, needed is false.
func (v *validator) node(path, name string, needed bool) {
	if name == "" {
		if needed {
			v.fault(path, "the node is missing")
		}
		return
	}
	if _, ok := v.s.Topology.Node(name); !ok {
		v.fault(path, "there is no node %s", name)
	}
}

func (v *validator) question(path string, q Question) {
	if len(q.Text) == 0 {
		v.fault(path+".text", "the question has no text")
	}
	if len(q.Choices) < 2 {
		v.fault(path+".choices", "a question needs at least two choices, not %d", len(q.Choices))
	}
	if len(q.Choices) > 0 && !slices.ContainsFunc(q.Choices, func(c Choice) bool { return c.Right }) {
		v.fault(path+".choices", "no choice is the right one")
	}
	for i, c := range q.Choices {
		if len(c.Text) == 0 {
			v.fault(fmt.Sprintf("%s.choices[%d].text", path, i), "the choice has no text")
		}
	}
}

// client finds a client by name.
func (v *validator) client(name string) (lab.Client, bool) {
	i := slices.IndexFunc(v.s.Topology.Clients, func(c lab.Client) bool { return c.Name == name })
	if i < 0 {
		return lab.Client{}, false
	}
	return v.s.Topology.Clients[i], true
}

func (v *validator) send(path string, clients []string) {
	for i, name := range clients {
		if _, ok := v.client(name); !ok {
			v.fault(fmt.Sprintf("%s[%d]", path, i), "there is no client %s", name)
		}
	}
}

func (v *validator) goal(path string, g Goal) {
	if len(g.Text) == 0 {
		v.fault(path+".text", "the goal has no text")
	}
	v.send(path+".send", g.Send)
	if len(g.Send) == 0 {
		v.fault(path+".send", "a goal needs a request whose walks show whether it is reached")
	}
	if len(g.Expect) == 0 {
		v.fault(path+".expect", "a goal needs an expectation that says when it is reached")
	}
	for i, e := range g.Expect {
		v.expectation(fmt.Sprintf("%s.expect[%d]", path, i), e, g.Send)
	}
	if v.s.Kind == Challenge && len(g.Hints) != hintsOfChallenge {
		v.fault(path+".hints", "a challenge has %d hints, from a nudge to nearly the answer, not %d", hintsOfChallenge, len(g.Hints))
	}
	if len(g.Solution) == 0 {
		v.fault(path+".solution", "the goal has no solution")
	}
	v.commands(path+".solution", g.Solution)
}
