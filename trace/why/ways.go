package why

import (
	"net/netip"
	"slices"

	"packetwalk/trace/host"
)

// wayTo is the interface by which a node sends to an address; empty where that
// cannot be told.
func (c *Case) wayTo(node string, to netip.Addr) string {
	if d, ok := c.Ask(node, host.Query{Dst: to}); ok && d.Err == "" && d.Interface != "" {
		return d.Interface
	}
	return c.connected(node, to)
}

// connected is the interface of a node with a network that an address is of;
// empty where there is none.
func (c *Case) connected(node string, a netip.Addr) string {
	for _, l := range c.Hosts[node].Links {
		if onLink(l, a.WithZone("")) {
			return l.Name
		}
	}
	return ""
}

// isBridge says whether an interface of a node is a bridge, or one that Docker's
// rules treat as such.
func (c *Case) isBridge(node, name string) bool {
	if l, ok := c.Hosts[node].Link(name); ok && l.Kind == "bridge" {
		return true
	}
	for _, rules := range c.Rules[node] {
		for _, t := range rules.Tables {
			for _, chain := range t.Chains {
				for _, r := range chain.Rules {
					if r.Target == "DOCKER" && slices.Equal(r.Match, []string{"-o", name}) {
						return true
					}
				}
			}
		}
	}
	return false
}

// bridged says whether a step is of a packet that only crosses a bridge: bridge
// netfilter shows it to iptables, and tells the ports behind the bridge on both
// sides (br_nf_forward_ip in net/bridge/br_netfilter_hooks.c); of one that is
// routed only that by which it came.
func bridged(in, out, physOut string) bool { return in != "" && in == out && physOut != "" }
