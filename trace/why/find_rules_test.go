package why

import (
	"strings"
	"testing"

	"packetwalk/trace"
)

// stoppedAt explains a request that came to its end at a step.
func stoppedAt(t *testing.T, end trace.Step) Answer {
	t.Helper()
	e := dockerHost(t, table("filter", ":INPUT ACCEPT", ":FORWARD ACCEPT", ":DOCKER-USER -", "-A FORWARD -j DOCKER-USER"))
	e.Attempt.Walks = []trace.Walk{syn(trace.Dropped, leaving(), end)}
	return Explain(e)
}

// TestWider deletes a rule by what it says, since the exception in front of it
// takes its number.
func TestWider(t *testing.T) {
	policy := forwarded(trace.Filter)
	policy.Verdict = trace.Drop
	rule := policy
	rule.Policy, rule.Chain, rule.Rule = false, "DOCKER-USER", 1
	rule.Text = `-A DOCKER-USER -s 192.168.23.0/24 -m comment --comment "closed for repairs" -j DROP`
	early := on(trace.Prerouting, trace.Raw, hostAddr)
	early.Verdict, early.Policy, early.Rule, early.Text, early.Variant = trace.Drop, false, 3, "-A PREROUTING -i ens33 -j DROP", trace.Legacy
	for name, test := range map[string]struct {
		end  trace.Step
		want string
	}{
		"a rule":                     {rule, `iptables -D DOCKER-USER -s 192.168.23.0/24 -m comment --comment "closed for repairs" -j DROP`},
		"of another table, variant":  {early, "iptables-legacy -t raw -D PREROUTING -i ens33 -j DROP"},
		"a policy is another matter": {policy, "iptables -P FORWARD ACCEPT"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, lang := range []string{"en", "zh"} {
				if got := stoppedAt(t, test.end).Text(lang).Opens; !strings.Contains(got, test.want) {
					t.Errorf("%s, want %s", got, test.want)
				}
			}
		})
	}
}
