package nflog

import (
	"fmt"
	"slices"

	"packetwalk/trace"
	"packetwalk/trace/ruleset"
	"packetwalk/trace/xtables"
)

// In the legacy tables a probe has the very matches of its rule, copied as the
// kernel holds them. Only what a probe asks besides has to be put into the
// kernel's form.

// mismatch says why a plan does not fit a table: the listing that it was made
// from tells something else. iptables-restore may know better.
func mismatch(format string, args ...any) error {
	return fmt.Errorf("%w: %s", xtables.ErrUnsupported, fmt.Sprintf(format, args...))
}

// editTable carries the plan out in a table, which must be what the plan was made for.
func (p *Plan) editTable(t *xtables.Table) error {
	chains := map[string]*xtables.Chain{}
	for i := range t.Chains {
		chains[t.Chains[i].Name] = &t.Chains[i]
	}
	listed, _ := p.subject.Rules.Table(t.Name)
	if err := fits(t, chains, listed); err != nil {
		return err
	}
	edits := map[string][]edit{}
	for _, e := range p.edits[t.Name] {
		edits[e.chain] = append(edits[e.chain], e)
	}
	for name, edits := range edits {
		c := chains[name]
		if c == nil {
			return mismatch("table %s has no chain %s", t.Name, name)
		}
		rules, err := editChain(t, c.Rules, edits)
		if err != nil {
			return fmt.Errorf("chain %s: %w", name, err)
		}
		c.Rules = rules
	}
	return nil
}

// fits compares a table with a listing of it: every chain must have as many
// rules, and the same probes at the same places.
func fits(t *xtables.Table, chains map[string]*xtables.Chain, listed ruleset.Table) error {
	rules := map[string][]ruleset.Rule{}
	for _, c := range listed.Chains {
		rules[c.Name] = c.Rules
		if chains[c.Name] == nil {
			return mismatch("table %s has no chain %s", t.Name, c.Name)
		}
	}
	for name, c := range chains {
		if len(c.Rules) != len(rules[name]) {
			return mismatch("chain %s of table %s has %d rules, and not %d", name, t.Name, len(c.Rules), len(rules[name]))
		}
		for i, r := range c.Rules {
			text, _ := t.LogPrefix(r)
			there, _ := ParsePrefix(text)
			if seen, _ := probePrefix(rules[name][i]); there != seen {
				return mismatch("rule %d of chain %s of table %s is another one", i+1, name, t.Name)
			}
		}
	}
	return nil
}

// editChain carries the edits of one chain out.
func editChain(t *xtables.Table, rules []xtables.Rule, edits []edit) ([]xtables.Rule, error) {
	before := map[int][]xtables.Rule{} // what goes in front of the rule at a position
	gone := map[int]bool{}
	end := len(rules) + 1
	for _, e := range edits {
		if e.at > end || e.probe != nil && e.probe.own.at >= end {
			return nil, mismatch("there are only %d rules", len(rules))
		}
		if e.gone != nil {
			gone[e.at] = true
			continue
		}
		r, err := e.probe.compile(t, rules)
		switch {
		case err != nil:
			return nil, err
		case e.at == 0:
			before[end] = append(before[end], r)
		default: // as insertions one after the other at the same place would come to stand
			before[e.at] = slices.Insert(before[e.at], 0, r)
		}
	}
	out := make([]xtables.Rule, 0, len(rules)+len(edits))
	for i, r := range rules {
		out = append(out, before[i+1]...)
		if !gone[i+1] {
			out = append(out, r)
		}
	}
	return append(out, before[end]...), nil
}

// compile makes the rule that the probe is.
func (n *newProbe) compile(t *xtables.Table, rules []xtables.Rule) (xtables.Rule, error) {
	if n.kind == trace.Ask { // the trace of the legacy tables goes to the kernel's log
		return xtables.Rule{}, mismatch("a probe for the kernel's trace is no NFLOG rule")
	}
	log := xtables.Log{Group: n.group, Prefix: n.prefix, Match: n.match}
	if n.own.at == 0 {
		return t.NewLog(log)
	}
	like := rules[n.own.at-1]
	modules := t.Modules(like)
	log.Like = &like
	if len(modules) != len(n.own.parts)-1 {
		return like, mismatch("rule %d has the matches %v", n.own.at, modules)
	}
	for i, part := range n.own.parts[1:] {
		if modules[i] != part.module && modules[i] != alias[part.module] {
			return like, mismatch("rule %d has the matches %v", n.own.at, modules)
		}
		if part.pure() {
			log.Keep = append(log.Keep, i)
		}
	}
	var ok bool
	if log.Match, ok = besides(n.match, n.own.parts); !ok {
		return like, mismatch("rule %d does not have the matches %v", n.own.at, n.match)
	}
	return t.NewLog(log)
}

// alias holds what iptables-save calls otherwise than the kernel
// (extensions/libxt_conntrack.c).
var alias = map[string]string{"state": "conntrack"}

// besides is what matches ask besides those that a rule has of its own. A
// filter puts its matches in front, and the protocol in front of all
// (filter.Narrow).
func besides(match []string, parts []part) (words []string, ok bool) {
	own := sideEffectFree(parts)
	if slices.Equal(match, own) {
		return nil, true
	}
	i := slices.Index(parts[0].words, "-p")
	if i < 0 {
		return without(match, own)
	}
	from, to := i, min(i+2, len(own))
	if i > 0 && own[i-1] == "!" {
		from--
	}
	if words, ok = without(match, slices.Concat(own[:from], own[to:])); !ok {
		return nil, false
	}
	if proto := own[from:to]; len(words) >= len(proto) && slices.Equal(words[:len(proto)], proto) {
		words = words[len(proto):] // the copied rule asks for it already
	}
	return words, true
}

// without is words without their end.
func without(words, end []string) (begin []string, ok bool) {
	n := len(words) - len(end)
	if n < 0 || !slices.Equal(words[n:], end) {
		return nil, false
	}
	return words[:n], true
}

// probesOf says which log prefixes are those of probes of some runs.
func probesOf(ofRun func(run string) bool) func(prefix string) bool {
	return func(prefix string) bool {
		p, ok := ParsePrefix(prefix)
		return ok && ofRun(p.Run)
	}
}

// legacyTables lists the tables to look for probes in: those that there are, or
// all of them where the list may not be read.
func legacyTables(names []trace.Table, err error) []trace.Table {
	if err != nil {
		return trace.Tables()
	}
	return slices.DeleteFunc(trace.Tables(), func(t trace.Table) bool { return !slices.Contains(names, t) })
}
