package lab

import "strings"

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

// piece is how many lines of a ruleset fit into a message of an ordinary user,
// who is root in the user namespace only (net.core.wmem_max is 212,992 bytes
// unless somebody has changed it).
const piece = 200

// inPieces parts a text that loads tables into one that empties them and one
// that, without emptying, fills them again in transactions of a few lines each.
func inPieces(text string) (empty, fill string) {
	var first, then strings.Builder
	table, count := "", 0
	for l := range strings.Lines(text) {
		l = strings.TrimSpace(l)
		switch {
		case l == "" || l[0] == '#':
		case l[0] == '*':
			first.WriteString(l + "\nCOMMIT\n")
			then.WriteString(l + "\n")
			table, count = l, 0
		case l == "COMMIT":
			then.WriteString("COMMIT\n")
		default:
			if count++; count > piece {
				then.WriteString("COMMIT\n" + table + "\n")
				count = 1
			}
			then.WriteString(l + "\n")
		}
	}
	return first.String(), then.String()
}
