package why

import (
	"packetwalk/trace"
	"packetwalk/trace/passed"
	"packetwalk/trace/ruleset"
)

// fate is what the rules of a table would do to a packet.
type fate struct {
	// verdict is empty where it cannot be told: a match that nobody but the
	// kernel knows stands in the way.
	verdict trace.Verdict
	// chain and rule gave the verdict; rule 0 is the chain's policy.
	chain string
	rule  int
	// met are the rules without a verdict that the packet would match on its way.
	met []ruleset.Rule
}

// stops says whether the packet would come to its end.
func (f fate) stops() bool { return f.verdict == trace.Drop || f.verdict == trace.Reject }

// fate follows a packet through a table as the kernel would.
func (c *Case) fate(rules ruleset.Ruleset, table trace.Table, p passage) fate {
	base, ok := rules.Chain(table, p.Hook.String())
	if !ok {
		return fate{verdict: trace.Accept}
	}
	j := judge{c: c, rules: rules, table: table, passage: p}
	switch f, end := j.chain(base.Name, 0); end {
	case decided:
		f.met = j.met
		return f
	case open:
		return fate{met: j.met}
	}
	return fate{verdict: base.Policy, chain: base.Name, met: j.met}
}

// judge goes through the chains of a table with a packet.
type judge struct {
	c     *Case
	rules ruleset.Ruleset
	table trace.Table
	passage
	met []ruleset.Rule
}

// ending is how a packet leaves a chain.
type ending uint8

const (
	fell    ending = iota // off its end, or by RETURN
	decided               // with a verdict
	open                  // not known
)

// deepest is how many chains may call one another: the kernel allows fewer
// (NFT_JUMP_STACK_SIZE in include/net/netfilter/nf_tables.h is 16).
const deepest = 32

func (j *judge) chain(name string, depth int) (fate, ending) {
	chain, ok := j.rules.Chain(j.table, name)
	if !ok || depth > deepest {
		return fate{}, open
	}
	for i, r := range chain.Rules {
		holds := j.holds(r)
		if holds == no || r.Target == "" {
			continue
		}
		if _, called := j.rules.Chain(j.table, r.Target); called {
			f, end := j.chain(r.Target, depth+1)
			switch {
			case end == fell && !r.Goto:
				continue
			case holds == maybe:
				return fate{}, open
			}
			return f, end
		}
		switch v := trace.Verdict(r.Target); {
		case v.Leaves() && holds == maybe:
			return fate{}, open
		case v == trace.Return:
			return fate{}, fell
		case v.Leaves():
			return fate{verdict: v, chain: name, rule: i + 1}, decided
		case holds == yes:
			j.met = append(j.met, r)
		}
	}
	return fate{}, fell
}

// certainty is whether a rule matches.
type certainty uint8

const (
	no certainty = iota
	maybe
	yes
)

// holds says whether the packet matches a rule, what only its node knows included.
func (j *judge) holds(r ruleset.Rule) certainty {
	found := j.c.compare(j.passage, r.Match)
	switch {
	case len(found.Failed) > 0:
		return no
	case len(found.Unknown) > 0:
		return maybe
	}
	return yes
}

// compare is passed.Compare, and asks the node whether addresses are its own.
func (c *Case) compare(p passage, match []string) passed.Comparison {
	found := passed.Compare(p.Step, p.header, match)
	host, ok := c.Hosts[p.Node]
	if !ok {
		return found
	}
	unknown := found.Unknown
	found.Unknown = nil
	for _, words := range unknown {
		not, option := words[0] == "!", words
		if not {
			option = words[1:]
		}
		addr := p.Dst.Addr()
		if option[0] == "--src-type" {
			addr = p.Src.Addr()
		}
		switch {
		case option[0] != "--src-type" && option[0] != "--dst-type" || len(option) != 2 || option[1] != "LOCAL":
			found.Unknown = append(found.Unknown, words)
		case host.Owns(addr) == not:
			found.Failed = append(found.Failed, passed.Reason{Match: words, Have: addr.String()})
		}
	}
	return found
}
