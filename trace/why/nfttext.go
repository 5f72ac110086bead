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
	for words := nftWords(text); len(words) > 0; words = words[1:] {
		if n := aside(words); n > 0 {
			words = words[n-1:]
			continue
		}
		ask, rest := matchAt(words)
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

// nftWords parts the text of a rule. A string is one word, with its quotes: what
// a comment or a log's prefix says is no match. None where a string has no end.
func nftWords(text string) []string {
	var words []string
	for i, part := range strings.Split(text, `"`) {
		if i%2 == 1 {
			words = append(words, `"`+part+`"`)
			continue
		}
		for _, w := range strings.Fields(strings.NewReplacer("{", " { ", "}", " } ").Replace(part)) {
			if w = strings.Trim(w, ","); w != "" {
				words = append(words, w)
			}
		}
	}
	if strings.Count(text, `"`)%2 == 1 {
		return nil
	}
	return words
}

// aside counts the words of an expression that looks like a match of the packet
// and is none: the addresses of its connection ("ct original ip daddr"), and what
// a routing table has for it ("fib saddr . iif oif").
func aside(words []string) int {
	switch {
	case words[0] == "ct" && len(words) > 2 && (words[1] == "original" || words[1] == "reply"):
		return 3 // what is left of the match is none by itself
	case words[0] == "fib":
		n := 2
		for n < len(words) && words[n] == "." {
			n += 2
		}
		return min(n+1, len(words))
	}
	return 0
}

// matchAt is the match that begins with the first of the words, and what follows it.
func matchAt(words []string) (ask nftMatch, rest []string) {
	if ask = nftMatches[words[0]]; ask != nil || len(words) == 1 {
		return ask, words[1:]
	}
	return nftMatches[words[0]+" "+words[1]], words[2:]
}

// nftValues are what a match compares with: one value, several joined by commas,
// or those of a set.
func nftValues(words []string) (values []string, not bool) {
	if words[0] == "!=" || words[0] == "==" {
		not = words[0] == "!="
		words = words[1:]
	}
	switch {
	case len(words) == 0:
		return nil, not
	case words[0] != "{":
		return strings.Split(words[0], ","), not
	}
	end := slices.Index(words, "}")
	for _, w := range words[1:max(end, 1)] {
		values = append(values, strings.Split(w, ",")...)
	}
	return values, not
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
		return isProto(v, p), isValue(v)
	},
	"ip protocol": func(v string, p passage) (bool, bool) {
		return isProto(v, p), isValue(v)
	},
	"ct state": func(v string, p passage) (bool, bool) {
		return strings.EqualFold(v, string(p.CTState)), p.CTState != "" && isValue(v)
	},
}

// isValue says whether a word is a value itself: not an operator, the name of a
// set, what a map begins with, or a part of a concatenation.
func isValue(word string) bool {
	return word != "vmap" && word != "map" && strings.IndexAny(word, ".@$!&<>=|^") != 0
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
		have, known := name(p), isValue(v)
		v = strings.Trim(v, `"`)
		if prefix, wild := strings.CutSuffix(v, "*"); wild {
			return strings.HasPrefix(have, prefix), have != "" && known
		}
		return v == have, have != "" && known
	}
}
