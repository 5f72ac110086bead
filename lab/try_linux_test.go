package lab_test

import (
	"strings"
	"testing"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
)

// TestTryRules tries rules where each rests on those before it, and sees that
// every refusal is reported and none is made up.
func TestTryRules(t *testing.T) {
	for _, variant := range []string{"nft", "legacy"} {
		t.Run(variant, func(t *testing.T) {
			labtest.NeedIptables(t, variant)
			trials := []struct {
				node, command string
				fails         bool
				want          string // a part of what iptables says; empty where the command is good
			}{
				{"a", "iptables -N DOCKER", false, ""},
				{"a", "iptables -A FORWARD -o docker0 -j DOCKER", false, ""},
				{"b", "iptables -A DOCKER -j DROP", false, "No chain/target/match by that name"},
				{"a", "iptables -A DOCKER -p tcp --dprt 80 -j ACCEPT", false, `unknown option "--dprt"`},
				{"a", "iptables -A DOCKER -j NOSUCH", false, "NOSUCH"},
				{"a", "iptables -t nat -A OUTPUT -j DNAT", false, `option "--to-destination" must be specified`},
				{"a", "iptables -A DOCKER -s 10.0.0.300 -j DROP", false, "10.0.0.300"},
				{"a", "iptables -D DOCKER 9", false, "iptables"},
				{"a", "iptables -C DOCKER -j DROP", true, ""},
				{"a", "iptables -nvL DOCKER", false, ""},
				{"a", "iptables -F", false, ""},
				{"a", "iptables -X DOCKER", false, ""},
				{"a", "ip6tables -A INPUT -s 10.0.0.1 -j DROP", false, "10.0.0.1"},
				{"a", "iptables -A", false, "-A has no chain"},
			}
			var order []lab.Trial
			want := map[string]string{}
			for _, trial := range trials {
				order = append(order, lab.Trial{Path: trial.command, Node: trial.node, Command: trial.command, Fails: trial.fails})
				if trial.want != "" {
					want[trial.command] = trial.want
				}
			}
			faults, err := lab.TryRules(t.Context(), variant, order)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range faults {
				if part, ok := want[f.Path]; !ok || !strings.Contains(f.Problem, part) || strings.Contains(f.Problem, "exit status") {
					t.Errorf("%s: %s, want %q", f.Path, f.Problem, part)
				}
				delete(want, f.Path)
			}
			for command := range want {
				t.Errorf("%s: no fault", command)
			}
		})
	}
}

// TestTryRulesBoth sees a command's own variant win over the chosen one.
func TestTryRulesBoth(t *testing.T) {
	labtest.NeedIptables(t, "nft")
	labtest.NeedIptables(t, "legacy")
	faults, err := lab.TryRules(t.Context(), "nft", []lab.Trial{
		{Path: "made", Node: "a", Command: "iptables-legacy -N X"},
		{Path: "other", Node: "a", Command: "iptables -A X -j DROP"},
		{Path: "same", Node: "a", Command: "iptables-legacy -A X -j DROP"},
	})
	if err != nil || len(faults) != 1 || faults[0].Path != "other" {
		t.Errorf("TryRules = %v, %v; want a fault of other", faults, err)
	}
}

func TestTryRulesWithoutIptables(t *testing.T) {
	labtest.Need(t)
	t.Setenv("PATH", t.TempDir())
	_, err := lab.TryRules(t.Context(), "", []lab.Trial{{Path: "p", Node: "a", Command: "iptables -N X"}})
	if err == nil || !strings.Contains(err.Error(), "iptables is not installed") {
		t.Errorf("TryRules = %v", err)
	}
}
