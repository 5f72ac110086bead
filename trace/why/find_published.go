package why

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/passed"
	"packetwalk/trace/ruleset"
)

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
	f := &Finding{Values: Values{}}
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
	c.publish(f, at, to.variant, dst)
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
	f := &Finding{Culprit: m.culprit(), Values: Values{
		"match": ruleset.Join(failed.Match), "have": failed.Have, "published": cmp.Or(withoutLength(optionOf(m.Match, "-d")), ruleset.Join(failed.Match)), "other": optionOf(m.Match, "-p"), "todo": "",
	}}
	if to, ok := m.to(at.Dst); ok {
		f.Values["to"], f.Values["map"], f.Values["todo"] = to.String(), dockerMap(at, to.Port()), todoToo
		if owner := c.Owner(to.Addr()); owner != "" && c.knowsSockets(owner) && !c.listens(owner, to) {
			f.Values["todo"] = todoAsk
		}
		if !at.Dst.Addr().IsLoopback() {
			c.publish(f, at, m.variant, to)
		}
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

// publish gives a finding the commands that make a node send a packet on to an
// address, and let it and its answer pass. It gives none that would break what
// keeps Docker's networks apart, and says so: whoever wants that has to say it.
func (c *Case) publish(f *Finding, at passage, v trace.Variant, to netip.AddrPort) {
	owner := c.Owner(to.Addr())
	if owner != "" && !c.listens(owner, to) {
		return // the way would lead to a port where nobody is
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
	if o.apart == nil {
		f.Fix = Fix{Node: at.Node, Commands: o.commands}
		return
	}
	maps.Copy(f.Values, Values{"todo": todoJoin, "container": cmp.Or(owner, bare(to.Addr())), "inside": at.header.Proto.String() + " " + to.String(), "map": dockerMap(at, to.Port())})
	if !c.isBridge(at.Node, at.In) {
		f.Values["todo"] = todoSecond
	}
	fact := ruleFact(*o.apart)
	fact.Kind, fact.Values["to"], fact.Values["in"] = KeptApart, to.String(), at.In
	f.Values["in"], f.Facts = at.In, append(f.Facts, fact)
}
