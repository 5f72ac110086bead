package nflog

import (
	"slices"

	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

// pure holds the match modules that look at a packet and change nothing, so
// that asking twice gives the same answer twice. The list is argued from the
// modules' sources in net/netfilter/xt_*.c and net/ipv4/netfilter/ipt_*.c: they
// read the packet, its conntrack entry, a socket, an interface or the clock.
//
// Not in it, because each keeps a state that a look advances: connlimit (makes
// and collects its counts), hashlimit, limit, nfacct, quota, rateest (reads an
// estimator that time moves), recent, set (counts and touches the entry that
// matched), statistic. A module that the list does not know is taken for one of
// these. What options change about it says part.pure.
var pure = map[string]bool{
	"addrtype": true, "ah": true, "bpf": true, "cgroup": true, "comment": true, "connbytes": true, "connmark": true,
	"conntrack": true, "cpu": true, "devgroup": true, "dscp": true, "dst": true, "ecn": true, "esp": true, "eui64": true,
	"frag": true, "hbh": true, "helper": true, "hl": true, "icmp": true, "icmp6": true, "icmpv6": true, "iprange": true,
	"ipv6header": true, "l2tp": true, "length": true, "mac": true, "mark": true, "mh": true, "multiport": true, "owner": true,
	"physdev": true, "pkttype": true, "policy": true, "realm": true, "rpfilter": true, "rt": true, "sctp": true, "socket": true,
	"state": true, "string": true, "tcp": true, "tcpmss": true, "time": true, "tos": true, "ttl": true, "u32": true, "udp": true,
	"udplite": true,
}

// part is a part of a rule's matches: what belongs to one -m or, with no
// module, the packet's own addresses, interfaces and protocol.
type part struct {
	module string
	words  []string // "-m" and the module's name included
	// depends says that a part before it changes what it looks at.
	depends bool
}

// parts takes the matches of a rule apart.
func parts(r ruleset.Rule) []part {
	all := []part{{}}
	for i := 0; i < len(r.Match); i++ {
		from := i
		switch r.Match[i] {
		case "-m", "--match":
			i++
			all = append(all, part{module: r.Match[min(i, len(r.Match)-1)]})
		case "--comment", "--string", "--hex-string":
			i++ // free text: a "-m" in it begins no module
		}
		last := &all[len(all)-1]
		last.words = append(last.words, r.Match[from:min(i+1, len(r.Match))]...)
	}
	for i := range all {
		all[i].depends = slices.ContainsFunc(all[:i], all[i].looksAt)
	}
	return all
}

// looksAt says whether the part looks at what one before it changes: its list,
// or the packet's mark.
func (p part) looksAt(before part) bool {
	sees := p.module == "recent" && before.module == "recent" || p.module == "mark" && before.module == "socket"
	return sees && !before.pure()
}

func (p part) has(word string) bool { return slices.Contains(p.words, word) }

// pure says whether asking twice gives the same answer twice and changes nothing.
func (p part) pure() bool {
	switch p.module {
	case "":
		return true
	case "mark":
		return !p.depends
	case "recent": // writes to its list unless it is told only to look (recent_mt in net/netfilter/xt_recent.c)
		return p.has("--rcheck") && !p.has("--reap") && !p.depends
	case "socket": // can set the packet's mark
		return !p.has("--restore-skmark")
	case "bpf": // a program from the file system can keep state in maps
		return !p.has("--object-pinned")
	}
	return pure[p.module]
}

// certain says whether the part matches every packet, whatever else it does.
func (p part) certain() bool {
	return p.module == "recent" && p.has("--set") && !p.has("!")
}

// repeatable says whether a probe in front of a rule can tell if the rule
// matches, by asking for the part of its matches that is free of side effects.
func repeatable(parts []part) bool {
	return !slices.ContainsFunc(parts, func(p part) bool { return !p.pure() && !p.certain() })
}

// sideEffectFree is the part of a rule's matches that may be run once more.
func sideEffectFree(parts []part) []string {
	var match []string
	for _, p := range parts {
		if p.pure() {
			match = append(match, p.words...)
		}
	}
	return match
}

// tells says whether a probe behind a rule can tell if the rule matched. After
// a target that lets every packet go on, a packet comes there in either case,
// and only that of MARK leaves something behind that a probe reports.
func tells(rule trace.Probe) bool {
	return rule.Verdict != trace.Continue || rule.Target == "MARK"
}
