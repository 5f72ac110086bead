package vantage

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/passed"
	"packetwalk/trace/ruleset"
)

// destinations lists the addresses that rules of the nat table may send a
// request to in the place of its target, whatever interface or sender they ask for.
func destinations(rules ruleset.Ruleset, proto trace.Proto, target netip.AddrPort) []netip.Addr {
	nat, _ := rules.Table(trace.NAT)
	request := trace.Packet{Proto: proto}
	var all []netip.Addr
	for _, c := range nat.Chains {
		for _, r := range c.Rules {
			asked := passed.Compare(trace.Step{Dst: target}, request, r.Match)
			if r.Target == string(trace.DNAT) && !failsOf(asked, "-p", "-d", "--dport", "--dports") {
				all = append(all, translated(r)...)
			}
		}
	}
	return all
}

// failsOf says whether a match with one of the options has failed.
func failsOf(c passed.Comparison, options ...string) bool {
	return slices.ContainsFunc(c.Failed, func(r passed.Reason) bool {
		return slices.ContainsFunc(options, func(o string) bool { return slices.Contains(r.Match, o) })
	})
}

// translated lists the addresses that a DNAT rule names, a range by its ends.
func translated(r ruleset.Rule) []netip.Addr {
	i := slices.Index(r.Options, "--to-destination")
	if i < 0 || i+1 >= len(r.Options) {
		return nil
	}
	var all []netip.Addr
	for _, p := range prefixes(r.Options[i+1]) {
		all = append(all, p.Addr())
	}
	return all
}

// prefixes lists the networks and addresses in a word of a rule: an address,
// ADDRESS/BITS, ADDRESS/MASK, two addresses with a hyphen between them, each
// with or without ports behind it, or several of these with commas between them.
func prefixes(word string) []netip.Prefix {
	var all []netip.Prefix
	for _, item := range strings.Split(word, ",") {
		if addr, err := netip.ParseAddrPort(item); err == nil {
			all = append(all, single(addr.Addr()))
			continue
		}
		if p, ok := network(item); ok {
			all = append(all, p)
			continue
		}
		// "[2001:db8::1-2001:db8::2]:80-90", "192.0.2.1-192.0.2.2:80-90"
		item = strings.TrimPrefix(item, "[")
		item, _, _ = strings.Cut(item, "]")
		low, high, _ := strings.Cut(item, "-")
		if strings.Count(high, ":") == 1 {
			high, _, _ = strings.Cut(high, ":")
		}
		if strings.Count(low, ":") == 1 { // the hyphen is one between ports
			low, _, _ = strings.Cut(low, ":")
		}
		for _, end := range []string{low, high} {
			if a, err := netip.ParseAddr(end); err == nil {
				all = append(all, single(a))
			}
		}
	}
	return all
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// network reads an address, or one with a prefix length or a mask.
func network(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		return single(a), true
	}
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), true
	}
	front, back, _ := strings.Cut(text, "/")
	a, err1 := netip.ParseAddr(front)
	mask, err2 := netip.ParseAddr(back)
	if err1 != nil || err2 != nil || a.BitLen() != mask.BitLen() {
		return netip.Prefix{}, false
	}
	ones, _ := net.IPMask(mask.AsSlice()).Size() // 0 where the mask has holes
	return netip.PrefixFrom(a, ones).Masked(), true
}
