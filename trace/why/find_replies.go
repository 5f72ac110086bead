package why

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/host"
	"packetwalk/trace/passed"
	"packetwalk/trace/ruleset"
)

// findStaleConnection is a tracked connection that sends the packet where no
// rule would send it now: the nat table is asked for a connection's first packet
// only.
func findStaleConnection(c *Case) *Finding {
	if c.Request == nil {
		return nil
	}
	for i, s := range c.Request.Steps {
		if i > 0 && c.Request.Steps[i-1].Node == s.Node || s.Hook != trace.Prerouting && s.Hook != trace.Output {
			continue
		}
		if f := c.stale(c.coming(c.Request, s)); f != nil {
			return f
		}
	}
	return nil
}

// stale looks in the node that a packet comes to for an entry that contradicts the rules.
func (c *Case) stale(at passage) *Finding {
	state := c.Hosts[at.Node]
	i := slices.IndexFunc(state.Connections, func(n host.Connection) bool {
		return n.Proto == at.header.Proto && n.Original == host.Tuple{Src: at.Src, Dst: at.Dst}
	})
	if i < 0 || slices.ContainsFunc(state.Native, func(n host.NativeChain) bool { return n.Hook == strings.ToLower(at.Hook.String()) }) {
		return nil // a native chain may have translated it
	}
	entry := state.Connections[i]
	now, ok := c.translation(at)
	if !ok || now == entry.Reply.Src || c.asksNAT(at) {
		return nil
	}
	sport, dport := fmt.Sprint(at.Src.Port()), fmt.Sprint(at.Dst.Port())
	words := []string{"conntrack", "-D", "-p", entry.Proto.String(), "-s", bare(at.Src.Addr()), "-d", bare(at.Dst.Addr()), "--sport", sport, "--dport", dport}
	if c.Family() == trace.IPv6 {
		words = slices.Insert(words, 2, "-f", "ipv6")
	}
	return &Finding{
		Culprit: Culprit{Kind: Connection, Node: at.Node, Text: connectionText(entry)},
		Fix:     Fix{Node: at.Node, Commands: []string{strings.Join(words, " ")}},
		Values:  Values{"goes": entry.Reply.Src.String(), "should": now.String(), "sport": sport},
	}
}

// translation is where the rules send a packet that opens a connection; ok is
// false where that cannot be told.
func (c *Case) translation(at passage) (to netip.AddrPort, ok bool) {
	at.CTState = trace.New
	to = at.Dst
	for _, v := range []trace.Variant{trace.Legacy, trace.NFTables} {
		rules := c.Rules[at.Node][v]
		switch f := c.fate(rules, trace.NAT, at); {
		case f.verdict == "":
			return to, false
		case f.verdict == trace.DNAT:
			chain, _ := rules.Chain(trace.NAT, f.chain)
			return natRule{Rule: chain.Rules[f.rule-1]}.to(at.Dst)
		case f.verdict.Rewrites():
			return to, false // which address of its own the node takes is not said by the rule
		}
	}
	return to, true
}

// asksNAT says whether the request's packet was asked about in the nat table of
// a node, as only one is that begins a connection.
func (c *Case) asksNAT(at passage) bool {
	return slices.ContainsFunc(c.Request.Steps, func(s trace.Step) bool {
		return s.Node == at.Node && s.Hook == at.Hook && s.Table == trace.NAT
	})
}

// connectionText is a tracked connection as conntrack(8) lists it, without what
// changes with time.
func connectionText(n host.Connection) string {
	tuple := func(t host.Tuple) string {
		return fmt.Sprintf("src=%s dst=%s sport=%d dport=%d", t.Src.Addr(), t.Dst.Addr(), t.Src.Port(), t.Dst.Port())
	}
	return n.Proto.String() + " " + tuple(n.Original) + " " + tuple(n.Reply)
}

// untracking are the rules that took a packet out of connection tracking, in a
// node or, with no name, in any.
func (c *Case) untracking(w *trace.Walk, node string) []trace.Step {
	if w == nil {
		return nil
	}
	var all []trace.Step
	for _, s := range w.Steps {
		if (node == "" || s.Node == node) && s.Rule > 0 && s.Table == trace.Raw && untracks(s.Text) {
			all = append(all, s)
		}
	}
	return all
}

// untracks says whether a rule takes packets out of connection tracking.
func untracks(text string) bool {
	r, err := ruleset.ParseRule(text)
	return err == nil && (r.Target == "NOTRACK" || r.Target == "CT" && slices.Contains(r.Options, "--notrack"))
}

// findNotrack is a rule of the raw table that takes a packet out of connection
// tracking, where that is needed: to translate it, to turn the translation of
// its answer back, or to know that it is an answer.
func findNotrack(c *Case) *Finding {
	for _, w := range []*trace.Walk{c.Request, c.Reply} {
		for _, s := range c.untracking(w, "") {
			if c.needsTracking(w, s) {
				sender := s.Src
				if c.IsReply(w) {
					sender = s.Dst
				}
				return &Finding{Culprit: culpritOf(s), Fix: c.tracked(w, s), Values: Values{"sender": bare(sender.Addr())}}
			}
		}
	}
	return nil
}

// needsTracking says whether the node would have done something else with the
// packet if it had been tracked.
func (c *Case) needsTracking(w *trace.Walk, rule trace.Step) bool {
	if c.IsReply(w) && c.translatedIn(c.Request, rule.Node) {
		return true
	}
	if _, end, ok := c.Judged(); ok && c.Stopped() == w && end.Node == rule.Node && c.missedState(w, end) {
		return true
	}
	if w != c.Request || c.translatedIn(w, rule.Node) {
		return false
	}
	at := c.coming(w, rule)
	at.CTState = trace.New
	rewrites := func(p passage) bool {
		for _, rules := range c.Rules[rule.Node] {
			if c.fate(rules, trace.NAT, p).verdict.Rewrites() {
				return true
			}
		}
		return false
	}
	if rewrites(at) {
		return true
	}
	i := slices.IndexFunc(w.Steps, func(s trace.Step) bool { return s.Node == rule.Node && s.Hook == trace.Postrouting })
	return i >= 0 && rewrites(c.coming(w, w.Steps[i]))
}

// missedState says whether a rule in front of a packet's end would have let it
// pass, had connection tracking known it.
func (c *Case) missedState(w *trace.Walk, end trace.Step) bool {
	over := passed.Over(*w, map[string]ruleset.Ruleset{end.Node: c.Rules[end.Node][end.Variant]})
	return slices.ContainsFunc(over, func(p passed.Passed) bool {
		return p.Node == end.Node && p.Table == end.Table && p.Why.Have == string(trace.Untracked) && accepts(p.Text)
	})
}

func accepts(text string) bool {
	r, err := ruleset.ParseRule(text)
	return err == nil && r.Target == string(trace.Accept)
}

// translatedIn says whether a node rewrote the destination of a walk's packet.
func (c *Case) translatedIn(w *trace.Walk, node string) bool {
	if w == nil {
		return false
	}
	for i := 1; i < len(w.Steps); i++ {
		if w.Steps[i].Node == node && w.Steps[i].Dst != w.Steps[i-1].Dst {
			return true
		}
	}
	return false
}

// tracked keeps a packet in connection tracking, and the other direction too
// where the rules would take that out as well.
func (c *Case) tracked(w *trace.Walk, s trace.Step) Fix {
	o := c.opener(s.Node, s.Variant)
	o.track(c.coming(w, s), s.Chain, s.Rule)
	other := c.Reply
	if w == c.Reply {
		other = c.Request
	}
	if back, ok := c.opposite(w, other, s); ok {
		f := c.fate(o.rules, trace.Raw, back)
		for _, r := range f.met {
			if untracks(r.Text) {
				chain, number := o.find(trace.Raw, r.Text)
				o.track(back, chain, number)
				break
			}
		}
	}
	return Fix{Node: s.Node, Commands: o.commands}
}

// track puts an exception in front of a rule of the raw table.
func (o *opener) track(p passage, chain string, rule int) {
	p.CTState = ""
	e := exception{table: trace.Raw, chain: chain, at: rule, spec: p.spec(), target: []string{string(trace.Accept)}}
	o.put(e)
}

// find is the place of a rule by its text.
func (o *opener) find(table trace.Table, text string) (chain string, number int) {
	t, _ := o.rules.Table(table)
	for _, chain := range t.Chains {
		if i := slices.IndexFunc(chain.Rules, func(r ruleset.Rule) bool { return r.Text == text }); i >= 0 {
			return chain.Name, i + 1
		}
	}
	return "", 0
}

// opposite is the packet of the other direction as it comes to the node where a
// rule stands: as its walk shows it or, where there was none, as it would come
// if the packet were translated as the rules have it.
func (c *Case) opposite(w, other *trace.Walk, rule trace.Step) (passage, bool) {
	if other != nil {
		i := slices.IndexFunc(other.Steps, func(s trace.Step) bool { return s.Node == rule.Node })
		if i < 0 {
			return passage{}, false
		}
		return c.coming(other, other.Steps[i]), true
	}
	p := c.coming(w, rule)
	to, ok := c.translation(p)
	if !ok {
		return passage{}, false
	}
	on := p
	on.Dst, on.Hook, on.Out, on.CTState = to, trace.Forward, c.wayTo(rule.Node, to.Addr()), trace.Untracked
	back, ok := on.answer()
	back.Hook, back.Out = trace.Prerouting, ""
	return back, ok
}

// findHairpin is a container that reaches itself or a neighbour on its own
// network through the port that their host publishes: without MASQUERADE the
// answer goes straight back, from an address that was never asked.
func findHairpin(c *Case) *Finding {
	if c.Request == nil {
		return nil
	}
	t, ok := translated(c.Request)
	first, last := c.Request.Steps[0], c.Request.Steps[len(c.Request.Steps)-1]
	if !ok || t.Node == first.Node || len(c.untracking(c.Reply, "")) > 0 || !c.straightBack() && !c.fromItself() {
		return nil
	}
	p := c.coming(c.Request, t)
	p.Dst, p.Src = last.Dst, first.Src
	p.standIn = netip.Addr{} // only this way needs it, not every request
	e := exception{table: trace.NAT, chain: trace.Postrouting.String(), at: 1, spec: p.spec(), target: []string{string(trace.Masquerade)}}
	v := c.natVariant(t.Node)
	return &Finding{
		Culprit: Culprit{Kind: Chain, Node: t.Node, Variant: v.String(), Table: trace.NAT, Chain: e.chain, Text: unmaskedText(p.Src.Addr(), p.Dst)},
		Fix:     Fix{Node: t.Node, Commands: []string{e.command(c.Iptables(t.Node, v))}},
		Values:  Values{"sender": bare(first.Src.Addr()), "to": endpoint(last.Dst)},
	}
}

// unmaskedText is what a POSTROUTING chain lacks that should replace a source.
func unmaskedText(src netip.Addr, dst netip.AddrPort) string {
	return "no MASQUERADE or SNAT from " + bare(src) + " to " + endpoint(dst)
}

// straightBack says whether the answer came back from another address than was
// asked, past the machine that translated the request.
func (c *Case) straightBack() bool {
	if c.Reply == nil || c.Reply.Outcome != trace.Delivered {
		return false
	}
	first, last := c.Reply.Steps[0], c.Reply.Steps[len(c.Reply.Steps)-1]
	between := slices.ContainsFunc(c.Reply.Steps, func(s trace.Step) bool { return s.Node != first.Node && s.Node != last.Node })
	return last.Node == c.Request.Steps[0].Node && !c.Question.Target.Is(last.Src) && !between
}

// fromItself says whether the request came back to its own sender, who takes no
// packet in that comes from outside with one of its own addresses
// (fib_validate_source in net/ipv4/fib_frontend.c).
func (c *Case) fromItself() bool {
	w, last, ok := c.Lost()
	return ok && w == c.Request && last.Hook == trace.Prerouting && last.Node == w.Steps[0].Node && last.Src.Addr() == w.Steps[0].Src.Addr() && c.Hosts[last.Node].Owns(last.Dst.Addr())
}

// findConntrackFull is a packet that would have opened a connection for which
// there was no room: it vanished between raw and mangle, where connection
// tracking has its place.
func findConntrackFull(c *Case) *Finding {
	w, last, ok := c.Lost()
	if !ok || last.Table != trace.Raw || last.Hook != trace.Prerouting && last.Hook != trace.Output || len(c.untracking(w, last.Node)) > 0 {
		return nil
	}
	const countName, mostName = "net.netfilter.nf_conntrack_count", "net.netfilter.nf_conntrack_max"
	settings := c.Hosts[last.Node].Sysctls
	count, err1 := strconv.ParseUint(settings[countName], 10, 62)
	most, err2 := strconv.ParseUint(settings[mostName], 10, 62)
	if err1 != nil || err2 != nil || most == 0 || count < most {
		return nil
	}
	return &Finding{
		Culprit: Culprit{Kind: Sysctl, Node: last.Node, Text: fmt.Sprintf("%s = %d", mostName, most)},
		Fix:     Fix{Node: last.Node, Commands: []string{fmt.Sprintf("sysctl -w %s=%d", mostName, 2*most)}},
		Values:  Values{"count": fmt.Sprint(count), "most": fmt.Sprint(most)},
		Facts:   []Fact{{Kind: StateOf, Step: -1, Values: Values{"node": last.Node, "text": fmt.Sprintf("%s = %d", countName, count)}}},
	}
}
