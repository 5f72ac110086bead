package why

import (
	"net/netip"
	"slices"

	"packetwalk/trace"
	"packetwalk/trace/host"
)

// Case is the evidence, looked through for what every finder asks of it.
type Case struct {
	Evidence
	// Request is the walk of the packet that opened the connection; where that was
	// sent again, the first whose end is known, or a later one that got further.
	// nil where none was seen.
	Request *trace.Walk
	// Reply is the first answer to it that is no error; nil where none was seen.
	Reply *trace.Walk
	// Refusals are the resets and ICMP errors among the walks.
	Refusals []trace.Walk

	segments map[host.Port]int // once they are asked for
}

// newCase sorts the walks of the attempt. On a busy machine they do not always
// come in the order in which they began.
func newCase(e Evidence) *Case {
	c := &Case{Evidence: e}
	for i := range e.Attempt.Walks {
		w := &e.Attempt.Walks[i]
		switch {
		case w.Packet.Refuses():
			c.Refusals = append(c.Refusals, *w)
		case e.Question.Target.Is(w.Packet.Dst) && (e.Question.From == "" || w.Steps[0].Node == e.Question.From):
			if c.Request == nil || !ended(*c.Request) || further(*w, *c.Request) {
				c.Request = w
			}
		case c.Reply == nil:
			c.Reply = w
		}
	}
	if c.Request == nil {
		c.Reply = nil
	}
	return c
}

// further says whether a packet that was sent again got further than before: on
// a busy machine a walk can be taken for lost whose events come late.
func further(again, before trace.Walk) bool {
	hooks := func(w trace.Walk) int {
		type place struct {
			node string
			hook trace.Hook
		}
		all := map[place]bool{}
		for _, s := range w.Steps {
			all[place{s.Node, s.Hook}] = true
		}
		return len(all)
	}
	same := again.Packet.Flags == before.Packet.Flags && again.Packet.Seq == before.Packet.Seq
	return same && ended(again) && hooks(again) > hooks(before)
}

// ended says whether it is known what became of the packet.
func ended(w trace.Walk) bool { return w.Outcome != "" && w.Outcome != trace.Unfinished }

// Stopped is the walk that came to a bad end: the request's or, where that
// arrived, the reply's. nil where neither did.
func (c *Case) Stopped() *trace.Walk {
	for _, w := range []*trace.Walk{c.Request, c.Reply} {
		if w != nil && (w.Outcome == trace.Dropped || w.Outcome == trace.Rejected || w.Outcome == trace.Lost) {
			return w
		}
	}
	return nil
}

// Lost is Stopped where the packet was stopped outside of iptables, with the
// last step that it was seen at.
func (c *Case) Lost() (w *trace.Walk, last trace.Step, ok bool) {
	w = c.Stopped()
	if w == nil || w.Outcome != trace.Lost {
		return nil, trace.Step{}, false
	}
	return w, w.Steps[len(w.Steps)-1], true
}

// Judged is Stopped where a rule or policy of iptables stopped the packet, with
// the step that did.
func (c *Case) Judged() (w *trace.Walk, end trace.Step, ok bool) {
	w = c.Stopped()
	if w == nil || w.Outcome == trace.Lost {
		return nil, trace.Step{}, false
	}
	end, ok = w.EndStep()
	return w, end, ok
}

// Arrived says where the request was delivered, and with which addresses.
func (c *Case) Arrived() (at trace.Step, ok bool) {
	if c.Request == nil || c.Request.Outcome != trace.Delivered {
		return trace.Step{}, false
	}
	return c.Request.Steps[len(c.Request.Steps)-1], true
}

// IsReply says whether a walk is the reply's.
func (c *Case) IsReply(w *trace.Walk) bool { return w != nil && w == c.Reply }

// translated is the step of a walk that rewrote the destination last, by a rule
// or from connection tracking's memory.
func translated(w *trace.Walk) (trace.Step, bool) {
	for i := len(w.Steps) - 1; i > 0; i-- {
		if w.Steps[i].Dst != w.Steps[i-1].Dst {
			return w.Steps[i], true
		}
	}
	return trace.Step{}, false
}

// asked is the address of the target.
func (c *Case) asked() netip.AddrPort { return c.Question.Target.Addr }

// Family is that of the question.
func (c *Case) Family() trace.Family { return trace.FamilyOf(c.asked().Addr()) }

// Sockets are those of a node that take the protocol in question in.
func (c *Case) Sockets(node string) []host.Socket {
	return slices.DeleteFunc(slices.Clone(c.Hosts[node].Sockets), func(s host.Socket) bool { return s.Proto != c.Question.Target.Proto })
}

// Owner is the node that has an address, the first by name where several have it;
// empty where none is known to.
func (c *Case) Owner(a netip.Addr) string {
	for _, node := range c.nodes() {
		if !a.IsLoopback() && c.Hosts[node].Owns(a) {
			return node
		}
	}
	return ""
}

// Ask asks a node's kernel for the way of a packet; ok is false where it cannot be asked.
func (c *Case) Ask(node string, q host.Query) (d host.Decision, ok bool) {
	look := c.Hosts[node].Look
	if look == nil {
		return host.Decision{}, false
	}
	return look.Route(q), true
}
