package why

import (
	"fmt"

	"packetwalk/trace"
)

// findDropRule is a rule of iptables that dropped the request.
func findDropRule(c *Case) *Finding {
	_, end, ok := c.Judged()
	if !ok || end.Policy || end.Verdict != trace.Drop {
		return nil
	}
	return &Finding{Culprit: culpritOf(end), Fix: c.withoutRule(end)}
}

// withoutRule takes a rule out.
func (c *Case) withoutRule(s trace.Step) Fix {
	return Fix{Node: s.Node, Commands: []string{fmt.Sprintf("%s -D %s %d", c.table(s), s.Chain, s.Rule)}}
}

// table is the iptables command for the table of a step.
func (c *Case) table(s trace.Step) string {
	command := c.Iptables(s.Node, s.Variant)
	if s.Table != trace.Filter {
		command += " -t " + string(s.Table)
	}
	return command
}
