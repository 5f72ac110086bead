package why

import (
	"net/netip"
	"slices"
	"strconv"

	"packetwalk/trace"
)

// findWrongContainerPort is a DNAT to a port where nothing listens, while the
// container listens on another one.
func findWrongContainerPort(c *Case) *Finding {
	if c.Request == nil {
		return nil
	}
	t, ok := translated(c.Request)
	r, found := c.ruleOf(t)
	last := c.Request.Steps[len(c.Request.Steps)-1]
	at := c.Owner(last.Dst.Addr())
	if !ok || !found || at == "" || !c.knowsSockets(at) || c.listens(at, last.Dst) || !c.refusedAt(at) && !c.closedBehind(last) {
		return nil
	}
	ports := c.otherPorts(at, last.Dst.Addr())
	if len(ports) == 0 {
		return nil
	}
	f := &Finding{
		Culprit: r.culprit(), Values: Values{"at": at, "dst": last.Dst.String(), "ports": joinPorts(ports)},
		Facts: []Fact{c.listening(at)},
	}
	if right, ok := c.rightPort(last, ports); ok {
		f.Fix = c.redirect(r, last, right)
		f.Values["right"] = strconv.Itoa(int(right))
	}
	return f
}

// closedBehind says whether a packet was stopped by what stops everything that
// has no rule of its own: a policy, or the rule that Docker 28 has in its place.
func (c *Case) closedBehind(last trace.Step) bool {
	w, end, ok := c.Judged()
	return ok && w == c.Request && end.Hook == trace.Forward && end.Node == last.Node && (end.Policy || c.keepsToBridge(end))
}

// otherPorts are those that a node listens on at an address.
func (c *Case) otherPorts(node string, a netip.Addr) []uint16 {
	var ports []uint16
	for _, s := range c.Sockets(node) {
		if port := s.Local.Port(); s.Takes(s.Proto, netip.AddrPortFrom(a, port)) && !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	slices.Sort(ports)
	return ports
}

// rightPort is that which was meant: the only one, or the only one that the
// rules let pass.
func (c *Case) rightPort(last trace.Step, ports []uint16) (right uint16, ok bool) {
	if len(ports) == 1 {
		return ports[0], true
	}
	_, end, ok := c.Judged()
	if !ok {
		return 0, false
	}
	open := slices.DeleteFunc(slices.Clone(ports), func(port uint16) bool {
		p := c.coming(c.Request, end)
		p.Dst = netip.AddrPortFrom(last.Dst.Addr(), port)
		return c.fate(c.Rules[end.Node][end.Variant], trace.Filter, p).verdict != trace.Accept
	})
	if len(open) != 1 {
		return 0, false
	}
	return open[0], true
}

// redirect has a DNAT rule lead to another port, and lets that pass.
func (c *Case) redirect(r natRule, last trace.Step, port uint16) Fix {
	to := netip.AddrPortFrom(last.Dst.Addr(), port)
	o := c.opener(r.node, r.variant)
	o.commands = append(o.commands, r.replaced(o.iptables, to))
	for _, s := range c.Request.Steps {
		if s.Node == r.node && s.Hook == trace.Forward && s.Table == trace.Filter {
			p := c.coming(c.Request, s)
			p.Dst = to
			o.pass(trace.Filter, p)
			break
		}
	}
	return Fix{Node: r.node, Commands: o.commands}
}
