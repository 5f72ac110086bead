package trace

import (
	"fmt"
	"slices"
)

// Hook is one of the five places in the IP stack where netfilter looks at a
// packet. The numbers are the kernel's (enum nf_inet_hooks in
// include/uapi/linux/netfilter.h).
//
//	from a device                                 to a device
//	      |                                             ^
//	      v                                             |
//	PREROUTING --> routing --> FORWARD ---------> POSTROUTING
//	                  |                                 ^
//	                  v                                 |
//	                INPUT                             OUTPUT
//	                  |                                 ^
//	                  v                                 |
//	            a local socket ----------------> routing
type Hook uint8

// The five hooks.
const (
	Prerouting Hook = iota
	Input
	Forward
	Output
	Postrouting
	numHooks
)

var hookNames = [numHooks]string{"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"}

// Hooks lists the five hooks in the kernel's order.
func Hooks() []Hook { return []Hook{Prerouting, Input, Forward, Output, Postrouting} }

// String is the hook's name, which is also the name of iptables' base chains on it.
func (h Hook) String() string {
	if h < numHooks {
		return hookNames[h]
	}
	return fmt.Sprintf("HOOK%d", uint8(h))
}

// HookOf finds the hook whose base chains carry this name.
func HookOf(chain string) (Hook, bool) {
	i := slices.Index(hookNames[:], chain)
	return Hook(max(i, 0)), i >= 0
}

// Table is an iptables table, or ConntrackTable for what connection tracking
// does on its own, between the tables.
type Table string

// The five tables of iptables, and the stand-in for connection tracking, which
// rewrites addresses without visiting a table.
const (
	Raw            Table = "raw"
	Mangle         Table = "mangle"
	NAT            Table = "nat"
	Filter         Table = "filter"
	Security       Table = "security"
	ConntrackTable Table = "conntrack"
)

// Variant says which of the kernel's two implementations of iptables holds a
// ruleset.
type Variant uint8

// The two variants.
const (
	Legacy   Variant = iota // ip_tables: iptables-legacy
	NFTables                // nf_tables: iptables-nft
)

// String is the variant's name behind that of its commands: iptables-legacy, iptables-nft.
func (v Variant) String() string {
	if v == NFTables {
		return "nft"
	}
	return "legacy"
}

// hooksOf holds the hooks on which each table has a base chain.
var hooksOf = map[Table][]Hook{
	Raw:      {Prerouting, Output},
	Mangle:   {Prerouting, Input, Forward, Output, Postrouting},
	NAT:      {Prerouting, Input, Output, Postrouting},
	Filter:   {Input, Forward, Output},
	Security: {Input, Forward, Output},
}

// Tables lists the five tables, in the order in which a packet can first meet them.
func Tables() []Table { return []Table{Raw, Mangle, NAT, Filter, Security} }

// HooksOf lists the hooks on which the table has a base chain.
func HooksOf(t Table) []Hook { return slices.Clone(hooksOf[t]) }

// TablesAt lists the tables that have a base chain on the hook, in the order in
// which a packet visits them.
func (v Variant) TablesAt(h Hook) []Table {
	tables := slices.DeleteFunc(Tables(), func(t Table) bool { return !slices.Contains(hooksOf[t], h) })
	slices.SortFunc(tables, func(a, b Table) int {
		p, _ := v.Priority(h, a)
		q, _ := v.Priority(h, b)
		return p - q
	})
	return tables
}

// Priority is the place of a table among the hook's callbacks: lower comes
// first, and tables of the two variants share a place. ok is false for a table
// that has no base chain on the hook.
//
// The numbers are those of enum nf_ip_hook_priorities in
// include/uapi/linux/netfilter_ipv4.h, where connection tracking itself has
// -200. iptables-nft gives the security table 150 instead of 50 (xtables_ipv4
// in iptables/nft.c), which puts it behind source NAT.
func (v Variant) Priority(h Hook, t Table) (priority int, ok bool) {
	switch {
	case !slices.Contains(hooksOf[t], h):
		return 0, false
	case t == Raw:
		return -300, true
	case t == Mangle:
		return -150, true
	case t == NAT && (h == Prerouting || h == Output): // destination NAT
		return -100, true
	case t == NAT:
		return 100, true
	case t == Security && v == NFTables:
		return 150, true
	case t == Security:
		return 50, true
	}
	return 0, true // filter
}
