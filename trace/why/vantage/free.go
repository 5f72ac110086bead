package vantage

import (
	"fmt"
	"math/big"
	"net/netip"
	"slices"

	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

// candidates are the networks that an outside client's may be a piece of, the
// best first: those set aside for documentation and for benchmarks (RFC 5737,
// RFC 2544, RFC 3849), which are no private addresses to rules that tell these
// apart, and at last some that are (RFC 4193). No machine is reached by them.
var candidates = map[trace.Family][]netip.Prefix{
	trace.IPv4: {
		netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("198.51.100.0/24"),
		netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	},
	trace.IPv6: {
		netip.MustParsePrefix("2001:db8:7077::/48"), netip.MustParsePrefix("2001:db8:ffff::/48"),
		netip.MustParsePrefix("fd70:6163:6b65::/48"),
	},
}

const (
	// tries is how many pieces of a candidate are looked at, each 4 addresses.
	tries = 256
	// A network this short stands for the whole internet, like the two halves of
	// it that VPNs route: it does not use what lies in it.
	shortest4, shortest6 = 7, 15
)

// free finds a network of four addresses that overlaps none of those that are
// used.
func free(family trace.Family, used []netip.Prefix) (netip.Prefix, error) {
	for _, c := range candidates[family] {
		piece := netip.PrefixFrom(c.Addr(), c.Addr().BitLen()-2)
		for range tries {
			if !c.Contains(piece.Addr()) {
				break
			}
			if !slices.ContainsFunc(used, func(u netip.Prefix) bool { return uses(u, piece) }) {
				return piece, nil
			}
			piece = netip.PrefixFrom(plus(piece.Addr(), 4), piece.Bits())
		}
	}
	return netip.Prefix{}, fmt.Errorf("looking for an address for an outside client: this machine has addresses, routes or rules for all of %v; use --from local, --from container, or a real client", candidates[family])
}

// uses says whether what is used overlaps a piece.
func uses(used, piece netip.Prefix) bool {
	shortest := shortest4
	if used.Addr().Is6() {
		shortest = shortest6
	}
	return used.Bits() > shortest && used.Overlaps(piece)
}

// plus is the address n further on.
func plus(a netip.Addr, n int64) netip.Addr {
	sum := new(big.Int).Add(new(big.Int).SetBytes(a.AsSlice()), big.NewInt(n))
	next, _ := netip.AddrFromSlice(sum.FillBytes(make([]byte, a.BitLen()/8))) // the candidates do not end where the addresses do
	return next
}

// named lists the networks and addresses that a ruleset names, ranges by both of
// their ends: its author may have meant something by them.
func named(rules ruleset.Ruleset) []netip.Prefix {
	var all []netip.Prefix
	for _, t := range rules.Tables {
		for _, c := range t.Chains {
			for _, r := range c.Rules {
				for _, word := range slices.Concat(r.Match, r.Options) {
					all = append(all, prefixes(word)...)
				}
			}
		}
	}
	slices.SortFunc(all, netip.Prefix.Compare)
	return slices.Compact(all)
}
