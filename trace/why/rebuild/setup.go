package rebuild

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"packetwalk/lab"
	"packetwalk/trace"
	"packetwalk/trace/host"
)

// setSysctls sets what the mail does not tell to what is assumed. A network
// namespace may have other values from the machine that it is made on
// (net.core.devconf_inherit_init_net).
func (b *builder) setSysctls() {
	set := forwarding(trace.IPv4)
	if b.topology.HasIPv6() || b.request.family() == trace.IPv6 {
		set = append(set, forwarding(trace.IPv6)...)
	}
	for _, name := range append([]string{"all", "default"}, b.interfaces(b.node)...) {
		for _, setting := range []string{"rp_filter", "route_localnet"} {
			set = append(set, lab.Sysctl{Name: "net.ipv4.conf." + name + "." + setting, Value: "0"})
		}
	}
	b.node.Sysctls = set
	b.notes.add(ForwardingAssumed, "sysctl", forwarding(b.request.family())[0].Name)
}

// interfaces are the names of a node's interfaces as sysctl(8) has them.
func (b *builder) interfaces(n lab.Node) []string {
	names := []string{"lo"}
	t := lab.Topology{Nodes: []lab.Node{n}, Links: b.topology.Links}
	for _, i := range t.Interfaces(n.Name) {
		if name := strings.ReplaceAll(i.Name, ".", "/"); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// skipDetection has IPv6 addresses be used at once. For as long as the kernel
// looks for others that have them, a router can ask for no neighbor, and the
// first packet waits for a second (ndisc_solicit in net/ipv6/ndisc.c).
func (b *builder) skipDetection() {
	if b.request.family() != trace.IPv6 {
		return
	}
	for i, n := range b.topology.Nodes {
		for _, name := range b.interfaces(n) {
			b.topology.Nodes[i].Sysctls = append(b.topology.Nodes[i].Sysctls, lab.Sysctl{Name: "net.ipv6.conf." + name + ".accept_dad", Value: "0"})
		}
	}
}

// setRoutes gives the host the routes and the policy rules of the mail. What the
// kernel makes by itself, with addresses, is left to it.
func (b *builder) setRoutes() {
	for _, l := range b.links {
		for _, near := range l.Addresses {
			if far, ok := l.peers[near]; ok && l.Up {
				b.command(&route{}, "%s route add %s dev %s src %s", ipCommand(trace.FamilyOf(far.Addr())), far, l.Name, near.Addr())
			}
		}
	}
	ordered := slices.Clone(b.routes)
	// A gateway has to be reachable before there are routes by it.
	slices.SortStableFunc(ordered, func(x, y *route) int { return boolOrder(x.gated(), y.gated()) })
	for _, r := range ordered {
		b.setRoute(r)
	}
	b.removeMissing()
	b.setChoices()
}

func boolOrder(x, y bool) int {
	switch {
	case x == y:
		return 0
	case y:
		return -1
	}
	return 1
}

// gated says whether a route leads by a gateway.
func (r *route) gated() bool { return r.Via.IsValid() || len(r.NextHop) > 0 }

func ipCommand(f trace.Family) string {
	if f == trace.IPv6 {
		return "ip -6"
	}
	return "ip"
}

// command adds a command of the host that stands for a route of the mail.
func (b *builder) command(r *route, format string, args ...any) {
	b.commands = append(b.commands, Command{Node: hostNode, Line: fmt.Sprintf(format, args...), File: b.routeFile.Name, Number: r.line})
}

func (b *builder) setRoute(r *route) {
	leave := func(why Reason) {
		b.notes.leave(b.routeFile, r.line, RouteLeftOut, why, "route", r.text, "word", r.unknown)
	}
	switch {
	case b.byKernel(r):
	case r.unknown != "":
		leave(NotUnderstood)
	case slices.Contains([]host.RouteType{"multicast", "anycast", "nat", host.Broadcast}, r.Type):
	case r.Dead:
		leave(RouteDead)
	case r.Type == host.Unicast && len(r.NextHop) == 0 && b.wayOut(r) == nil:
		leave(InterfaceUnlisted)
	case b.overDown(r):
		leave(InterfaceDown)
	case b.isPlain(r):
		b.node.Routes = append(b.node.Routes, r.plain())
	default:
		b.command(r, "%s", b.routeCommand(r))
	}
}

// byKernel says whether the kernel makes the route by itself: those of the local
// table, and those to the network of an address.
func (b *builder) byKernel(r *route) bool {
	ofAddress := r.Type == host.Local && r.Destination.IsSingleIP() && b.hasAddress(r.Destination.Addr())
	if r.Table == host.TableLocal && (r.Kernel || r.Type == host.Broadcast || ofAddress) || r.Destination.Addr().IsMulticast() {
		return true
	}
	if r.Family == trace.IPv6 && r.Destination.Addr().IsLinkLocalUnicast() {
		return true
	}
	l := b.link(r.Interface)
	return l != nil && r.Type == host.Unicast && r.Table == host.TableMain && !r.gated() && r.isOf(l)
}

// hasAddress says whether an interface of the host has an address.
func (b *builder) hasAddress(a netip.Addr) bool {
	return a.IsLoopback() || slices.ContainsFunc(b.links, func(l *link) bool {
		return slices.ContainsFunc(l.Addresses, func(p netip.Prefix) bool { return p.Addr() == a })
	})
}

// isOf says whether a route leads to the network of an address of an interface.
func (r *route) isOf(l *link) bool {
	return slices.ContainsFunc(l.Addresses, func(p netip.Prefix) bool {
		if far, ok := l.peers[p]; ok {
			p = far
		}
		return p.Masked() == r.Destination
	})
}

// overDown says whether a route leads by an interface that is down.
func (b *builder) overDown(r *route) bool {
	down := func(name string) bool { l := b.link(name); return l != nil && !l.Up }
	return down(r.Interface) || slices.ContainsFunc(r.NextHop, func(n host.NextHop) bool { return down(n.Interface) })
}

// isPlain says whether a topology can say all of a route.
func (b *builder) isPlain(r *route) bool {
	plain := host.Route{
		Family: r.Family, Table: host.TableMain, Type: host.Unicast, Destination: r.Destination, Via: r.Via, Interface: r.Interface,
		Scope: r.Scope, Kernel: r.Kernel,
	}
	if r.NextHop != nil || r.Metric != 0 || r.MTU != 0 || r.OnLink || r.Source.IsValid() || plain.Type != r.Type || plain.Table != r.Table {
		return false
	}
	twice := slices.ContainsFunc(b.node.Routes, func(o lab.Route) bool { return o.Destination == r.plain().Destination })
	if twice || !r.Via.IsValid() {
		return !twice && (r.Scope == "" || r.Scope == "link")
	}
	l := b.wayOut(r)
	return trace.FamilyOf(r.Via) == r.Family && slices.ContainsFunc(l.Addresses, func(p netip.Prefix) bool { return p.Contains(r.Via) })
}

// plain is the route in a topology's terms.
func (r *route) plain() lab.Route {
	p := lab.Route{Via: r.Via, Interface: r.Interface}
	if r.Destination.Bits() > 0 {
		p.Destination = r.Destination
	}
	return p
}

// routeCommand is the command that adds a route.
func (b *builder) routeCommand(r *route) string {
	words := []string{ipCommand(r.Family), "route", "add"}
	if r.Type != host.Unicast {
		words = append(words, string(r.Type))
	}
	if r.Destination.Bits() > 0 {
		words = append(words, r.Destination.String())
	} else {
		words = append(words, "default")
	}
	words = append(words, host.NextHop{Via: r.Via, Interface: r.Interface}.Words(r.Family)...)
	words = append(words, r.attributes()...)
	for _, n := range r.NextHop {
		words = append(words, "nexthop")
		words = append(words, n.Words(r.Family)...)
	}
	return strings.Join(words, " ")
}

// attributes are the words for what a route has besides where it leads.
func (r *route) attributes() []string {
	var words []string
	add := func(on bool, name string, value any) {
		if on {
			words = append(words, name, fmt.Sprint(value))
		}
	}
	add(r.Table != host.TableMain, "table", r.Table)
	add(r.Metric != 0, "metric", r.Metric)
	add(r.MTU != 0, "mtu", r.MTU)
	add(r.Source.IsValid(), "src", r.Source)
	add(r.Scope == "link" || r.Scope == "host", "scope", r.Scope)
	if r.OnLink {
		words = append(words, "onlink")
	}
	return words
}

// removeMissing removes the routes to the host's networks that the listing
// lacks: somebody has removed them there.
func (b *builder) removeMissing() {
	complete := slices.ContainsFunc(b.routes, func(r *route) bool { return r.Kernel && r.Family == b.request.family() && r.Table == host.TableMain })
	if !b.listed || !complete {
		return
	}
	for _, l := range b.links {
		for _, p := range l.Addresses {
			f := trace.FamilyOf(p.Addr())
			_, toPeer := l.peers[p]
			if f != b.request.family() || !l.Up || toPeer || l.Kind == "loopback" || p.IsSingleIP() {
				continue
			}
			there := slices.ContainsFunc(b.routes, func(r *route) bool {
				return r.Destination == p.Masked() && r.Interface == l.Name && r.Table == host.TableMain
			})
			if !there {
				text := fmt.Sprintf("%s dev %s", p.Masked(), l.Name)
				b.notes.add(RouteRemoved, "route", text)
				b.command(&route{}, "%s route del %s", ipCommand(f), text)
			}
		}
	}
}

// setChoices makes the policy rules those of the mail, where it has any.
func (b *builder) setChoices() {
	for _, c := range b.choices {
		switch {
		case c.Usual():
		case c.unknown != "":
			b.notes.leave(b.routeFile, c.line, ChoiceLeftOut, NotUnderstood, "rule", c.text, "word", c.unknown)
		default:
			b.commands = append(b.commands, Command{Node: hostNode, Line: c.command(), File: b.routeFile.Name, Number: c.line})
		}
	}
	for _, f := range []trace.Family{trace.IPv4, trace.IPv6} {
		for _, priority := range madeByKernel[f] {
			if b.lacksChoice(f, priority) {
				b.commands = append(b.commands, Command{Node: hostNode, Line: fmt.Sprintf("%s rule del pref %d", ipCommand(f), priority)})
			}
		}
	}
}

// madeByKernel are the priorities of the policy rules that the kernel makes by
// itself and that can be deleted (fib_default_rules_init in net/ipv4/fib_rules.c,
// fib6_rules_net_init in net/ipv6/fib6_rules.c).
var madeByKernel = map[trace.Family][]int{trace.IPv4: {32766, 32767}, trace.IPv6: {32766}}

// lacksChoice says whether policy rules of a family were sent, and not the one
// that the kernel makes with a priority.
func (b *builder) lacksChoice(f trace.Family, priority int) bool {
	sent := false
	for _, c := range b.choices {
		if c.Family != f {
			continue
		}
		if c.Priority == priority && c.Usual() {
			return false
		}
		sent = true
	}
	return sent
}

// command is the command that adds a policy rule.
func (c choice) command() string {
	return fmt.Sprintf("%s rule add pref %d %s", ipCommand(c.Family), c.Priority, c.Selector())
}
