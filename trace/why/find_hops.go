package why

import (
	"net/netip"
	"strconv"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/host"
	"packetwalk/trace/ruleset"
)

// expired is a packet whose TTL was used up where it was lost.
func (c *Case) expired() (leg, []leg, bool) {
	l, ok := c.lostInside()
	if !ok || l.query().In == "" {
		return leg{}, nil, false
	}
	all := legsOf(l.walk)
	left := int(l.walk.Packet.TTL)
	for _, before := range all {
		left = afterRules(left, before)
		if before.from != l.from && before.forwarded() {
			left--
		}
	}
	return l, all, left <= 1
}

// forwarded says whether a node passed the packet on that was neither its own
// nor only on its way through a bridge.
func (l leg) forwarded() bool { return l.first.Hook == trace.Prerouting && l.left() && !l.bridged() }

// afterRules is a TTL behind the rules of a leg that change it.
func afterRules(ttl int, l leg) int {
	for _, s := range l.steps {
		ttl = ttlSet(s, ttl)
	}
	return ttl
}

// ttlSet is what a TTL or HL rule makes of a TTL (extensions/libipt_TTL.c,
// libip6t_HL.c).
func ttlSet(s trace.Step, ttl int) int {
	if s.Target != "TTL" && s.Target != "HL" {
		return ttl
	}
	words, err := ruleset.Words(s.Text)
	if err != nil || len(words) < 2 {
		return ttl
	}
	n, err := strconv.Atoi(words[len(words)-1])
	if err != nil {
		return ttl
	}
	switch option := words[len(words)-2]; {
	case strings.HasSuffix(option, "-set"):
		return n
	case strings.HasSuffix(option, "-inc"):
		return ttl + n
	case strings.HasSuffix(option, "-dec"):
		return ttl - n
	}
	return ttl
}

// findRoutingLoop is a packet that came back, by the same interface, to a node
// that had passed it on: nodes send it to each other until its TTL is used up.
func findRoutingLoop(c *Case) *Finding {
	type arrival struct {
		node, in string
		dst      netip.AddrPort
	}
	for i := range c.Attempt.Walks {
		w := &c.Attempt.Walks[i]
		if w.Outcome == trace.Delivered || w.Packet.Refuses() {
			continue
		}
		all, seen := legsOf(w), map[arrival]bool{}
		for _, l := range all {
			at := arrival{l.last.Node, l.first.In, l.last.Dst}
			if seen[at] {
				return c.looped(all, at.node)
			}
			seen[at] = l.forwarded()
		}
	}
	return nil
}

// looped blames the node of a loop that could have sent the packet to its
// destination, or else that which it came back to.
func (c *Case) looped(all []leg, again string) *Finding {
	var blamed *Finding
	for _, l := range all {
		if !l.forwarded() {
			continue
		}
		way := c.wayOut(l.last.Node, l.query(), l.last.Out)
		if way.Route == nil {
			continue
		}
		d := decision{node: l.last.Node, query: l.query(), Way: way}
		hop, ok := c.toward(d.node, d.query.Dst)
		f := c.routing(d, Culprit{Kind: Route, Node: d.node, Text: way.Route.String()})
		if used := way.Route.Hops()[0]; ok && hop != used && c.finishes(hop, d) {
			f.Fix = c.overWay(d, hop)
			return f
		}
		if blamed == nil && d.node == again {
			blamed = f
		}
	}
	return blamed
}

// finishes says whether a next hop is the destination itself or leads there.
func (c *Case) finishes(hop host.NextHop, d decision) bool {
	r := host.Route{Type: host.Unicast, Via: hop.Via, Interface: hop.Interface}
	_, ok := c.leads(d.node, &r, d.query)
	return ok
}

// findTTLExpired is a packet that begins with too small a TTL for its way, or is
// given one by a rule.
func findTTLExpired(c *Case) *Finding {
	l, all, ok := c.expired()
	if !ok {
		return nil
	}
	for _, before := range all {
		for _, s := range before.steps {
			if ttlSet(s, 64) < 64 {
				return &Finding{Culprit: culpritOf(s), Fix: c.letThrough(l.walk, s), Values: Values{"at": l.last.Node}}
			}
		}
	}
	sender := all[0].last.Node
	name := "net.ipv4.ip_default_ttl"
	if c.Family() == trace.IPv6 {
		name = "net.ipv6.conf.all.hop_limit"
	}
	if n, ok := c.sysctl(sender, name); !ok || n != int(l.walk.Packet.TTL) {
		return nil
	}
	f := c.setting(sender, name, "64")
	f.Values["at"] = l.last.Node
	return f
}
