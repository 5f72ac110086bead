package difftest

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

// read writes lines in short: "1 JUMP A", "0 ACCEPT (policy)".
func read(t *testing.T, text string) []line {
	t.Helper()
	var lines []line
	for _, s := range strings.Split(text, ";") {
		f := strings.Fields(s)
		if len(f) == 0 {
			continue
		}
		l := line{hook: trace.Input, table: trace.Filter, chain: "INPUT", rule: strings.Index("0123456789", f[0]), verdict: trace.Verdict(f[1])}
		if len(f) > 2 {
			l.policy = f[2] == "(policy)"
			if !l.policy {
				l.target = f[2]
			}
		}
		lines = append(lines, l)
	}
	return lines
}

func TestDifference(t *testing.T) {
	for _, c := range []struct {
		about, walk, kernel string
		equal               bool
	}{
		{"nothing", "", "", true},
		{"the same", "1 JUMP A; 0 ACCEPT (policy)", "1 JUMP A; 0 ACCEPT (policy)", true},
		{"the kernel's words", "1 REJECT", "1 DROP", true},
		{"translation", "1 DNAT", "1 ACCEPT", true},
		{"translation without an address", "1 MASQUERADE", "1 DROP", true},
		{"queue", "1 NFQUEUE", "1 QUEUE", true},
		{"reached, matched", "1 REACHED; 2 DROP", "1 CONTINUE; 2 DROP", false},
		{"reached, not matched", "1 REACHED; 2 DROP", "2 DROP", false},
		{"another verdict", "1 ACCEPT", "1 DROP", false},
		{"another target", "1 JUMP A", "1 JUMP B", false},
		{"jump for goto", "1 JUMP A", "1 GOTO A", false},
		{"another rule", "2 DROP", "1 DROP", false},
		{"a rule for the policy", "0 DROP", "0 DROP (policy)", false},
		{"another order", "1 CONTINUE; 2 CONTINUE", "2 CONTINUE; 1 CONTINUE", false},
		{"one too many", "1 CONTINUE; 2 DROP", "2 DROP", false},
		{"one too few", "2 DROP", "1 CONTINUE; 2 DROP", false},
		{"twice", "1 CONTINUE; 1 CONTINUE", "1 CONTINUE", false},
		{"the kernel goes on", "1 CONTINUE", "1 CONTINUE; 0 ACCEPT (policy)", false},
		{"the walk goes on", "1 CONTINUE; 0 ACCEPT (policy)", "1 CONTINUE", false},
		{"reached, but the rule accepts", "1 REACHED; 2 DROP", "1 ACCEPT", false},
	} {
		d := difference(read(t, c.walk), read(t, c.kernel))
		if (d == "") != c.equal {
			t.Errorf("%s: difference %q", c.about, d)
		}
	}
}

// Packets that are alike are still as many as entered the same chain.
func TestPackets(t *testing.T) {
	in := func(h trace.Hook, port uint16) line {
		return entering(h, trace.Raw, netip.AddrPortFrom(netip.IPv6Unspecified(), port), netip.AddrPort{})
	}
	rule := read(t, "1 CONTINUE; 0 ACCEPT (policy)")
	for want, lines := range [][]line{
		{},
		slices.Concat([]line{in(trace.Output, 1)}, rule, []line{in(trace.Prerouting, 1)}, rule),
		slices.Concat([]line{in(trace.Output, 1)}, rule, []line{in(trace.Output, 2)}, rule, []line{in(trace.Prerouting, 2)}),
	} {
		if got := packets(lines); got != want {
			t.Errorf("%v are %d packets, want %d", lines, got, want)
		}
	}
}

// A line of another hook, table or chain must not pass for the same.
func TestDifferenceOfPlaces(t *testing.T) {
	for _, change := range []func(*line){
		func(l *line) { l.hook = trace.Forward },
		func(l *line) { l.table = trace.Security },
		func(l *line) { l.chain = "USER" },
	} {
		kernel := read(t, "1 DROP")
		change(&kernel[0])
		if difference(read(t, "1 DROP"), kernel) == "" {
			t.Errorf("%s passes for %s", "1 DROP", kernel[0])
		}
	}
}

// The rules of a seed are what it stands for: they must not change from one run
// to the next, and all of a run must be understood by the reader of rulesets.
func TestSeedsStandForRules(t *testing.T) {
	for s := uint64(1); s <= 50; s++ {
		for _, f := range []trace.Family{trace.IPv4, trace.IPv6} {
			text := randomRules(newRand(s), f)
			if again := randomRules(newRand(s), f); again != text {
				t.Errorf("seed %d makes other rules of %s the second time", s, f)
			}
			if _, err := ruleset.Parse(text); err != nil {
				t.Errorf("seed %d: %v", s, err)
			}
		}
	}
}
