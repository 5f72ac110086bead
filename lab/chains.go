package lab

import (
	"cmp"
	"maps"
	"slices"
)

// chainKey names a chain of a node.
type chainKey struct {
	ipv6         bool
	variant      string // empty for the lab's
	table, chain string
}

// chainState is what commands have made of a chain, in the words of the commands.
type chainState struct {
	rules  [][]string
	policy string // empty where no command has set it
	made   bool   // by -N
}

// chains is what a list of commands amounts to. It knows what was typed, not
// what iptables makes of it: "-s 10.0.0.1" and "-s 10.0.0.1/32" are two rules here.
type chains map[chainKey]*chainState

// amount works out what commands amount to on a node that had no rules before.
func amount(commands []RuleCommand) chains {
	all := chains{}
	for _, c := range commands {
		all.apply(c)
	}
	return all
}

// keys lists the chains in a stable order.
func (all chains) keys() []chainKey {
	return slices.SortedFunc(maps.Keys(all), func(a, b chainKey) int {
		return cmp.Or(cmp.Compare(a.table, b.table), cmp.Compare(a.chain, b.chain), cmp.Compare(a.variant, b.variant))
	})
}

// chain finds a chain, and takes one that no command has made for a base chain.
func (all chains) chain(k chainKey) *chainState {
	if all[k] == nil {
		all[k] = &chainState{}
	}
	return all[k]
}

func (all chains) apply(c RuleCommand) {
	k := chainKey{c.IPv6, c.Variant, c.Table, c.Chain}
	switch c.Action {
	case 'N':
		all[k] = &chainState{made: true}
	case 'P':
		all.chain(k).policy = c.To
	case 'A':
		s := all.chain(k)
		s.rules = append(s.rules, c.Spec)
	case 'I':
		s := all.chain(k)
		at := min(max(c.Number, 1), len(s.rules)+1) - 1
		s.rules = slices.Insert(s.rules, at, c.Spec)
	case 'R':
		if s := all.chain(k); c.Number <= len(s.rules) {
			s.rules[c.Number-1] = c.Spec
		}
	case 'D':
		all.chain(k).remove(c)
	case 'F':
		all.each(c, func(_ chainKey, s *chainState) { s.rules = nil })
	case 'X':
		all.each(c, func(k chainKey, s *chainState) {
			if s.made {
				delete(all, k)
			}
		})
	case 'E':
		all.rename(k, c.To)
	}
}

// each visits the chain that a command names or, where it names none, all
// chains of its table.
func (all chains) each(c RuleCommand, visit func(chainKey, *chainState)) {
	for _, k := range all.keys() {
		if k.ipv6 == c.IPv6 && k.variant == c.Variant && k.table == c.Table && (c.Chain == "" || c.Chain == k.chain) {
			visit(k, all[k])
		}
	}
}

// remove carries out a -D. A rule that was deleted in other words than it was
// added in cannot be told from the rest: then none of the rules is vouched for.
func (s *chainState) remove(c RuleCommand) {
	at := c.Number - 1
	if c.Number == 0 {
		at = slices.IndexFunc(s.rules, func(r []string) bool { return slices.Equal(r, c.Spec) })
	}
	if at < 0 || at >= len(s.rules) {
		s.rules = nil
		return
	}
	s.rules = slices.Delete(s.rules, at, at+1)
}

// rename carries out a -E, which the jumps to the chain follow.
func (all chains) rename(from chainKey, to string) {
	if s, ok := all[from]; ok {
		delete(all, from)
		all[chainKey{from.ipv6, from.variant, from.table, to}] = s
	}
	for k, s := range all {
		if k.ipv6 != from.ipv6 || k.variant != from.variant || k.table != from.table {
			continue
		}
		for i, rule := range s.rules {
			s.rules[i] = renameTarget(rule, from.chain, to)
		}
	}
}

func renameTarget(rule []string, from, to string) []string {
	rule = slices.Clone(rule)
	for i := 1; i < len(rule); i++ {
		if rule[i] == from && isJump(rule[i-1]) {
			rule[i] = to
		}
	}
	return rule
}
