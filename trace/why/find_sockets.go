package why

import (
	"slices"

	"packetwalk/trace/host"
)

// findNothingListens is a request that arrived where no socket takes it in.
func findNothingListens(c *Case) *Finding {
	at, ok := c.Arrived()
	if !ok || c.Attempt.Result != Refused || slices.ContainsFunc(c.Sockets(at.Node), func(s host.Socket) bool { return s.Takes(s.Proto, at.Dst) }) {
		return nil
	}
	return &Finding{Culprit: Culprit{Kind: Socket, Node: at.Node, Text: c.Question.Target.Proto.String() + " " + at.Dst.String()}}
}
