package lab

import (
	"maps"
	"slices"
	"strings"
)

// baseChains are the chains of every table of iptables (iptables(8), TABLES).
var baseChains = map[string][]string{
	"raw":      {"PREROUTING", "OUTPUT"},
	"mangle":   {"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"},
	"nat":      {"PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"},
	"filter":   {"INPUT", "FORWARD", "OUTPUT"},
	"security": {"INPUT", "FORWARD", "OUTPUT"},
}

// ruleText is what iptables-save prints of a table, taken apart by lines.
type ruleText struct {
	policies map[string]string // of base chains, where it is not ACCEPT
	chains   []string          // the user's own
	rules    []string
}

// readRuleText reads what iptables-save prints, by table, without counters and
// comments. Tables that hold nothing are left out: an empty chain that accepts
// is as good as none. Rules that hidden says yes to are passed over; it may be nil.
func readRuleText(save string, hidden func(rule string) bool) map[string]ruleText {
	tables := map[string]ruleText{}
	var name string
	var t ruleText
	for line := range strings.Lines(save) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "*"):
			name, t = line[1:], ruleText{policies: map[string]string{}}
		case strings.HasPrefix(line, ":"):
			if f := strings.Fields(line[1:]); len(f) >= 2 {
				t.chain(f[0], f[1])
			}
		case line == "COMMIT":
			if len(t.policies)+len(t.chains)+len(t.rules) > 0 {
				tables[name] = t
			}
		case strings.HasPrefix(line, "-") && (hidden == nil || !hidden(line)):
			t.rules = append(t.rules, line)
		}
	}
	return tables
}

func (t *ruleText) chain(name, policy string) {
	switch policy {
	case "-":
		t.chains = append(t.chains, name)
	case "ACCEPT":
	default:
		t.policies[name] = policy
	}
}

// canonical is the text of tables such that two rulesets of one effect have one text.
func canonical(tables map[string]ruleText) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		tables[name].write(&b, name)
	}
	return b.String()
}

// restoring is the input of iptables-restore that turns one ruleset into
// another: the tables that differ, whole. The texts are canonical ones.
func restoring(have, want string) string {
	from, to := readRuleText(have, nil), readRuleText(want, nil)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(baseChains)) {
		if canonical(map[string]ruleText{name: from[name]}) != canonical(map[string]ruleText{name: to[name]}) {
			to[name].write(&b, name)
		}
	}
	return b.String()
}

// write writes the table as iptables-restore reads it, with all its base chains.
func (t ruleText) write(b *strings.Builder, name string) {
	b.WriteString("*" + name + "\n")
	for _, c := range baseChains[name] {
		policy := t.policies[c]
		if policy == "" {
			policy = "ACCEPT"
		}
		b.WriteString(":" + c + " " + policy + " [0:0]\n")
	}
	for _, c := range t.chains {
		b.WriteString(":" + c + " - [0:0]\n")
	}
	for _, r := range t.rules {
		b.WriteString(r + "\n")
	}
	b.WriteString("COMMIT\n")
}
