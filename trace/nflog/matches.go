package nflog

import "packetwalk/trace/ruleset"

// pure holds the match modules that look at a packet and change nothing, so
// that asking twice gives the same answer twice. The list is argued from the
// modules' sources in net/netfilter/xt_*.c and net/ipv4/netfilter/ipt_*.c: they
// read the packet, its conntrack entry, a socket, an interface or the clock.
//
// Not in it, because each keeps a state that a look advances: connlimit (makes
// and collects its counts), hashlimit, limit, nfacct, quota, rateest (reads an estimator that time moves), recent,
// set (counts and touches the entry that matched), statistic. A module that the
// list does not know is taken for one of these.
var pure = map[string]bool{
	"addrtype": true, "ah": true, "bpf": true, "cgroup": true, "comment": true, "connbytes": true, "connmark": true,
	"conntrack": true, "cpu": true, "devgroup": true, "dscp": true, "dst": true, "ecn": true, "esp": true, "eui64": true,
	"frag": true, "hbh": true, "helper": true, "hl": true, "icmp": true, "icmp6": true, "icmpv6": true, "iprange": true,
	"ipv6header": true, "l2tp": true, "length": true, "mac": true, "mark": true, "mh": true, "multiport": true, "owner": true,
	"physdev": true, "pkttype": true, "policy": true, "realm": true, "rpfilter": true, "rt": true, "sctp": true, "socket": true,
	"state": true, "string": true, "tcp": true, "tcpmss": true, "time": true, "tos": true, "ttl": true, "u32": true, "udp": true,
	"udplite": true,
}

// repeatable says whether the matches of a rule may be run once more by a probe in front of it.
func repeatable(r ruleset.Rule) bool {
	for _, m := range r.Modules() {
		if !pure[m] {
			return false
		}
	}
	return true
}
