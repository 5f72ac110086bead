package scenarios

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"packetwalk/trace"
)

// parsePlace reads "[NODE] TABLE/CHAIN [RULE|policy] [VERDICT]", where the word
// conntrack stands for what connection tracking does by itself. Whether the
// words are known is left to Scenario.Validate.
func parsePlace(s string) (p Place, err error) {
	words := strings.Fields(s)
	isChain := func(w string) bool { return strings.Contains(w, "/") || w == string(trace.ConntrackTable) }
	if len(words) > 1 && !isChain(words[0]) {
		p.Node, words = words[0], words[1:]
	}
	if len(words) == 0 || !isChain(words[0]) {
		return Place{}, errors.New("there is no TABLE/CHAIN in it")
	}
	if p.Table, p.Chain = splitChain(words[0]); p.Table == "" && p.Chain == string(trace.ConntrackTable) {
		p.Table, p.Chain = trace.ConntrackTable, ""
	} else if p.Table == "" || p.Chain == "" {
		return Place{}, fmt.Errorf("%q is no TABLE/CHAIN", words[0])
	}
	words = words[1:]
	if len(words) > 0 {
		rule, err := parseRule(words[0])
		var number *strconv.NumError
		switch {
		case err == nil:
			p.Rule, words = rule, words[1:]
		case words[0] == "policy":
			p.Policy, words = true, words[1:]
		case !errors.As(err, &number):
			return Place{}, err
		}
	}
	if len(words) > 0 {
		p.Verdict, words = trace.Verdict(words[0]), words[1:]
	}
	if len(words) > 0 {
		return Place{}, fmt.Errorf("nothing is known that could follow the verdict, and there is %q", words[0])
	}
	return p, nil
}

// splitChain takes "TABLE/CHAIN" apart; the table is empty where there is no slash.
func splitChain(s string) (trace.Table, string) {
	table, chain, ok := strings.Cut(s, "/")
	if !ok {
		return "", s
	}
	return trace.Table(table), chain
}
