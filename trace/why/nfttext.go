package why

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"packetwalk/trace"
)

// rulesOut says whether the text of an nft rule shows that it does not match a
// packet. A text that is not understood rules nothing out.
func rulesOut(text string, p passage) bool {
	text = strings.NewReplacer("{", " { ", "}", " } ", ",", " ").Replace(text)
	words := strings.Fields(text)
	for i := range words {
		ask, rest := matchAt(words[i:])
		if ask == nil || len(rest) == 0 {
			continue
		}
		values, not := nftValues(rest)
		if holds, known := oneOf(ask, values, p); known && holds == not {
			return true
		}
	}
	return false
}

// matchAt is the match that begins with the first of the words, and what follows it.
func matchAt(words []string) (ask nftMatch, rest []string) {
	if ask = nftMatches[words[0]]; ask != nil || len(words) == 1 {
		return ask, words[1:]
	}
	return nftMatches[words[0]+" "+words[1]], words[2:]
}

// nftValues are what a match compares with: one value, or those of a set.
func nftValues(words []string) (values []string, not bool) {
	if words[0] == "!=" || words[0] == "==" {
		not = words[0] == "!="
		words = words[1:]
	}
	switch {
	case len(words) == 0:
		return nil, not
	case words[0] != "{":
		return words[:1], not
	}
	end := slices.Index(words, "}")
	return words[1:max(end, 1)], not
}

// oneOf says whether any of the values is the packet's.
func oneOf(ask nftMatch, values []string, p passage) (holds, known bool) {
	known = len(values) > 0
	for _, v := range values {
		h, k := ask(v, p)
		holds, known = holds || h, known && k
	}
	return holds, known
}

// nftMatch says whether a value is the packet's, and whether that can be told.
type nftMatch func(value string, p passage) (holds, known bool)

// nftMatches are the matches that are understood, in the words of nft(8).
var nftMatches = map[string]nftMatch{
	"tcp dport": ofProto(trace.TCP, func(p passage) uint16 { return p.Dst.Port() }),
	"tcp sport": ofProto(trace.TCP, func(p passage) uint16 { return p.Src.Port() }),
	"udp dport": ofProto(trace.UDP, func(p passage) uint16 { return p.Dst.Port() }),
	"udp sport": ofProto(trace.UDP, func(p passage) uint16 { return p.Src.Port() }),
	"ip saddr":  ofFamily(func(p passage) netip.Addr { return p.Src.Addr() }),
	"ip daddr":  ofFamily(func(p passage) netip.Addr { return p.Dst.Addr() }),
	"ip6 saddr": ofFamily(func(p passage) netip.Addr { return p.Src.Addr() }),
	"ip6 daddr": ofFamily(func(p passage) netip.Addr { return p.Dst.Addr() }),
	"iifname":   ofInterface(func(p passage) string { return p.In }),
	"iif":       ofInterface(func(p passage) string { return p.In }),
	"oifname":   ofInterface(func(p passage) string { return p.Out }),
	"oif":       ofInterface(func(p passage) string { return p.Out }),
	"meta l4proto": func(v string, p passage) (bool, bool) {
		return isProto(v, p), true
	},
	"ip protocol": func(v string, p passage) (bool, bool) {
		return isProto(v, p), true
	},
	"ct state": func(v string, p passage) (bool, bool) {
		return strings.EqualFold(v, string(p.CTState)), p.CTState != ""
	},
}

func isProto(v string, p passage) bool {
	return v == p.header.Proto.String() || v == strconv.Itoa(int(p.header.Proto)) || v == "ipv6-icmp" && p.header.Proto == trace.ICMPv6
}

func ofProto(proto trace.Proto, port func(passage) uint16) nftMatch {
	return func(v string, p passage) (holds, known bool) {
		low, high, isRange := strings.Cut(v, "-")
		if !isRange {
			high = low
		}
		from, err1 := strconv.ParseUint(low, 10, 16)
		to, err2 := strconv.ParseUint(high, 10, 16)
		have := uint64(port(p))
		return p.header.Proto == proto && from <= have && have <= to, p.header.Proto != proto || err1 == nil && err2 == nil
	}
}

func ofFamily(addr func(passage) netip.Addr) nftMatch {
	return func(v string, p passage) (holds, known bool) {
		have := addr(p).WithZone("")
		if prefix, err := netip.ParsePrefix(v); err == nil {
			return prefix.Contains(have), true
		}
		want, err := netip.ParseAddr(v)
		return want == have, err == nil
	}
}

func ofInterface(name func(passage) string) nftMatch {
	return func(v string, p passage) (holds, known bool) {
		v = strings.Trim(v, `"`)
		have := name(p)
		if prefix, wild := strings.CutSuffix(v, "*"); wild {
			return strings.HasPrefix(have, prefix), have != ""
		}
		return v == have, have != ""
	}
}
