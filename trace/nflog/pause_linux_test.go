package nflog_test

import (
	"strings"
	"testing"

	"packetwalk/lab"
	"packetwalk/trace"
	"packetwalk/trace/nflog"
)

// A policy that somebody gives to a chain which came into being for probes is
// shown, and stays when the probes go.
func TestPolicyOfAMadeChainStays(t *testing.T) {
	eachVariant(t, filtered(), func(t *testing.T, l *lab.Lab, c lab.Commands) {
		n := l.Node("host")
		tr := attach(t, l, c, func(trace.Event) {})
		command(t, n, c.Iptables, "-t", "security", "-P", "FORWARD", "DROP")
		for _, do := range []func() error{
			func() error { return tr.Pause(t.Context()) }, func() error { return tr.Resume(t.Context()) },
		} {
			if err := do(); err != nil {
				t.Fatal(err)
			}
		}
		if chain, _ := tr.Rules(trace.IPv4).Chain("security", "FORWARD"); chain.Policy != trace.Drop {
			t.Errorf("the tracer shows the policy %q", chain.Policy)
		}
		if err := tr.Detach(t.Context()); err != nil {
			t.Fatal(err)
		}
		if text := save(t, n, c, "-t", "security"); !strings.Contains(text, ":FORWARD DROP") {
			t.Errorf("the policy is gone:\n%s", text)
		}
	})
}

func TestIsProbe(t *testing.T) {
	probe := nflog.Prefix{Run: "abc", Probe: 7, Origin: nflog.Existed}.String()
	tests := map[string]bool{
		`-A INPUT -j NFLOG --nflog-prefix ` + probe + ` --nflog-group 20000`:   true,
		`-A INPUT -j NFLOG --nflog-prefix "` + probe + `" --nflog-group 20000`: true,
		`-A INPUT -j NFLOG --nflog-prefix mine --nflog-group 20000`:            false,
		`-A INPUT -m comment --comment "` + probe + `" -j TRACE`:               true,
		`-A INPUT -m comment --comment "` + probe + `" -j ACCEPT`:              false,
		`-A INPUT -j NFLOG --nflog-prefix`:                                     false,
		`-A INPUT -m comment --comment "` + probe:                              false,
	}
	for line, want := range tests {
		if got := nflog.IsProbe(line); got != want {
			t.Errorf("IsProbe(%q) = %v", line, got)
		}
	}
}
