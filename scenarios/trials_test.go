package scenarios

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"packetwalk/lab"
)

// TestTrials sees which commands can be tried, and where trying ends.
func TestTrials(t *testing.T) {
	step := func(run []Command, solution ...Command) Step { return Step{Run: run, Goal: &Goal{Solution: solution}} }
	in := func(node, text string) Command { return Command{Node: node, Text: text} }
	d := &Draft{Scenario: Scenario{
		Topology: lab.Topology{Nodes: []lab.Node{
			{Name: "a", Rules: []string{"iptables -N X", "iptables -N", "iptables -A X -j DROP"}}, {Name: "b"}, {Rules: []string{"iptables -N Y"}},
		}},
		Steps: []Step{
			step([]Command{in("a", "iptables -A X -j ACCEPT"), in("a", "ping -c 1 10.0.0.1"), in("c", "iptables -F")}, in("b", "iptables -L")),
			{Run: []Command{{Node: "b", Text: "iptables -D INPUT 1", Fails: true}}},
			step([]Command{in("a", "iptables -A")}, in("a", "iptables -S"), in("a", "iptables-save | grep X"), in("a", "iptables -F X")),
			{Run: []Command{in("a", "iptables -X X")}},
		},
	}}
	want := []lab.Trial{
		{Path: "nodes[0].rules[0]", Node: "a", Command: "iptables -N X"},
		{Path: "nodes[0].rules[2]", Node: "a", Command: "iptables -A X -j DROP"},
		{Path: "steps[0].run[0].command", Node: "a", Command: "iptables -A X -j ACCEPT"},
		{Path: "steps[0].goal.solution[0].command", Node: "b", Command: "iptables -L"},
		{Path: "steps[1].run[0].command", Node: "b", Command: "iptables -D INPUT 1", Fails: true},
		{Path: "steps[2].goal.solution[0].command", Node: "a", Command: "iptables -S"},
	}
	if diff := cmp.Diff(want, d.Trials()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestVariant(t *testing.T) {
	for _, test := range []struct{ about, asked, want string }{
		{"", "", ""}, {"", "nft", "nft"}, {"legacy", "nft", "legacy"}, {"both", "legacy", "nft"}, {"both", "", "nft"}, {"ebtables", "nft", "nft"},
	} {
		if got := (Scenario{Iptables: test.about}).Variant(test.asked); got != test.want {
			t.Errorf("about %q, asked for %q: %q, want %q", test.about, test.asked, got, test.want)
		}
	}
}

func TestParsePlace(t *testing.T) {
	tests := map[string]struct {
		want Place
		ok   bool
	}{
		"host nat/DOCKER 2 DNAT":     {Place{Node: "host", Table: "nat", Chain: "DOCKER", Rule: 2, Verdict: "DNAT"}, true},
		"filter/FORWARD":             {Place{Table: "filter", Chain: "FORWARD"}, true},
		" c1  filter/INPUT  policy ": {Place{Node: "c1", Table: "filter", Chain: "INPUT", Policy: true}, true},
		"filter/INPUT policy DROP":   {Place{Table: "filter", Chain: "INPUT", Policy: true, Verdict: "DROP"}, true},
		"filter/INPUT DROP":          {Place{Table: "filter", Chain: "INPUT", Verdict: "DROP"}, true},
		"host conntrack DNAT":        {Place{Node: "host", Table: "conntrack", Verdict: "DNAT"}, true},
		"conntrack":                  {Place{Table: "conntrack"}, true},
		"conntrack nat/OUTPUT":       {Place{Table: "conntrack", Verdict: "nat/OUTPUT"}, true}, // refused as a verdict
		"":                           {},
		"host":                       {},
		"host FORWARD":               {},
		"nat/":                       {},
		"/DOCKER":                    {},
		"nat/DOCKER 0":               {},
		"nat/DOCKER -1":              {},
		"nat/DOCKER 2 DNAT more":     {},
		"host nat/DOCKER policy 2 X": {},
		"a b nat/DOCKER":             {},
	}
	for text, test := range tests {
		got, err := parsePlace(text)
		if (err == nil) != test.ok || got != test.want {
			t.Errorf("parsePlace(%q) = %+v, %v; want %+v, ok %t", text, got, err, test.want, test.ok)
		}
	}
}
