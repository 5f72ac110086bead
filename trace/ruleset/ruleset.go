// Package ruleset turns the text of iptables-save into values and back. It
// knows the format, not what the rules do, and runs no command.
package ruleset

import (
	"fmt"
	"strings"

	"packetwalk/trace"
)

// Ruleset is everything one iptables-save prints, for one address family.
type Ruleset struct {
	Tables []Table
}

// Table is one table with its chains, in the order of the text.
type Table struct {
	Name   trace.Table
	Chains []Chain
}

// Chain is a chain and its rules.
type Chain struct {
	Name string
	// Policy is ACCEPT or DROP; empty for a user-defined chain.
	Policy trace.Verdict
	// Packets and Bytes are the policy's counters.
	Packets, Bytes uint64
	Rules          []Rule
}

// Base says whether the chain is attached to a hook.
func (c Chain) Base() bool { return c.Policy != "" }

// Rule is one rule.
type Rule struct {
	// Text is the rule as iptables-save wrote it, from -A on, without counters.
	Text string
	// Match holds every word before the target, unquoted: addresses,
	// interfaces, protocol and the -m modules with their options.
	Match []string
	// Target is what follows -j or -g; empty for a rule that only counts.
	Target string
	// Goto says that the target was given with -g.
	Goto bool
	// Options are the words behind the target, unquoted.
	Options []string
	// Packets and Bytes are the rule's counters, where the text has them (iptables-save -c).
	Packets, Bytes uint64
}

// Modules lists the match modules of the rule, in order, each time one is named by -m.
func (r Rule) Modules() []string {
	var mods []string
	for i := 0; i+1 < len(r.Match); i++ {
		switch r.Match[i] {
		case "-m", "--match":
			i++
			mods = append(mods, r.Match[i])
		case "--comment", "--string", "--hex-string":
			i++ // free text may look like an option
		}
	}
	return mods
}

// Table finds a table by name.
func (r Ruleset) Table(name trace.Table) (Table, bool) {
	for _, t := range r.Tables {
		if t.Name == name {
			return t, true
		}
	}
	return Table{}, false
}

// Chain finds a chain by table and name.
func (r Ruleset) Chain(table trace.Table, name string) (Chain, bool) {
	t, _ := r.Table(table)
	for _, c := range t.Chains {
		if c.Name == name {
			return c, true
		}
	}
	return Chain{}, false
}

// String writes the ruleset as iptables-save does without -c: with the counters
// of chains, and without those of rules.
func (r Ruleset) String() string {
	var b strings.Builder
	for _, t := range r.Tables {
		fmt.Fprintf(&b, "*%s\n", t.Name)
		for _, c := range t.Chains {
			policy := string(c.Policy)
			if !c.Base() {
				policy = "-"
			}
			fmt.Fprintf(&b, ":%s %s [%d:%d]\n", c.Name, policy, c.Packets, c.Bytes)
		}
		for _, c := range t.Chains {
			for _, rule := range c.Rules {
				b.WriteString(rule.Text)
				b.WriteByte('\n')
			}
		}
		b.WriteString("COMMIT\n")
	}
	return b.String()
}
