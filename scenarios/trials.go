package scenarios

import (
	"fmt"
	"regexp"

	"packetwalk/lab"
)

// Variant is the variant of iptables that a scenario runs with, in the words of
// lab.Options: the one that it is about, and otherwise the one that is asked for.
// Where it is about both, nft is what a system that has both calls iptables today.
func (s Scenario) Variant(asked string) string {
	switch s.Iptables {
	case "nft", "legacy":
		return s.Iptables
	case "both":
		return "nft"
	}
	return asked
}

// Trials are the iptables commands of the scenario that can be tried by
// themselves, in their order: the rules of the nodes, and what the steps type
// and solve. They end where a step sets rules by other means, since what comes
// behind may rest on those. A command that is faulty already is left out.
func (d *Draft) Trials() []lab.Trial {
	var all []lab.Trial
	for i, n := range d.Scenario.Topology.Nodes {
		for j, rule := range n.Rules {
			if _, err := lab.ParseCommand(rule); err == nil && n.Name != "" {
				all = append(all, lab.Trial{Path: fmt.Sprintf("nodes[%d].rules[%d]", i, j), Node: n.Name, Command: rule})
			}
		}
	}
	for i, s := range d.Scenario.Steps {
		path := fmt.Sprintf("steps[%d]", i)
		more, goesOn := d.typed(path+".run", s.Run)
		all = append(all, more...)
		if goesOn && s.Goal != nil {
			more, goesOn = d.typed(path+".goal.solution", s.Goal.Solution)
			all = append(all, more...)
		}
		if !goesOn {
			break
		}
	}
	return all
}

// setsRules finds commands that may change rules, or what rules need.
var setsRules = regexp.MustCompile(`tables|\b(nft|ipset|source|sh|bash)\b`)

// typed lists those of the commands that can be tried. It stops, and goesOn is
// false, at one that may set rules in a way that cannot be tried by itself.
func (d *Draft) typed(path string, commands []Command) (trials []lab.Trial, goesOn bool) {
	for i, c := range commands {
		_, isRule, err := lab.ParseTyped(c.Text)
		_, isNode := d.Scenario.Topology.Node(c.Node)
		switch {
		case isRule && err == nil && isNode && c.Node != "":
			at := fmt.Sprintf("%s[%d].command", path, i)
			trials = append(trials, lab.Trial{Path: at, Node: c.Node, Command: c.Text, Fails: c.Fails})
		case !isRule && setsRules.MatchString(c.Text):
			return trials, false
		}
	}
	return trials, true
}
