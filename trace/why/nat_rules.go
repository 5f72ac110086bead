package why

import (
	"net/netip"
	"slices"
	"strconv"

	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

// natRule is a rule of a nat table that rewrites packets.
type natRule struct {
	ruleset.Rule
	node    string
	variant trace.Variant
	chain   string
	number  int
}

func (r natRule) culprit() Culprit {
	return Culprit{Kind: Rule, Node: r.node, Variant: r.variant.String(), Table: trace.NAT, Chain: r.chain, Rule: r.number, Text: r.Text}
}

// to is where a DNAT or REDIRECT rule sends a packet that is addressed to dst;
// ok is false where it does not name one address and one port.
func (r natRule) to(dst netip.AddrPort) (to netip.AddrPort, ok bool) {
	i := slices.IndexFunc(r.Options, func(o string) bool { return o == "--to-destination" || o == "--to-ports" })
	if i < 0 || i+1 == len(r.Options) {
		return dst, r.Target == string(trace.Redirect)
	}
	text := r.Options[i+1]
	if r.Target == string(trace.Redirect) {
		port, err := strconv.ParseUint(text, 10, 16)
		return netip.AddrPortFrom(dst.Addr(), uint16(port)), err == nil
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(addr, dst.Port()), true
	}
	to, err := netip.ParseAddrPort(text)
	return to, err == nil
}

// replaced is the command that has a DNAT or REDIRECT rule lead to another place,
// and leaves the rest of it as it is.
func (r natRule) replaced(iptables string, to netip.AddrPort) string {
	option, value := "--to-destination", to.String()
	if r.Target == string(trace.Redirect) {
		option, value = "--to-ports", strconv.Itoa(int(to.Port()))
	}
	options := slices.Clone(r.Options)
	if i := slices.Index(options, option); i >= 0 && i+1 < len(options) {
		options[i+1] = value
	} else {
		options = append(options, option, value)
	}
	words := slices.Concat([]string{iptables, "-t", string(trace.NAT), "-R", r.chain, strconv.Itoa(r.number)}, r.Match, []string{"-j", r.Target}, options)
	return ruleset.Join(words)
}

// rewritesDestination says whether a target is one of destination NAT, at the
// hooks where that happens.
func rewritesDestination(target string) bool {
	v := trace.Verdict(target)
	return v == trace.DNAT || v == trace.Redirect
}

// natRules lists the rules of a node's nat tables with the targets that are
// asked for, of the chains that a hook leads to.
func (c *Case) natRules(node string, hook trace.Hook, wanted func(target string) bool) []natRule {
	var all []natRule
	for _, v := range []trace.Variant{trace.Legacy, trace.NFTables} {
		rules := c.Rules[node][v]
		table, _ := rules.Table(trace.NAT)
		for _, chain := range table.Chains {
			if !calls(rules, hook.String(), chain.Name, 0) {
				continue
			}
			for i, r := range chain.Rules {
				if wanted(r.Target) {
					all = append(all, natRule{r, node, v, chain.Name, i + 1})
				}
			}
		}
	}
	return all
}

// calls says whether a chain of the nat table is another, or leads to it.
func calls(rules ruleset.Ruleset, from, to string, depth int) bool {
	if from == to {
		return true
	}
	chain, _ := rules.Chain(trace.NAT, from)
	return depth < deepest && slices.ContainsFunc(chain.Rules, func(r ruleset.Rule) bool { return calls(rules, r.Target, to, depth+1) })
}

// ruleOf is the nat rule of a step, or the one that connection tracking
// remembered there.
func (c *Case) ruleOf(s trace.Step) (natRule, bool) {
	chain, number := s.Chain, s.Rule
	if s.Remembered != nil {
		chain, number = s.Remembered.Chain, s.Remembered.Rule
	}
	for _, v := range []trace.Variant{trace.Legacy, trace.NFTables} {
		if s.Remembered == nil && v != s.Variant {
			continue
		}
		found, _ := c.Rules[s.Node][v].Chain(trace.NAT, chain)
		if number > 0 && number <= len(found.Rules) && (s.Text == "" || found.Rules[number-1].Text == s.Text) {
			return natRule{found.Rules[number-1], s.Node, v, chain, number}, true
		}
	}
	return natRule{}, false
}

// publishedFor lists the ports of a node that DNAT rules send to an address.
func (c *Case) publishedFor(node string, proto trace.Proto, to netip.AddrPort) []string {
	var ports []string
	for _, r := range c.natRules(node, trace.Prerouting, rewritesDestination) {
		port := optionOf(r.Match, "--dport")
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || optionOf(r.Match, "-p") != proto.String() {
			continue
		}
		if have, ok := r.to(netip.AddrPortFrom(to.Addr(), uint16(n))); ok && have == to {
			ports = append(ports, port)
		}
	}
	return ports
}

// natVariant is the implementation of iptables that translates in a node: that
// which has rules in its nat table, the node's own where none or both have.
func (c *Case) natVariant(node string) trace.Variant {
	var have []trace.Variant
	for v, rules := range c.Rules[node] {
		table, _ := rules.Table(trace.NAT)
		if slices.ContainsFunc(table.Chains, func(chain ruleset.Chain) bool { return len(chain.Rules) > 0 }) {
			have = append(have, v)
		}
	}
	if len(have) == 1 {
		return have[0]
	}
	return c.Default[node]
}

// optionOf is the value of a match; empty where the rule has none, or not this.
func optionOf(match []string, name string) string {
	i := slices.Index(match, name)
	if i < 0 || i+1 == len(match) || i > 0 && match[i-1] == "!" {
		return ""
	}
	return match[i+1]
}
