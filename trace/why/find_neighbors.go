package why

import (
	"net/netip"
	"slices"
	"strings"

	"packetwalk/trace/host"
	"packetwalk/trace/ruleset"
)

// findWrongNeighbor is an entry of the neighbour table with a hardware address
// that is not that of the address's owner.
func findWrongNeighbor(c *Case) *Finding {
	x, ok := c.crossing()
	if !ok || x.to == (host.Port{}) || !c.hears(x.from, x.to) {
		return nil
	}
	n, ok := c.neighbor(x.from, x.hop)
	if !ok || n.MAC == "" || c.link(x.to).MAC == "" || strings.EqualFold(n.MAC, c.link(x.to).MAC) || len(c.holders(x.hop)) > 1 {
		return nil
	}
	return &Finding{
		Culprit: Culprit{Kind: Neighbor, Node: x.from.Node, Text: n.String()},
		Fix:     Fix{Node: x.from.Node, Commands: []string{"ip neigh del " + x.hop.String() + " dev " + x.from.Interface}},
		Values:  Values{"hop": x.hop.String(), "mac": n.MAC, "owner": x.to.Node, "ownermac": c.link(x.to).MAC},
	}
}

// findTargetGone is a rule that translated the destination to an address in a
// network of the node in which nobody has it.
func findTargetGone(c *Case) *Finding {
	x, ok := c.crossing()
	if !ok || !c.unheard(x) || x.to != (host.Port{}) {
		return nil
	}
	t, ok := translated(x.walk)
	if !ok || t.Rule == 0 || t.Dst.Addr() != x.hop {
		return nil
	}
	f := &Finding{Culprit: culpritOf(t), Values: Values{"to": x.hop.String()}, Facts: c.askedFor(x)}
	now, ok := c.moved(x, t.Dst)
	if rule, err := ruleset.ParseRule(t.Text); ok && err == nil {
		r := natRule{rule, t.Node, t.Variant, t.Chain, t.Rule}
		f.Fix = Fix{Node: t.Node, Commands: []string{r.replaced(c.Iptables(t.Node, t.Variant), now)}}
		f.Values["now"] = now.String()
	}
	return f
}

// askedFor is what the node knows of the address that it asked for.
func (c *Case) askedFor(x crossing) []Fact {
	if n, ok := c.neighbor(x.from, x.hop); ok {
		return []Fact{about(KnowsNeighbor, x.from.Node, x.hop, n.String())}
	}
	return nil
}

// moved is where the service behind an address has gone: the only node of the
// segment in which a socket takes the port.
func (c *Case) moved(x crossing, was netip.AddrPort) (now netip.AddrPort, ok bool) {
	var found []netip.AddrPort
	for _, node := range c.nodes() {
		for _, l := range c.Hosts[node].Links {
			if node == x.from.Node || !c.hears(x.from, port(node, l.Name)) {
				continue
			}
			for _, p := range l.Addresses {
				at := netip.AddrPortFrom(p.Addr(), was.Port())
				if p.Addr().Is4() == was.Addr().Is4() && slices.ContainsFunc(c.Sockets(node), func(s host.Socket) bool { return s.Takes(s.Proto, at) }) {
					found = append(found, at)
				}
			}
		}
	}
	if len(found) != 1 {
		return netip.AddrPort{}, false
	}
	return found[0], true
}

// findNeighborSilent is a next hop whose hardware address nobody tells.
func findNeighborSilent(c *Case) *Finding {
	x, ok := c.crossing()
	if !ok || !c.unheard(x) {
		return nil
	}
	// The kernel says so a moment later, or said so a moment ago.
	n := host.Neighbor{Addr: x.hop, Interface: x.from.Interface, State: "failed"}
	f := &Finding{Culprit: Culprit{Kind: Neighbor, Node: x.from.Node, Text: n.String()}, Values: Values{"hop": x.hop.String(), "dev": x.from.Interface}}
	f.Fix = c.overAnother(x)
	if x.to != (host.Port{}) {
		f.Unseen = c.bridgesOnWire(x)
	}
	return f
}

// overAnother is the way over a gateway that does lead there, where one is known.
func (c *Case) overAnother(x crossing) Fix {
	dst := x.walk.Steps[x.step].Dst.Addr()
	if x.hop == dst {
		return Fix{}
	}
	hop, ok := c.toward(x.from.Node, dst)
	if !ok || hop.Via == x.hop {
		return Fix{}
	}
	return c.overWay(decision{node: x.from.Node, query: host.Query{Dst: dst}}, hop)
}

// bridgesOnWire says what would show why a neighbour is not heard that is there:
// what bridges filter is not read.
func (c *Case) bridgesOnWire(x crossing) []Fact {
	var facts []Fact
	for _, p := range c.wire(x.from, x.to) {
		l := c.link(p)
		if l.Kind != "bridge" {
			continue
		}
		command := "nft list tables bridge; ebtables -L"
		if l.VLANFiltering {
			command = "bridge vlan show"
		}
		facts = append(facts, Fact{Kind: WouldShow, Step: -1, Values: Values{"command": command, "node": p.Node}})
	}
	return facts
}
