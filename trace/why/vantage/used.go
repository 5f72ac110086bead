package vantage

import (
	"net/netip"

	"packetwalk/trace/host"
	"packetwalk/trace/ruleset"
)

// used lists the networks that a machine has to do with: of its addresses and
// neighbours, of the routes of all tables, of the rules that choose between these,
// and of its rulesets.
func used(s host.State, rules []ruleset.Ruleset) []netip.Prefix {
	var all []netip.Prefix
	add := func(p netip.Prefix) {
		if p.IsValid() {
			all = append(all, p)
		}
	}
	for _, l := range s.Links {
		for _, a := range l.Addresses {
			add(a)
		}
	}
	for _, r := range s.Routes {
		add(r.Destination)
		for _, a := range []netip.Addr{r.Via, r.Source} {
			if a.IsValid() {
				add(single(a))
			}
		}
	}
	for _, c := range s.Choices {
		add(c.Source)
		add(c.Destination)
	}
	for _, n := range s.Neighbors {
		add(single(n.Addr))
	}
	for _, r := range rules {
		all = append(all, named(r)...)
	}
	return all
}
