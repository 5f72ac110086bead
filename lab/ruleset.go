package lab

import (
	"strings"
)

// Ruleset is what a node has of iptables as a whole: texts in the words of
// iptables-save, with any tables, and no table twice. They are loaded as
// iptables-restore loads them; counters count for nothing.
type Ruleset struct {
	IPv4 string // of iptables-save
	IPv6 string // of ip6tables-save
}

// restorable says why a text cannot be the input of iptables-restore, with the
// line, which counts from 1; problem is empty where it can. What iptables makes
// of each rule is not looked at.
func restorable(text string) (line int, problem string) {
	table, seen := "", map[string]bool{}
	for l := range strings.Lines(text) {
		line++
		l = strings.TrimSpace(l)
		switch {
		case l == "" || l[0] == '#':
		case l[0] == '*' && table != "":
			return line, "a table begins before the COMMIT of the last one"
		case l[0] == '*' && baseChains[l[1:]] == nil:
			return line, "iptables has no such table"
		case l[0] == '*' && seen[l[1:]]:
			return line, "the table appears twice"
		case l[0] == '*':
			table = l[1:]
			seen[table] = true
		case table == "":
			return line, "a line outside of a table"
		case l == "COMMIT":
			table = ""
		case !strings.HasPrefix(l, ":") && !strings.HasPrefix(l, "-A "):
			return line, "neither a chain, nor a rule (-A CHAIN …), nor COMMIT"
		}
	}
	if table != "" {
		return line, "the text ends before the table's COMMIT"
	}
	return 0, ""
}
