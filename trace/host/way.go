package host

import (
	"cmp"
	"slices"

	"packetwalk/trace"
)

// Way is how a routing decision comes about: the rule of ip-rule(8) that matched
// and the route that it led to. It is worked out from what was read, and so knows
// no more conditions of rules than Choice holds; what the kernel decides is told
// by a Looker.
type Way struct {
	// Choice is the rule that decided; nil where none led anywhere.
	Choice *Choice
	// Route is nil where no route was found, or the rule itself refused.
	Route *Route
	// Err is as in Decision: what a host's own packet would be refused with.
	Err string
}

// refusals are the errnos that go with what a route or rule does (fib_props in
// net/ipv4/fib_semantics.c).
var refusals = map[RouteType]string{Blackhole: "EINVAL", Unreachable: "EHOSTUNREACH", Prohibit: "EACCES"}

// tables of rt_tables, and the rules that every host has until somebody changes
// them (fib_default_rules_init in net/ipv4/fib_rules.c).
const (
	TableDefault = 253
	TableMain    = 254
	TableLocal   = 255
)

var usualChoices = []Choice{
	{Priority: 0, Table: TableLocal, Type: Unicast},
	{Priority: 32766, Table: TableMain, Type: Unicast},
	{Priority: 32767, Table: TableDefault, Type: Unicast},
}

// Usual says whether the rule is one of those that every host has.
func (c Choice) Usual() bool {
	return slices.ContainsFunc(usualChoices, func(u Choice) bool { u.Family = c.Family; return u == c })
}

// Way works out which way a packet takes.
func (s State) Way(q Query) Way {
	for _, c := range s.choices(q.family()) {
		if !c.matches(q) {
			continue
		}
		if err := refusals[c.Type]; err != "" {
			return Way{Choice: &c, Err: err}
		}
		if r := s.InTable(c.Table, q); r != nil && r.Type != Throw {
			return Way{Choice: &c, Route: r, Err: refusals[r.Type]}
		}
	}
	return Way{Err: "ENETUNREACH"}
}

func (q Query) family() trace.Family { return trace.FamilyOf(q.Dst.Unmap()) }

// choices are the rules of a family, in their order.
func (s State) choices(f trace.Family) []Choice {
	var all []Choice
	for _, c := range s.Choices {
		if c.Family == f {
			all = append(all, c)
		}
	}
	if len(all) == 0 { // not read
		for _, c := range usualChoices {
			c.Family = f
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b Choice) int { return cmp.Compare(a.Priority, b.Priority) })
	return all
}

// matches says whether a rule is meant for a packet. The host's own packets come
// in by lo, as far as rules are concerned. A rule with conditions that are not
// known, and one for packets of a socket that is bound to an interface, counts
// as not meant.
func (c Choice) matches(q Query) bool {
	in := cmp.Or(q.In, trace.Loopback)
	switch {
	case c.More, c.Out != "", c.Protocol != 0, c.Port != 0, c.SourcePort != 0, c.Type == "":
		return false
	}
	meant := (!c.Source.IsValid() || c.Source.Contains(q.Src)) &&
		(!c.Destination.IsValid() || c.Destination.Contains(q.Dst)) &&
		(c.In == "" || c.In == in) && q.Mark&c.Mask == c.Mark&c.Mask
	return meant != c.Not
}

// InTable is the route of a table that a packet takes: the longest prefix, and
// among those the smallest metric; nil where the table has none.
func (s State) InTable(table int, q Query) (best *Route) {
	for i, r := range s.Routes {
		switch {
		case r.Family != q.family() || r.Table != table || r.Dead || !r.Matches(q):
		case best == nil, r.Destination.Bits() > best.Destination.Bits(),
			r.Destination.Bits() == best.Destination.Bits() && r.Metric < best.Metric:
			best = &s.Routes[i]
		}
	}
	return best
}

// Matches says whether the route's destination covers the packet's.
func (r Route) Matches(q Query) bool {
	return !r.Destination.IsValid() || r.Destination.Contains(q.Dst.Unmap())
}

// Hops are the next hops of a route; Via is zero where the destination itself is.
func (r Route) Hops() []NextHop {
	if len(r.NextHop) > 0 {
		return r.NextHop
	}
	return []NextHop{{Via: r.Via, Interface: r.Interface}}
}
