package passed

import (
	"slices"

	"packetwalk/trace"
)

// Comparison is what can be said of a packet and the matches of one rule.
type Comparison struct {
	// Failed are the matches that fail, in the rule's order.
	Failed []Reason
	// Unknown are those of which nothing can be said, in the rule's own words.
	Unknown [][]string
}

// Holds says whether the packet is known to match.
func (c Comparison) Holds() bool { return len(c.Failed) == 0 && len(c.Unknown) == 0 }

// Compare holds a packet to the matches of a rule, as if it came to the rule as
// the step describes it: with those interfaces, addresses and state. The packet
// is asked for its protocol and what only its headers have.
func Compare(s trace.Step, header trace.Packet, match []string) Comparison {
	var c Comparison
	packet{Step: s, proto: header.Proto, header: header}.each(match, func(words []string, a answer) bool {
		switch {
		case !a.known:
			c.Unknown = append(c.Unknown, slices.Clone(words))
		case a.holds == (words[0] == "!"):
			c.Failed = append(c.Failed, Reason{Match: slices.Clone(words), Have: a.have})
		}
		return true
	})
	return c
}

// each asks the packet about every match of a rule, until one is the last to be
// asked about. What only names a module or comments is no match.
func (p packet) each(match []string, ask func(words []string, a answer) (goOn bool)) {
	module := ""
	for i := 0; i < len(match); {
		words := option(match[i:])
		i += len(words)
		bare := words
		if words[0] == "!" {
			bare = words[1:]
		}
		switch {
		case len(bare) < 2:
			if len(bare) == 1 && !ask(words, unknown) {
				return
			}
		case bare[0] == "-m":
			module = bare[1]
		case bare[0] == "--comment":
		case !ask(words, p.ask(module, bare[0], bare[1:])):
			return
		}
	}
}
