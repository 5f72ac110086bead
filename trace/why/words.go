package why

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/host"
)

// ip is the command of iproute2 for the family of the question.
func (c *Case) ip() string {
	if c.Family() == trace.IPv6 {
		return "ip -6"
	}
	return "ip"
}

// iptables is the plain command for the family of the question.
func (c *Case) iptables() string {
	if c.Family() == trace.IPv6 {
		return "ip6tables"
	}
	return "iptables"
}

// iptablesOf is the command that is always of a variant.
func (c *Case) iptablesOf(v trace.Variant) string { return c.iptables() + "-" + v.String() }

// Iptables is the command for the rules of a node that a variant holds: the
// plain one where that is the node's own.
func (c *Case) Iptables(node string, v trace.Variant) string {
	if own, ok := c.Default[node]; ok && own == v {
		return c.iptables()
	}
	return c.iptablesOf(v)
}

// table is the iptables command for the table of a step.
func (c *Case) table(s trace.Step) string {
	command := c.Iptables(s.Node, s.Variant)
	if s.Table != trace.Filter {
		command += " -t " + string(s.Table)
	}
	return command
}

// routeQuery is a query in the words of ip-route(8).
func routeQuery(q host.Query) string {
	text := q.Dst.String() + fromWords(q.Src)
	if q.In != "" {
		text += " iif " + q.In
	}
	if q.Mark != 0 {
		text += fmt.Sprintf(" mark %#x", q.Mark)
	}
	return text
}

func fromWords(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return " from " + a.String()
}

// single is a single address in the words of iptables.
func single(a netip.Addr) string { return netip.PrefixFrom(a, a.BitLen()).String() }

// bare is an address without its zone, as the tools take it.
func bare(a netip.Addr) string { return a.WithZone("").String() }

// endpoint is an address with its port, where it has one, as people write it.
func endpoint(a netip.AddrPort) string {
	return trace.Address(netip.AddrPortFrom(a.Addr().WithZone(""), a.Port()))
}

func itoa(n int) string { return strconv.Itoa(n) }

func joinPorts(ports []uint16) string {
	var words []string
	for _, p := range ports {
		words = append(words, fmt.Sprint(p))
	}
	return strings.Join(words, ", ")
}

// stateOf is what was read of a node, as evidence.
func (c *Case) stateOf(node, text string) Fact {
	return Fact{Kind: StateOf, Step: -1, Values: Values{"node": node, "text": text}}
}

// about is the fact of a kind that a node has something for an address.
func about(kind FactKind, node string, to netip.Addr, text string) Fact {
	return Fact{Kind: kind, Step: -1, Values: Values{"node": node, "to": bare(to), "text": text}}
}

// ruleFact is a rule as evidence.
func ruleFact(s trace.Step) Fact {
	return Fact{Kind: RuleStands, Step: -1, Values: Values{
		"node": s.Node, "table": string(s.Table), "chain": s.Chain, "rule": fmt.Sprint(s.Rule), "text": s.Text,
	}}
}

// withoutLength is a prefix as people write it: a single address without its length.
func withoutLength(prefix string) string {
	if p, err := netip.ParsePrefix(prefix); err == nil && p.IsSingleIP() {
		return p.Addr().String()
	}
	return prefix
}
