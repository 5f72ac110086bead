package lab

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// commandsOf takes commands apart that are known to be right.
func commandsOf(t *testing.T, lines []string) []RuleCommand {
	t.Helper()
	commands := make([]RuleCommand, len(lines))
	for i, line := range lines {
		var err error
		if commands[i], err = ParseCommand(line); err != nil {
			t.Fatal(err)
		}
	}
	return commands
}

func TestDependencies(t *testing.T) {
	lines := []string{
		"iptables -N A",               // 0: makes the table
		"iptables -N B",               // 1: chains keep their order
		"iptables -A FORWARD -j A",    // 2: needs A
		"iptables -A FORWARD -g B",    // 3: behind 2, and needs B
		"iptables -A INPUT -j DROP",   // 4: needs the table only
		"iptables -t nat -N A",        // 5: another table
		"iptables -t nat -A A -j B",   // 6: B of this table does not exist
		"ip6tables -A INPUT -j DROP",  // 7: another family
		"iptables -E A C",             // 8: waits for its whole table
		"iptables -A INPUT -j ACCEPT", // 9: waits for that
	}
	want := [][]int{nil, {0}, {0}, {0, 1, 2}, {0}, nil, {5}, nil, {0, 1, 2, 3, 4}, {4, 8}}
	got := dependencies(commandsOf(t, lines))
	for i := range got {
		if len(got[i]) == 0 {
			got[i] = nil
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAmount(t *testing.T) {
	lines := []string{
		"iptables -N A",
		"iptables -A A -j ACCEPT",
		"iptables -I A -j LOG",
		"iptables -I A 2 -j DROP",
		"iptables -D A -j ACCEPT",
		"iptables -R A 2 -j RETURN",
		"iptables -A FORWARD -j A",
		"iptables -P FORWARD DROP",
		"iptables -E A B",
		"iptables -N GONE",
		"iptables -X GONE",
		"iptables -A INPUT -s 10.0.0.1 -j DROP",
		"iptables -D INPUT -s 10.0.0.1/32 -j DROP", // in other words
		"iptables -t nat -A OUTPUT -j ACCEPT",
		"iptables -t nat -F",
	}
	want := chains{
		{table: "filter", chain: "B"}:       {made: true, rules: [][]string{{"-j", "LOG"}, {"-j", "RETURN"}}},
		{table: "filter", chain: "FORWARD"}: {policy: "DROP", rules: [][]string{{"-j", "B"}}},
		{table: "filter", chain: "INPUT"}:   {},
		{table: "nat", chain: "OUTPUT"}:     {},
	}
	if diff := cmp.Diff(want, amount(commandsOf(t, lines)), cmp.AllowUnexported(chainKey{}, chainState{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
