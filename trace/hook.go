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

// tablesAt is the order in which a hook visits the tables: ascending priority,
// from enum nf_ip_hook_priorities in include/uapi/linux/netfilter_ipv4.h (raw
// -300, mangle -150, destination NAT -100, filter 0, security 50, source NAT
// 100). Connection tracking itself sits at -200, between raw and mangle.
var tablesAt = [numHooks][]Table{
	Prerouting:  {Raw, Mangle, NAT},
	Input:       {Mangle, Filter, Security, NAT},
	Forward:     {Mangle, Filter, Security},
	Output:      {Raw, Mangle, NAT, Filter, Security},
	Postrouting: {Mangle, NAT},
}

// nftInput is where iptables-nft differs: it gives the security table priority
// 150 (xtables_ipv4 in iptables/nft.c), which puts it behind source NAT.
var nftInput = []Table{Mangle, Filter, NAT, Security}

// Tables lists the five tables, in the order in which a packet can first meet them.
func Tables() []Table { return []Table{Raw, Mangle, NAT, Filter, Security} }

// TablesAt lists the tables that have a base chain on the hook, in the order in
// which a packet visits them.
func (v Variant) TablesAt(h Hook) []Table {
	switch {
	case h >= numHooks:
		return nil
	case v == NFTables && h == Input:
		return slices.Clone(nftInput)
	}
	return slices.Clone(tablesAt[h])
}

// HooksOf lists the hooks on which the table has a base chain.
func HooksOf(t Table) []Hook {
	var hooks []Hook
	for _, h := range Hooks() {
		if slices.Contains(tablesAt[h], t) {
			hooks = append(hooks, h)
		}
	}
	return hooks
}

// Priority is the place of a table among the hook's callbacks: lower comes
// first, and tables of the two variants share a place. Source and destination
// NAT stand on different sides of filter. ok is false for a table that has no
// base chain on the hook.
func (v Variant) Priority(h Hook, t Table) (priority int, ok bool) {
	if !slices.Contains(HooksOf(t), h) {
		return 0, false
	}
	switch t {
	case Raw:
		return -300, true
	case Mangle:
		return -150, true
	case NAT:
		if h == Prerouting || h == Output {
			return -100, true
		}
		return 100, true
	case Security:
		if v == NFTables {
			return 150, true
		}
		return 50, true
	}
	return 0, true
}

// TablesAt is the order of Legacy, which the two variants share but for INPUT.
func TablesAt(h Hook) []Table { return Legacy.TablesAt(h) }
