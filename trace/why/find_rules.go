package why

import (
	"fmt"

	"packetwalk/trace"
)

// findDropRule is a rule of iptables that dropped the request.
func findDropRule(c *Case) *Finding {
	w, end, ok := c.Judged()
	if !ok || end.Policy || end.Verdict != trace.Drop {
		return nil
	}
	return &Finding{Culprit: culpritOf(end), Fix: c.exception(w, end)}
}

// exception is a rule in front of the one that stopped a packet, which lets the
// packets of this request past: back to the calling chain, or through a base chain.
func (c *Case) exception(w *trace.Walk, end trace.Step) Fix {
	target := trace.Return
	if end.Chain == end.Hook.String() {
		target = trace.Accept
	}
	return Fix{Node: end.Node, Commands: []string{
		fmt.Sprintf("%s -I %s %d %s -j %s", c.table(end), end.Chain, max(end.Rule, 1), matches(w.Packet.Proto, end), target),
	}}
}

// matches are those of a packet at a step, in the words of iptables.
func matches(p trace.Proto, s trace.Step) string {
	text := fmt.Sprintf("-s %s -d %s -p %s", single(s.Src.Addr()), single(s.Dst.Addr()), p)
	if p == trace.TCP || p == trace.UDP {
		text += fmt.Sprintf(" -m %s --dport %d", p, s.Dst.Port())
	}
	return text
}

// table is the iptables command for the table of a step.
func (c *Case) table(s trace.Step) string {
	command := c.Iptables(s.Node, s.Variant)
	if s.Table != trace.Filter {
		command += " -t " + string(s.Table)
	}
	return command
}
