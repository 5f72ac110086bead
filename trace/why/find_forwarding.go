package why

import (
	"net/netip"
	"slices"
	"strconv"

	"packetwalk/trace"
	"packetwalk/trace/host"
)

// sysctl is a setting of a node; ok is false where it was not read.
func (c *Case) sysctl(node, name string) (int, bool) {
	n, err := strconv.Atoi(c.Hosts[node].Sysctls[name])
	return n, err == nil
}

// conf names a setting of one interface, or of "all".
func (c *Case) conf(dev, setting string) string {
	return host.LinkSysctl("net."+c.Family().String()+".conf.%s."+setting, dev)
}

// setting is a culprit of this kind, and the command that sets it to another value.
func (c *Case) setting(node, name, value string) *Finding {
	return &Finding{
		Culprit: Culprit{Kind: Sysctl, Node: node, Text: name + " = " + c.Hosts[node].Sysctls[name]},
		Fix:     Fix{Node: node, Commands: []string{"sysctl -w " + name + "=" + value}},
		Values:  Values{"sysctl": name},
	}
}

// findForwardingOff is a node that would have to forward the packet, and does
// not forward.
func findForwardingOff(c *Case) *Finding {
	d, ok := c.undecided()
	if !ok || d.own || d.Err != "" || d.Route == nil || d.Route.Type != host.Unicast {
		return nil
	}
	all, each := "net.ipv4.ip_forward", c.conf(d.query.In, "forwarding")
	if c.Family() == trace.IPv6 { // what an interface is set to is no concern of packets (ip6_forward in net/ipv6/ip6_output.c)
		all, each = "net.ipv6.conf.all.forwarding", "net.ipv6.conf.all.forwarding"
	}
	if on, ok := c.sysctl(d.node, each); !ok || on != 0 {
		return nil
	}
	name := each
	if on, ok := c.sysctl(d.node, all); ok && on == 0 {
		name = all
	}
	f := c.setting(d.node, name, "1")
	f.Values["to"], f.Values["in"], f.Values["out"] = d.query.Dst.String(), d.query.In, d.Route.Hops()[0].Interface
	f.Facts = append(f.Facts, d.way())
	return f
}

// findReversePathFilter is a packet from an address that the kernel would reach
// by another interface than the packet came in by, or by none
// (fib_validate_source in net/ipv4/fib_frontend.c).
func findReversePathFilter(c *Case) *Finding {
	d, ok := c.undecided()
	if !ok {
		return nil
	}
	name, back, ok := c.filtered(d)
	if !ok {
		return nil
	}
	f := c.setting(d.node, name, "0")
	f.Fix = c.unfiltered(d, back.Err == "")
	f.Values["for"], f.Values["in"], f.Values["counts"] = d.query.Src.String(), d.query.In, countsLarger
	if name == c.conf("all", "rp_filter") && back.Err == "" {
		f.Values["counts"] = countsOutweighed
	}
	if back.Route != nil {
		f.Facts = append(f.Facts, about(WayBack, d.node, d.query.Src, back.Route.String()))
	}
	return f
}

// filtered says whether the reverse-path filter takes no such packet, by which
// setting, and what way back it found.
func (c *Case) filtered(d decision) (name string, back decision, ok bool) {
	if d.own || d.Err != "" || c.Family() != trace.IPv4 {
		return "", back, false
	}
	name, strict := c.filterOf(d)
	back = c.decide(d.node, host.Query{Dst: d.query.Src, Mark: c.markBack(d)})
	switch {
	case name == "":
		return "", back, false
	case back.Err != "": // none
		return name, back, true
	}
	ok = strict && back.Route != nil && !leadsOut(*back.Route, d.query.In) && back.Route.Type != host.Local
	return name, back, ok
}

// filterOf is the setting that filters what comes in by the interface of a
// decision: the larger of those for it and for all. strict means that the way
// back has to lead out of that interface.
func (c *Case) filterOf(d decision) (name string, strict bool) {
	mode := 0
	for _, dev := range []string{"all", d.query.In} {
		if n, _ := c.sysctl(d.node, c.conf(dev, "rp_filter")); n > mode {
			name, mode = c.conf(dev, "rp_filter"), n
		}
	}
	return name, mode == 1
}

// markBack is the mark with which the kernel looks for the way back.
func (c *Case) markBack(d decision) uint32 {
	for _, dev := range []string{"all", d.query.In} {
		if on, _ := c.sysctl(d.node, c.conf(dev, "src_valid_mark")); on != 0 {
			return d.query.Mark
		}
	}
	return 0
}

// unfiltered lets in what comes from an address. Where there is a way back at
// all, the loose mode of the one interface does, which outweighs the strict one
// of all; otherwise a route does, or no filter.
func (c *Case) unfiltered(d decision, known bool) Fix {
	if known {
		return Fix{Node: d.node, Commands: []string{"sysctl -w " + c.conf(d.query.In, "rp_filter") + "=2"}}
	}
	back := decision{node: d.node, query: host.Query{Dst: d.query.Src}}
	if hop, ok := c.toward(d.node, d.query.Src); ok {
		return c.overWay(back, hop)
	}
	fix := Fix{Node: d.node}
	for _, dev := range []string{"all", d.query.In} {
		if n, _ := c.sysctl(d.node, c.conf(dev, "rp_filter")); n != 0 {
			fix.Commands = append(fix.Commands, "sysctl -w "+c.conf(dev, "rp_filter")+"=0")
		}
	}
	return fix
}

// loopbackRouted says whether a node takes packets from and to 127.0.0.0/8 on an interface.
func (c *Case) loopbackRouted(node, dev string) bool {
	for _, name := range []string{"all", dev} {
		if on, _ := c.sysctl(node, c.conf(name, "route_localnet")); on != 0 {
			return true
		}
	}
	return false
}

// findMartianDestination is a packet from outside whose destination has become
// a loopback address.
func findMartianDestination(c *Case) *Finding {
	d, ok := c.undecided()
	if !ok || d.own || !loopback4(d.query.Dst) || d.query.In == trace.Loopback || c.loopbackRouted(d.node, d.query.In) {
		return nil
	}
	f := c.setting(d.node, c.conf(d.query.In, "route_localnet"), "1")
	f.Values["to"], f.Values["in"] = d.query.Dst.String(), d.query.In
	return f
}

func loopback4(a netip.Addr) bool { return a.Is4() && a.IsLoopback() }

// findLoopbackSource is a packet of the node's own whose source is a loopback
// address and that a DNAT sends out to somebody else.
func findLoopbackSource(c *Case) *Finding {
	d, ok := c.undecided()
	if !ok || !d.own || d.walk == nil || d.back || !loopback4(d.query.Src) || d.Route == nil || d.Route.Type != host.Unicast {
		return nil
	}
	out := d.Route.Hops()[0].Interface
	if c.loopbackRouted(d.node, out) {
		return nil
	}
	f := c.setting(d.node, c.conf(out, "route_localnet"), "1")
	f.Values["for"], f.Values["to"], f.Values["out"] = d.query.Src.String(), d.query.Dst.String(), out
	return f
}

// findMartianSource is a packet that comes in with a source that no packet from
// outside may have: the node before it did not replace it.
func findMartianSource(c *Case) *Finding {
	d, ok := c.undecided()
	if !ok || d.own || !loopback4(d.query.Src) || d.query.In == trace.Loopback || c.loopbackRouted(d.node, d.query.In) {
		return nil
	}
	f := c.unmasked(d)
	if f == nil {
		return nil
	}
	f.Values = Values{"for": d.query.Src.String(), "to": d.query.Dst.String(), "in": d.query.In, "at": d.node}
	return f
}

// unmasked blames the POSTROUTING chain of the node that sent a packet on: it
// left the source as it was, or a rule there made it so.
func (c *Case) unmasked(d decision) *Finding {
	all := legsOf(d.walk)
	if !d.question {
		all = all[:len(all)-1]
	}
	if len(all) == 0 {
		return nil
	}
	before := all[len(all)-1]
	node, variant := before.last.Node, before.last.Variant
	for i := len(before.steps) - 1; i >= 0; i-- {
		if s := before.steps[i]; s.Rule > 0 && (s.Verdict == trace.SNAT || s.Verdict == trace.Masquerade) {
			f := &Finding{Culprit: culpritOf(s)}
			f.Fix = Fix{Node: node, Commands: []string{c.maskCommand(node, s.Variant, d)}}
			return f
		}
	}
	if own, ok := c.Default[node]; ok {
		variant = own
	}
	return &Finding{
		Culprit: Culprit{Kind: Chain, Node: node, Variant: variant.String(), Table: trace.NAT, Chain: "POSTROUTING", Text: unmaskedText(d.query.Src, netip.AddrPortFrom(d.query.Dst, 0))},
		Fix:     Fix{Node: node, Commands: []string{c.maskCommand(node, variant, d)}},
	}
}

// maskCommand replaces the source of such packets by the node's own address.
func (c *Case) maskCommand(node string, v trace.Variant, d decision) string {
	return c.Iptables(node, v) + " -t nat -I POSTROUTING 1 -s " + d.query.Src.String() + " -d " + d.query.Dst.String() + " -j MASQUERADE"
}

// findDuplicateAddress is a node that has an address of somebody else's, too, who
// sends it a packet or an ARP request from there.
func findDuplicateAddress(c *Case) *Finding {
	d, ok := c.undecided()
	if !ok || d.own || d.walk == nil || loopback4(d.query.Src) {
		return nil
	}
	from := d.walk.Steps[0].Node
	if d.question {
		from = d.walk.Steps[d.step].Node
	}
	all := c.holders(d.query.Src)
	here := slices.IndexFunc(all, func(p host.Port) bool { return p.Node == d.node })
	if here < 0 || from == d.node {
		return nil
	}
	own, other := all[here], host.Port{Node: from}
	if i := slices.IndexFunc(all, func(p host.Port) bool { return p.Node != d.node }); i >= 0 {
		other = all[i]
	}
	holds := func(p host.Port) Fact {
		text := d.query.Src.String()
		if p.Interface != "" {
			text += " dev " + p.Interface
		}
		return about(HasAddress, p.Node, d.query.Src, text)
	}
	return &Finding{
		Culprit: Culprit{Kind: Link, Node: d.node, Text: own.Interface},
		Values:  Values{"for": d.query.Src.String(), "in": d.query.In, "other": other.Node},
		Facts:   []Fact{holds(other), holds(own)},
	}
}
