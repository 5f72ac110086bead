package why

import (
	"slices"
	"strconv"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

// userChain is where Docker leaves room for rules of one's own: what stands in
// its other chains is written anew when it starts.
const userChain = "DOCKER-USER"

// exception is a rule that lets a packet pass where another would stop it.
type exception struct {
	table trace.Table
	chain string
	at    int // the number that it gets; 0 stands at the end
	spec  []string
	// target is ACCEPT or RETURN, with its options.
	target []string
}

// command is the exception as one types it behind the name of the command.
func (e exception) command(iptables string) string {
	words := []string{iptables}
	if e.table != trace.Filter {
		words = append(words, "-t", string(e.table))
	}
	if e.at == 0 {
		words = append(words, "-A", e.chain)
	} else {
		words = append(words, "-I", e.chain, strconv.Itoa(e.at))
	}
	return ruleset.Join(slices.Concat(words, e.spec, []string{"-j"}, e.target))
}

// into is a ruleset with the exception in it.
func (e exception) into(rules ruleset.Ruleset) ruleset.Ruleset {
	out := ruleset.Ruleset{Tables: slices.Clone(rules.Tables)}
	for i, t := range out.Tables {
		if t.Name != e.table {
			continue
		}
		out.Tables[i].Chains = slices.Clone(t.Chains)
		for k, chain := range t.Chains {
			if chain.Name == e.chain {
				at := len(chain.Rules)
				if e.at > 0 {
					at = min(e.at-1, at)
				}
				rule := ruleset.Rule{Match: e.spec, Target: e.target[0], Options: e.target[1:]}
				out.Tables[i].Chains[k].Rules = slices.Insert(slices.Clone(chain.Rules), at, rule)
			}
		}
	}
	return out
}

// opener gathers the commands that let packets pass the rules of a node.
type opener struct {
	c        *Case
	iptables string
	rules    ruleset.Ruleset
	commands []string
	// apart is the first rule that keeps networks apart (keepsApart) and that a
	// packet was let past; nil where there was none.
	apart *trace.Step
}

func (c *Case) opener(node string, v trace.Variant) *opener {
	return &opener{c: c, iptables: c.Iptables(node, v), rules: c.Rules[node][v]}
}

func (o *opener) put(e exception) {
	o.rules = e.into(o.rules)
	o.commands = append(o.commands, e.command(o.iptables))
}

// mostExceptions is how many exceptions one packet gets in one table.
const mostExceptions = 8

// pass lets a packet pass a table, as far as it can be told what stops it there.
func (o *opener) pass(table trace.Table, p passage) {
	for range mostExceptions {
		f := o.c.fate(o.rules, table, p)
		if !f.stops() {
			return
		}
		if s := o.ruleOf(table, f, p); o.apart == nil && keepsApart(s) {
			o.apart = &s
		}
		o.put(o.exception(table, f, p))
	}
}

// ruleOf is the step of a packet at which its fate is decided.
func (o *opener) ruleOf(table trace.Table, f fate, p passage) trace.Step {
	s := p.Step
	s.Table, s.Chain, s.Rule, s.Text, s.Policy = table, f.chain, f.rule, "", f.rule == 0
	if chain, ok := o.rules.Chain(table, f.chain); ok && f.rule > 0 {
		s.Text = chain.Rules[f.rule-1].Text
	}
	return s
}

// keepsApart says whether a rule is one by which Docker keeps a network apart from
// all that is outside of it, published ports included. Those of Docker 28 behind
// the published ports (keepsToBridge) do not.
func keepsApart(s trace.Step) bool {
	return s.Rule > 0 && (strings.HasPrefix(s.Chain, "DOCKER-ISOLATION-") || s.Chain == "DOCKER-INTERNAL")
}

// exception is the rule in front of what stops a packet.
func (o *opener) exception(table trace.Table, f fate, p passage) exception {
	e := exception{table: table, chain: f.chain, at: f.rule, spec: p.spec(), target: []string{string(trace.Accept)}}
	chain, _ := o.rules.Chain(table, f.chain)
	_, user := o.rules.Chain(table, userChain)
	better := e
	switch {
	case user && isDockers(f.chain) && p.Hook == trace.Forward && table == trace.Filter:
		better.chain, better.at = userChain, 1
	case f.rule > 0 && !chain.Base():
		better.target = []string{string(trace.Return)}
	}
	if o.c.fate(better.into(o.rules), table, p).stops() {
		return e
	}
	return better
}

// isDockers says whether Docker writes the chain.
func isDockers(chain string) bool {
	return chain == "DOCKER" || strings.HasPrefix(chain, "DOCKER-") && chain != userChain
}

// letThrough lets the packet of a walk, and where it is the request its answer
// too, pass the node in which a rule or policy stopped it.
func (c *Case) letThrough(w *trace.Walk, end trace.Step) Fix {
	o := c.opener(end.Node, end.Variant)
	p := c.coming(w, end)
	f := fate{verdict: end.Verdict, chain: end.Chain, rule: end.Rule}
	if end.Policy {
		f.rule = 0
	}
	o.put(o.exception(end.Table, f, p))
	o.pass(end.Table, p)
	if on, ok := c.onwards(p); ok {
		p = on
	}
	o.pass(trace.Filter, p)
	if back, ok := p.answer(); ok && !p.back {
		o.pass(end.Table, back)
		if end.Table != trace.Filter {
			o.pass(trace.Filter, back)
		}
	}
	return Fix{Node: end.Node, Commands: o.commands}
}

// onwards is a packet in PREROUTING as it would come to the next hook, with the
// destination that the nat table would give it.
func (c *Case) onwards(p passage) (on passage, ok bool) {
	if p.Hook != trace.Prerouting {
		return p, false
	}
	if p.CTState != trace.Untracked {
		p.CTState = trace.New
		if p.Dst, ok = c.translation(p); !ok {
			return p, false
		}
	}
	p.Hook = trace.Forward
	if c.Hosts[p.Node].Owns(p.Dst.Addr()) {
		p.Hook = trace.Input
		return p, true
	}
	p.Out = c.wayTo(p.Node, p.Dst.Addr())
	return p, p.Out != ""
}
