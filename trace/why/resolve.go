package why

import (
	"net/netip"
	"slices"

	"packetwalk/trace/host"
)

// Resolve finds the address of a target among hosts: an address as it is, the
// name of a node, or, where there is no name, the only node of kind "host". Of
// several addresses that a node has, one in a network that the sender is in
// comes first, then IPv4, then the order of its interfaces. ok is false where the
// name is nobody's.
func (w Wanted) Resolve(hosts map[string]host.State, kinds map[string]string, from string) (a netip.Addr, ok bool) {
	if a, err := netip.ParseAddr(w.Host); err == nil {
		return a.Unmap(), true
	}
	node := w.Host
	if node == "" {
		node = onlyHost(kinds)
	}
	all := addresses(hosts[node])
	slices.SortStableFunc(all, func(a, b netip.Addr) int { return rank(hosts[from], a) - rank(hosts[from], b) })
	if len(all) == 0 {
		return netip.Addr{}, false
	}
	return all[0], true
}

// onlyHost is the node of kind "host" if there is one only.
func onlyHost(kinds map[string]string) string {
	var all []string
	for node, kind := range kinds {
		if kind == "host" {
			all = append(all, node)
		}
	}
	if len(all) != 1 {
		return ""
	}
	return all[0]
}

// addresses are those by which others reach a host.
func addresses(s host.State) []netip.Addr {
	var all []netip.Addr
	for _, l := range s.Links {
		for _, p := range l.Addresses {
			if a := p.Addr(); !a.IsLoopback() && !a.IsLinkLocalUnicast() {
				all = append(all, a)
			}
		}
	}
	return all
}

// rank is lower for addresses that the sender reaches more directly.
func rank(from host.State, a netip.Addr) int {
	for _, l := range from.Links {
		if slices.ContainsFunc(l.Addresses, func(p netip.Prefix) bool { return p.Contains(a) }) {
			return 0
		}
	}
	if a.Is4() {
		return 1
	}
	return 2
}
