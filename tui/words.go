package tui

import (
	"net/netip"
	"slices"
	"strings"

	"packetwalk/assets"
	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

// words says steps, verdicts and outcomes in a language. The screen and the
// plain printer share it.
type words struct {
	m    assets.Messages
	lang string // one of assets.Languages
	// variant is that of the rulesets: it decides the order of the tables.
	variant trace.Variant
}

func newWords(lang string) words { return words{m: assets.For(lang), lang: assets.Match(lang)} }

// named is an address with what is known to be behind it.
func named(w trace.Walk, a netip.AddrPort) string {
	name := w.Names[a.Addr()]
	if name == "" {
		return addr(a)
	}
	return addr(a) + " (" + clean(name) + ")"
}

// addr is an address as people write it: without the port where there is none.
func addr(a netip.AddrPort) string {
	switch {
	case !a.IsValid():
		return "?"
	case a.Port() == 0:
		return a.Addr().String()
	}
	return a.String()
}

// protoName is a protocol as people write it.
func protoName(p trace.Proto) string {
	if p == trace.ICMPv6 {
		return "ICMPv6"
	}
	return strings.ToUpper(p.String())
}

// packet names a packet: "TCP SYN", "ICMP echo request", "UDP".
func (words) packet(p trace.Packet) string {
	proto := protoName(p.Proto)
	switch s := p.Summary(); {
	case s == "" || s == proto:
		return proto
	case s == "protocol "+p.Proto.String():
		return s
	default:
		return proto + " " + s
	}
}

func (w words) direction(d trace.Direction) string {
	switch d {
	case trace.Original:
		return w.m.Walk.Original
	case trace.Reply:
		return w.m.Walk.Reply
	}
	return string(d)
}

// verdict says what step i of a walk did with the packet.
func (w words) verdict(walk trace.Walk, i int) string {
	s := walk.Steps[i]
	v := w.m.Verdict
	if s.Table == trace.ConntrackTable {
		return w.conntrack(walk, i)
	}
	switch s.Verdict {
	case trace.Accept:
		return fill(choose(s.Policy, v.PolicyAccept, v.Accept), "next", w.next(walk, i))
	case trace.Drop:
		return choose(s.Policy, v.PolicyDrop, v.Drop)
	case trace.Reject:
		if with := option(s.Text, "--reject-with"); with != "" {
			return fill(v.RejectWith, "error", with)
		}
		return v.Reject
	case trace.Jump:
		return fill(v.Jump, "chain", s.Target)
	case trace.Goto:
		return fill(v.Goto, "chain", s.Target)
	case trace.Return:
		return w.returns(walk, i)
	case trace.Continue:
		return w.goesOn(s)
	case trace.Reached:
		return v.Reached
	}
	return w.rewrites(walk, s)
}

func (w words) goesOn(s trace.Step) string {
	v := w.m.Verdict
	if s.Rule == 0 {
		return fill(v.Entered, "table", string(s.Table), "chain", s.Chain)
	}
	if s.Target != "" {
		return fill(v.Continue, "target", s.Target)
	}
	return v.CountsOnly
}

func (w words) returns(walk trace.Walk, i int) string {
	s, v := walk.Steps[i], w.m.Verdict
	if s.Chain == s.Hook.String() {
		return v.ReturnBase
	}
	to := callerOf(walk.Steps, i)
	switch {
	case s.Rule == 0 && to == "":
		return v.EndOfChain
	case s.Rule == 0:
		return fill(v.EndOfChainTo, "chain", to)
	case to == "":
		return v.Return
	}
	return fill(v.ReturnTo, "chain", to)
}

func (w words) rewrites(walk trace.Walk, s trace.Step) string {
	v := w.m.Verdict
	text := v.Other
	switch {
	case s.Unseen:
		text = choose(s.Verdict.RewritesSource(s.Hook), v.UnseenSrc, v.UnseenDst)
	case s.Verdict == trace.DNAT:
		text = v.DNAT
	case s.Verdict == trace.SNAT:
		text = v.SNAT
	case s.Verdict == trace.Masquerade:
		text = v.Masquerade
	case s.Verdict == trace.Redirect:
		text = v.Redirect
	case s.Verdict == trace.Netmap:
		text = choose(s.Verdict.RewritesSource(s.Hook), v.NetmapSrc, v.NetmapDst)
	}
	return fill(text, "src", named(walk, s.Src), "dst", named(walk, s.Dst), "verdict", string(s.Verdict), "out", s.Out)
}

func (w words) conntrack(walk trace.Walk, i int) string {
	s := walk.Steps[i]
	r := s.Remembered
	if r == nil {
		return w.m.Verdict.Rewritten
	}
	return fill(choose(r.Undone, w.m.Verdict.Undone, w.m.Verdict.Remembered),
		"nat", natName(s), "walk", itoa(r.Walk), "table", string(r.Table), "chain", r.Chain, "rule", itoa(r.Rule))
}

// natName names the translation that a conntrack step applied.
func natName(s trace.Step) string {
	if s.Verdict.Rewrites() {
		return string(s.Verdict)
	}
	return "NAT"
}

// next says where the packet goes that step i has let out of its table.
func (w words) next(walk trace.Walk, i int) string {
	s, n := walk.Steps[i], w.m.Next
	if w.moreTables(walk, i) {
		return n.Table
	}
	switch s.Hook {
	case trace.Prerouting:
		return n.Routing
	case trace.Input:
		return n.Process
	case trace.Forward, trace.Output:
		return n.Postrouting
	}
	if s.Out == "" {
		return n.Leaves
	}
	return fill(n.LeavesBy, "out", s.Out)
}

// moreTables says whether the packet meets another table on the hook of step i.
// Where the walk has not come further yet, the order of the tables tells.
func (w words) moreTables(walk trace.Walk, i int) bool {
	s := walk.Steps[i]
	if i+1 < len(walk.Steps) {
		n := walk.Steps[i+1]
		return n.Node == s.Node && n.Hook == s.Hook
	}
	tables := w.variant.TablesAt(s.Hook)
	return !walk.Done() && s.Table != tables[len(tables)-1]
}

// outcomeWord is the outcome in one word.
func (w words) outcomeWord(o trace.Outcome) string {
	m := w.m.Outcome
	switch o {
	case trace.Delivered:
		return m.DeliveredWord
	case trace.Forwarded:
		return m.ForwardedWord
	case trace.Dropped:
		return m.DroppedWord
	case trace.Rejected:
		return m.RejectedWord
	case trace.Lost:
		return m.LostWord
	case trace.Unfinished:
		return m.UnfinishedWord
	case "":
		return m.UnderwayWord
	}
	return string(o)
}

// outcome says how a walk ended and where.
func (w words) outcome(walk trace.Walk) string {
	m := w.m.Outcome
	text := map[trace.Outcome]string{
		trace.Delivered: m.Delivered, trace.Forwarded: m.Forwarded, trace.Dropped: m.Dropped, trace.Rejected: m.Rejected,
		trace.Lost: m.Lost, trace.Unfinished: m.Unfinished, "": m.Underway,
	}[walk.Outcome]
	end, ok := walk.EndStep()
	if !ok && len(walk.Steps) > 0 {
		end, ok = walk.Steps[len(walk.Steps)-1], true
	}
	if text == "" || !ok {
		return w.outcomeWord(walk.Outcome)
	}
	return fill(text, "node", end.Node, "out", end.Out, "place", w.place(end), "where", w.whereLost(end.Hook))
}

// whereLost says where a packet that passed a hook last can have been lost.
func (w words) whereLost(h trace.Hook) string {
	m := w.m.Outcome
	switch h {
	case trace.Prerouting:
		return m.LostRouting
	case trace.Input:
		return m.LostUpwards
	case trace.Postrouting:
		return m.LostLeaving
	}
	return m.LostBetween
}

// place names where a step happened: its rule, its policy, or its table.
func (w words) place(s trace.Step) string {
	m := w.m.Outcome
	text := m.Station
	switch {
	case s.Rule > 0:
		text = m.Rule
	case s.Policy:
		text = m.Policy
	}
	return fill(text, "table", string(s.Table), "chain", s.Chain, "rule", itoa(s.Rule), "hook", s.Hook.String())
}

// callers are the steps whose JUMP or GOTO led into the chain of step i, the
// base chain's first.
func callers(steps []trace.Step, i int) []trace.Step {
	var calls []trace.Step
	s := steps[i]
	for _, t := range steps[:i] {
		switch {
		case t.Node != s.Node || t.Hook != s.Hook || t.Table != s.Table:
			calls = nil
		case t.Verdict == trace.Jump || t.Verdict == trace.Goto:
			calls = append(calls, t)
		case t.Verdict == trace.Return:
			calls = afterReturn(calls)
		}
	}
	return calls
}

// afterReturn takes the calls off that a RETURN ends: the chain's own, and the
// GOTOs that led on from the chain it returns to.
func afterReturn(calls []trace.Step) []trace.Step {
	for len(calls) > 0 {
		last := calls[len(calls)-1]
		calls = calls[:len(calls)-1]
		if last.Verdict == trace.Jump {
			break
		}
	}
	return calls
}

// callerOf is the chain that the RETURN of step i leads back to: the last one
// that jumped to a chain from which it has not come back. Empty when not known.
func callerOf(steps []trace.Step, i int) string {
	calls := callers(steps, i)
	for j := len(calls) - 1; j >= 0; j-- {
		if calls[j].Verdict == trace.Jump {
			return calls[j].Chain
		}
	}
	return ""
}

// option is the word behind an option of a rule, such as --reject-with.
func option(rule, name string) string {
	ws, err := ruleset.Words(rule)
	i := slices.Index(ws, name)
	if err != nil || i < 0 || i+1 >= len(ws) {
		return ""
	}
	return ws[i+1]
}

func fill(text string, pairs ...string) string { return assets.Fill(text, pairs...) }

func choose[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}
