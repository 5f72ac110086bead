// Package passed finds the rules that a packet was passed over by: those that
// stand between the steps of its walk and did not match. They are inferred from
// the order of the rules, since only a rule that matches reports a packet. What
// a rule that did match does is left to the walk itself.
package passed

import (
	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

// Passed is a rule that a packet met without matching it.
type Passed struct {
	// Before is the index of the walk's step that came next.
	Before int
	Node   string
	Hook   trace.Hook
	Table  trace.Table
	Chain  string
	Rule   int    // counts from 1, as in trace.Step
	Text   string // as iptables-save writes it
	// Why is a match of the rule that failed; zero where that cannot be told.
	Why Reason
}

// Reason is the first match of a rule that can be seen to have failed, in the
// order in which iptables-save writes them. A match before it that says nothing
// of the packet's headers (a mark, a set) may have failed as well.
type Reason struct {
	// Match is the match in the rule's own words: "!", "-i", "docker0". Empty
	// where it cannot be told.
	Match []string
	// Have is what the packet had instead; empty for no interface.
	Have string
}

// Known says whether the reason could be told.
func (r Reason) Known() bool { return len(r.Match) > 0 }

// Over lists the rules that the packet of a walk was passed over by, in the
// order in which it met them. The rulesets go by node: each is that of the
// packet's address family, without the probes of a trace. Of a chain whose rules
// are not those that the walk names nothing is said from there on, nor of a
// place that the steps before it do not lead to: events were lost, or the rules
// have changed since.
func Over(w trace.Walk, rules map[string]ruleset.Ruleset) []Passed {
	f := follower{walk: w, rules: rules}
	for i := range w.Steps {
		f.step(i)
	}
	return f.out
}

// follower goes through the chains of one table with the steps of a walk.
type follower struct {
	walk  trace.Walk
	rules map[string]ruleset.Ruleset
	at    visit
	// calls are the chains that the packet is in, the base chain first. Empty
	// where the packet is not known to be in any.
	calls []frame
	out   []Passed
}

// visit is one table at one hook of a node.
type visit struct {
	node  string
	hook  trace.Hook
	table trace.Table
}

// frame is a chain that the packet is in.
type frame struct {
	chain string
	rules []ruleset.Rule
	// next is the index of the rule that comes next.
	next int
	// gone says that the chain was left by a goto: coming back to it means
	// coming back to its caller.
	gone bool
}

func (f *follower) step(i int) {
	s := f.walk.Steps[i]
	if s.Table == trace.ConntrackTable {
		return
	}
	if v := (visit{s.Node, s.Hook, s.Table}); v != f.at {
		f.at, f.calls = v, nil
	}
	switch {
	case s.Policy:
		f.toEnd(i, s.Hook.String())
		f.calls = nil
	case s.Rule > 0:
		f.match(i)
	case s.Verdict == trace.Return:
		f.toEnd(i, s.Chain)
		f.comeBack()
	case s.Chain == s.Hook.String():
		f.calls = []frame{f.frame(s.Chain)}
	case len(f.calls) == 0 || f.top().chain != s.Chain:
		f.calls = nil // nothing led here
	}
}

func (f *follower) top() *frame { return &f.calls[len(f.calls)-1] }

// frame is the beginning of a chain of the table that the packet is in.
func (f *follower) frame(chain string) frame {
	c, _ := f.rules[f.at.node].Chain(f.at.table, chain)
	return frame{chain: chain, rules: c.Rules}
}

// in says whether the packet is known to be in the chain.
func (f *follower) in(chain string) bool { return len(f.calls) > 0 && f.top().chain == chain }

// match passes over the rules in front of the one that matched, and follows it.
func (f *follower) match(i int) {
	s := f.walk.Steps[i]
	if !f.in(s.Chain) || s.Rule > len(f.top().rules) || s.Rule <= f.top().next || f.top().rules[s.Rule-1].Text != s.Text {
		f.calls = nil
		return
	}
	f.upTo(i, s.Rule-1)
	f.top().next = s.Rule
	switch s.Verdict {
	case trace.Jump:
		f.calls = append(f.calls, f.frame(s.Target))
	case trace.Goto:
		f.top().gone = true
		f.calls = append(f.calls, f.frame(s.Target))
	case trace.Return:
		f.comeBack()
	}
}

// comeBack follows a return, by a rule or at the end of a chain.
func (f *follower) comeBack() {
	for n := len(f.calls); n > 0; n = len(f.calls) {
		f.calls = f.calls[:n-1]
		if n > 1 && !f.calls[n-2].gone {
			return
		}
	}
}

// toEnd passes over what is left of a chain, if the packet is in it.
func (f *follower) toEnd(i int, chain string) {
	if f.in(chain) {
		f.upTo(i, len(f.top().rules))
	}
}

// upTo passes over the rules of the current chain up to an index.
func (f *follower) upTo(i, end int) {
	s, c := f.walk.Steps[i], f.top()
	p := f.packet(i)
	for ; c.next < end; c.next++ {
		r := c.rules[c.next]
		if len(r.Match) == 0 {
			continue // it matches everything: the packet was there, and its event was lost
		}
		f.out = append(f.out, Passed{
			Before: i, Node: s.Node, Hook: s.Hook, Table: s.Table, Chain: c.chain,
			Rule: c.next + 1, Text: r.Text, Why: p.why(r.Match),
		})
	}
}

// packet is what the packet was like in front of a step: the step itself may
// have rewritten it.
func (f *follower) packet(i int) packet {
	s := f.walk.Steps[i]
	p := packet{Step: s, proto: f.walk.Packet.Proto, header: f.walk.Packet}
	if i > 0 && s.Verdict.Rewrites() {
		p.Src, p.Dst = f.walk.Steps[i-1].Src, f.walk.Steps[i-1].Dst
	}
	return p
}
