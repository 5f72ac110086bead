package why

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/host"
	"packetwalk/trace/passed"
	"packetwalk/trace/ruleset"
)

// natRule is a rule of a nat table that rewrites packets.
type natRule struct {
	ruleset.Rule
	node    string
	variant trace.Variant
	chain   string
	number  int
}

func (r natRule) culprit() Culprit {
	return Culprit{Kind: Rule, Node: r.node, Variant: r.variant.String(), Table: trace.NAT, Chain: r.chain, Rule: r.number, Text: r.Text}
}

// to is where a DNAT or REDIRECT rule sends a packet that is addressed to dst;
// ok is false where it does not name one address and one port.
func (r natRule) to(dst netip.AddrPort) (to netip.AddrPort, ok bool) {
	i := slices.IndexFunc(r.Options, func(o string) bool { return o == "--to-destination" || o == "--to-ports" })
	if i < 0 || i+1 == len(r.Options) {
		return dst, r.Target == string(trace.Redirect)
	}
	text := r.Options[i+1]
	if r.Target == string(trace.Redirect) {
		port, err := strconv.ParseUint(text, 10, 16)
		return netip.AddrPortFrom(dst.Addr(), uint16(port)), err == nil
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(addr, dst.Port()), true
	}
	to, err := netip.ParseAddrPort(text)
	return to, err == nil
}

// replaced is the command that has a DNAT or REDIRECT rule lead to another place,
// and leaves the rest of it as it is.
func (r natRule) replaced(iptables string, to netip.AddrPort) string {
	option, value := "--to-destination", to.String()
	if r.Target == string(trace.Redirect) {
		option, value = "--to-ports", strconv.Itoa(int(to.Port()))
	}
	options := slices.Clone(r.Options)
	if i := slices.Index(options, option); i >= 0 && i+1 < len(options) {
		options[i+1] = value
	} else {
		options = append(options, option, value)
	}
	words := slices.Concat([]string{iptables, "-t", string(trace.NAT), "-R", r.chain, strconv.Itoa(r.number)}, r.Match, []string{"-j", r.Target}, options)
	return ruleset.Join(words)
}

// rewritesDestination says whether a target is one of destination NAT, at the
// hooks where that happens.
func rewritesDestination(target string) bool {
	v := trace.Verdict(target)
	return v == trace.DNAT || v == trace.Redirect
}

// natRules lists the rules of a node's nat tables with the targets that are
// asked for, of the chains that a hook leads to.
func (c *Case) natRules(node string, hook trace.Hook, wanted func(target string) bool) []natRule {
	var all []natRule
	for _, v := range []trace.Variant{trace.Legacy, trace.NFTables} {
		rules := c.Rules[node][v]
		table, _ := rules.Table(trace.NAT)
		for _, chain := range table.Chains {
			if !calls(rules, hook.String(), chain.Name, 0) {
				continue
			}
			for i, r := range chain.Rules {
				if wanted(r.Target) {
					all = append(all, natRule{r, node, v, chain.Name, i + 1})
				}
			}
		}
	}
	return all
}

// calls says whether a chain of the nat table is another, or leads to it.
func calls(rules ruleset.Ruleset, from, to string, depth int) bool {
	if from == to {
		return true
	}
	chain, _ := rules.Chain(trace.NAT, from)
	return depth < deepest && slices.ContainsFunc(chain.Rules, func(r ruleset.Rule) bool { return calls(rules, r.Target, to, depth+1) })
}

// publishedFor lists the ports of a node that DNAT rules send to an address.
func (c *Case) publishedFor(node string, proto trace.Proto, to netip.AddrPort) []string {
	var ports []string
	for _, r := range c.natRules(node, trace.Prerouting, rewritesDestination) {
		port := optionOf(r.Match, "--dport")
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || optionOf(r.Match, "-p") != proto.String() {
			continue
		}
		if have, ok := r.to(netip.AddrPortFrom(to.Addr(), uint16(n))); ok && have == to {
			ports = append(ports, port)
		}
	}
	return ports
}

// optionOf is the value of a match; empty where the rule has none, or not this.
func optionOf(match []string, name string) string {
	i := slices.Index(match, name)
	if i < 0 || i+1 == len(match) || i > 0 && match[i-1] == "!" {
		return ""
	}
	return match[i+1]
}

// unpublished is a request that reached the machine that it was addressed to,
// untranslated, where no socket takes it: the step is the first there, where a
// translation would have had to happen.
func (c *Case) unpublished() (at passage, ok bool) {
	if c.Request == nil || !c.Request.Packet.HasPorts() {
		return passage{}, false
	}
	last := c.Request.Steps[len(c.Request.Steps)-1]
	if last.Hook != trace.Input || !c.Question.Target.Is(last.Dst) || !c.knowsSockets(last.Node) || c.takes(last) {
		return passage{}, false
	}
	i := slices.IndexFunc(c.Request.Steps, func(s trace.Step) bool { return s.Node == last.Node })
	at = c.coming(c.Request, c.Request.Steps[i])
	at.CTState = trace.New
	for _, s := range c.Request.Steps[i:] {
		if s.CTState != "" {
			at.CTState = s.CTState
			break
		}
	}
	return at, true
}

// missed is a DNAT rule for the port that a packet asks for, and why it was not its rule.
type missed struct {
	natRule
	passed.Comparison
}

// missedBy are the DNAT rules of a node for the packet's port.
func (c *Case) missedBy(at passage) []missed {
	var all []missed
	for _, r := range c.natRules(at.Node, at.Hook, rewritesDestination) {
		m := missed{r, c.compare(at, r.Match)}
		if !slices.ContainsFunc(m.Failed, func(f passed.Reason) bool { return isPort(f.Match) }) {
			all = append(all, m)
		}
	}
	slices.SortStableFunc(all, func(a, b missed) int { return len(a.Failed) - len(b.Failed) })
	return all
}

func isPort(match []string) bool {
	return slices.ContainsFunc(match, func(w string) bool { return strings.HasPrefix(w, "--dport") || w == "--ports" })
}

// fails says whether a rule fails for nothing but matches of these names.
func (m missed) fails(names ...string) bool {
	return len(m.Failed) > 0 && !slices.ContainsFunc(m.Failed, func(f passed.Reason) bool {
		return !slices.ContainsFunc(f.Match, func(w string) bool { return slices.Contains(names, w) })
	})
}

// failedFor says whether a match of this name is among those that fail.
func (m missed) failedFor(name string) bool {
	return slices.ContainsFunc(m.Failed, func(f passed.Reason) bool { return slices.Contains(f.Match, name) })
}

// findPublishedOtherProtocol is a port that is published for another protocol.
func findPublishedOtherProtocol(c *Case) *Finding {
	return c.published(func(m missed) bool { return m.fails("-p") && optionOf(m.Match, "--dport") != "" })
}

// findPublishedOtherAddress is a port that is published on another address.
func findPublishedOtherAddress(c *Case) *Finding {
	return c.published(func(m missed) bool { return m.failedFor("-d") && !m.failedFor("-p") })
}

// findNatPassedOver is a DNAT rule for the port that the packet did not match
// for another reason: its interface, its sender.
func findNatPassedOver(c *Case) *Finding {
	return c.published(func(m missed) bool { return len(m.Failed) > 0 && !m.failedFor("-d") && !m.failedFor("-p") })
}

// findNatNotReached is a DNAT rule that the packet would have matched and never
// came to.
func findNatNotReached(c *Case) *Finding {
	at, ok := c.unpublished()
	if !ok || at.CTState == trace.Untracked {
		return nil
	}
	for _, m := range c.missedBy(at) {
		if len(m.Failed) == 0 && len(m.Unknown) == 0 {
			return c.turnedAway(at, m)
		}
	}
	return nil
}

// turnedAway is a rule because of which a packet never came to the one that
// publishes its port: one that sent it back before, or the jump that it missed.
func (c *Case) turnedAway(at passage, to missed) *Finding {
	f := &Finding{}
	for _, s := range c.Request.Steps {
		if s.Node == at.Node && s.Table == trace.NAT && s.Hook == at.Hook && s.Rule > 0 && (s.Verdict == trace.Return || s.Verdict == trace.Accept) {
			f.Culprit = culpritOf(s)
		}
	}
	jumps := c.natRules(at.Node, at.Hook, func(target string) bool { return target == to.chain })
	for _, j := range jumps {
		if failed := c.compare(at, j.Match).Failed; f.Culprit.Kind == "" && j.variant == to.variant && len(failed) > 0 {
			f.Culprit = j.culprit()
		}
	}
	dst, ok := to.to(at.Dst)
	if f.Culprit.Kind == "" || !ok {
		return nil
	}
	f.Facts = append(f.Facts, ruleFact(trace.Step{Node: to.node, Table: trace.NAT, Chain: to.chain, Rule: to.number, Text: to.Text}))
	f.Fix = c.publish(at, to.variant, dst)
	return f
}

// published is a rule that would have published the port if one thing had been otherwise.
func (c *Case) published(is func(missed) bool) *Finding {
	at, ok := c.unpublished()
	if !ok {
		return nil
	}
	all := c.missedBy(at)
	i := slices.IndexFunc(all, is)
	if i < 0 || len(all[0].Failed) == 0 {
		return nil
	}
	m := all[i]
	failed := m.Failed[0]
	have := failed.Have
	if have == "" {
		have = "-"
	}
	f := &Finding{Culprit: m.culprit(), Values: Values{"match": ruleset.Join(failed.Match), "have": have, "published": optionOf(m.Match, "-d"), "other": optionOf(m.Match, "-p")}}
	if to, ok := m.to(at.Dst); ok && !at.Dst.Addr().IsLoopback() {
		f.Values["to"] = to.String()
		f.Fix = c.publish(at, m.variant, to)
	}
	f.Facts = append(f.Facts, c.dockerSays()...)
	return f
}

// dockerSays are the ports that Docker publishes by this number.
func (c *Case) dockerSays() []Fact {
	var facts []Fact
	for _, p := range c.Published {
		if p.Host.Port() == c.asked().Port() {
			facts = append(facts, Fact{Kind: PublishedPort, Step: -1, Values: Values{
				"container": p.Container, "inside": p.Proto.String() + " " + p.Inside.String(), "outside": p.Host.String(),
			}})
		}
	}
	return facts
}

// publish are the commands that make a node send a packet on to an address, and
// let it and its answer pass.
func (c *Case) publish(at passage, v trace.Variant, to netip.AddrPort) Fix {
	if owner := c.Owner(to.Addr()); owner != "" && !c.listens(owner, to) {
		return Fix{} // the way would lead to a port where nobody is
	}
	o := c.opener(at.Node, v)
	o.put(exception{table: trace.NAT, chain: at.Hook.String(), at: 1, spec: at.spec(), target: []string{string(trace.DNAT), "--to-destination", to.String()}})
	on := at
	on.Dst, on.Hook, on.CTState = to, trace.Forward, trace.New
	on.In, on.Out = at.In, c.wayTo(at.Node, to.Addr())
	if at.Hook == trace.Output {
		on.Hook, on.In = trace.Output, ""
	}
	if on.In != "" && on.In == on.Out {
		o.put(exception{table: trace.NAT, chain: trace.Postrouting.String(), at: 1, spec: on.spec(), target: []string{string(trace.Masquerade)}})
	}
	if on.Out != "" {
		o.pass(trace.Filter, on)
		if back, ok := on.answer(); ok {
			o.pass(trace.Filter, back)
		}
	}
	return Fix{Node: at.Node, Commands: o.commands}
}

// findNotPublished is a port of a machine that publishes others: no rule sends
// this one on, and nothing on the machine itself listens.
func findNotPublished(c *Case) *Finding {
	at, ok := c.unpublished()
	onPort := func(s host.Socket) bool { return s.Local.Port() == at.Dst.Port() }
	if !ok || len(c.missedBy(at)) > 0 || !c.publishes(at.Node) || slices.ContainsFunc(c.Sockets(at.Node), onPort) {
		return nil
	}
	v := c.natVariant(at.Node)
	f := &Finding{
		Culprit: Culprit{Kind: Chain, Node: at.Node, Variant: v.String(), Table: trace.NAT, Chain: at.Hook.String(), Text: at.Hook.String()},
		Facts:   c.dockerSays(),
	}
	behind := c.behind(at.Node)
	for _, s := range behind {
		f.Facts = append(f.Facts, Fact{Kind: SocketsThere, Step: -1, Values: Values{"node": s.node, "sockets": s.String()}})
	}
	if to, ok := meant(behind, at.Dst.Port()); ok && !at.Dst.Addr().IsLoopback() {
		f.Fix = c.publish(at, v, to)
	}
	return f
}

// publishes says whether a machine sends any port on, or has containers behind it.
func (c *Case) publishes(node string) bool {
	_, docker := c.Rules[node][c.natVariant(node)].Chain(trace.NAT, "DOCKER")
	return docker || len(c.natRules(node, trace.Prerouting, rewritesDestination)) > 0 || len(c.behind(node)) > 0
}

// natVariant is the implementation of iptables that translates in a node: that
// which has rules in its nat table, the node's own where none or both have.
func (c *Case) natVariant(node string) trace.Variant {
	var have []trace.Variant
	for v, rules := range c.Rules[node] {
		table, _ := rules.Table(trace.NAT)
		if slices.ContainsFunc(table.Chains, func(chain ruleset.Chain) bool { return len(chain.Rules) > 0 }) {
			have = append(have, v)
		}
	}
	if len(have) == 1 {
		return have[0]
	}
	return c.Default[node]
}

// service is a socket of a container, at an address that its host can reach.
type service struct {
	node string
	at   netip.AddrPort
	text string
}

func (s service) String() string { return s.text + " " + s.at.String() }

// behind are the services of the nodes on a node's bridges, by node and port.
func (c *Case) behind(node string) []service {
	var all []service
	for _, other := range c.nodes() {
		if other == node || other == c.Question.From {
			continue
		}
		for _, l := range c.Hosts[other].Links {
			for _, p := range l.Addresses {
				if bridge := c.connected(node, p.Addr()); bridge == "" || !c.isBridge(node, bridge) || p.Addr().Is4() != c.asked().Addr().Is4() {
					continue
				}
				for _, s := range c.Sockets(other) {
					if at := netip.AddrPortFrom(p.Addr(), s.Local.Port()); s.Takes(s.Proto, at) {
						all = append(all, service{other, at, s.Proto.String()})
					}
				}
			}
		}
	}
	return all
}

// meant is the service that a port was meant for, if there is only one that it
// can be: the only one with this number, or the only one at all.
func meant(all []service, port uint16) (to netip.AddrPort, ok bool) {
	alike := slices.DeleteFunc(slices.Clone(all), func(s service) bool { return s.at.Port() != port })
	switch {
	case len(alike) == 1:
		return alike[0].at, true
	case len(alike) == 0 && len(all) == 1:
		return all[0].at, true
	}
	return netip.AddrPort{}, false
}

// findWrongContainerPort is a DNAT to a port where nothing listens, while the
// container listens on another one.
func findWrongContainerPort(c *Case) *Finding {
	if c.Request == nil {
		return nil
	}
	t, ok := Translated(c.Request)
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
		Facts: []Fact{{Kind: SocketsThere, Step: -1, Values: Values{"node": at, "sockets": c.socketList(at)}}},
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

// ruleOf is the nat rule of a step, or the one that connection tracking
// remembered there.
func (c *Case) ruleOf(s trace.Step) (natRule, bool) {
	chain, number := s.Chain, s.Rule
	if s.Remembered != nil {
		chain, number = s.Remembered.Chain, s.Remembered.Rule
	}
	for _, v := range []trace.Variant{trace.Legacy, trace.NFTables} {
		if s.Remembered == nil && v != s.Variant {
			continue
		}
		found, _ := c.Rules[s.Node][v].Chain(trace.NAT, chain)
		if number > 0 && number <= len(found.Rules) && (s.Text == "" || found.Rules[number-1].Text == s.Text) {
			return natRule{found.Rules[number-1], s.Node, v, chain, number}, true
		}
	}
	return natRule{}, false
}
