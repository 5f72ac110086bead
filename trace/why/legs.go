package why

import (
	"net/netip"

	"packetwalk/trace"
	"packetwalk/trace/host"
	"packetwalk/trace/ruleset"
)

// leg is the part of a walk that lies in one node.
type leg struct {
	walk        *trace.Walk
	from        int // index of the first step
	steps       []trace.Step
	first, last trace.Step
}

// legsOf parts a walk at the nodes that it went through. A node that it came
// back to has several.
func legsOf(w *trace.Walk) []leg {
	var all []leg
	for i, s := range w.Steps {
		if i == 0 || s.Node != w.Steps[i-1].Node || w.Steps[i-1].Hook == trace.Postrouting && s.Hook != trace.Postrouting {
			all = append(all, leg{walk: w, from: i, first: s})
		}
		p := &all[len(all)-1]
		p.steps = append(p.steps, s)
		p.last = s
	}
	return all
}

// bridged says whether the packet was seen to go from one port of a bridge to
// another one.
func (p leg) bridged() bool { return p.last.PhysIn != "" && p.last.PhysOut != "" }

// left says whether the packet was handed to its outgoing interface.
func (p leg) left() bool { return p.last.Hook == trace.Postrouting }

// translated says whether the destination was rewritten in this node.
func (p leg) translated() bool { return p.before().Addr() != p.last.Dst.Addr() }

// before is the destination with which the packet came.
func (p leg) before() netip.AddrPort {
	if p.from > 0 {
		return p.walk.Steps[p.from-1].Dst
	}
	return p.walk.Packet.Dst
}

// query is what the kernel had to find a way for. The mark is that of the rules
// that were seen to set it.
func (p leg) query() host.Query {
	q := host.Query{Src: p.last.Src.Addr(), Dst: p.last.Dst.Addr()}
	for _, s := range p.steps {
		if s.Hook == trace.Postrouting {
			break // the way has been decided
		}
		q.Src = s.Src.Addr()
		if s.Hook == trace.Prerouting {
			q.In = s.In
		}
		if set, ok := ruleset.SetMark(s.Text, q.Mark); ok && s.Target == "MARK" {
			q.Mark = set
		}
	}
	return q
}

// decision is a routing decision that a packet's fate hung on.
type decision struct {
	node  string
	query host.Query
	host.Way
	// Refused is the kernel's own word, an errno's name, where it was asked and
	// would take no such packet; empty otherwise.
	refused string
	// walk and step point to where it was seen; walk is nil where no packet was.
	walk *trace.Walk
	step int
	// back says that it is about the answer, own that about the node's own packet,
	// question that about the ARP request for the node's own address.
	back, own, question bool
}

// way is the route of a decision as evidence.
func (d decision) way() Fact {
	kind := WayTo
	if d.back {
		kind = WayBack
	}
	return about(kind, d.node, d.query.Dst, d.Route.String())
}

// decide asks for the way of a packet. The kernel's own choice of an interface
// outweighs what was worked out.
func (c *Case) decide(node string, q host.Query) decision {
	s := c.Hosts[node]
	d := decision{node: node, query: q, Way: s.Way(q), step: -1, own: q.In == ""}
	told, ok := c.Ask(node, q)
	switch {
	case !ok:
	case told.Err != "":
		d.refused = told.Err
	case d.Route == nil || !leadsOut(*d.Route, told.Interface) && d.Route.Type != host.Local:
		d.Way = c.wayOut(node, q, told.Interface)
	}
	return d
}

// leadsOut says whether a route leads to an interface.
func leadsOut(r host.Route, dev string) bool {
	for _, h := range r.Hops() {
		if h.Interface == dev {
			return true
		}
	}
	return false
}

// wayOut finds the rule and route by which a packet is sent to an interface,
// where marks and the like that were not seen make it another one than was
// worked out.
func (c *Case) wayOut(node string, q host.Query, dev string) host.Way {
	s := c.Hosts[node]
	way := s.Way(q)
	if way.Route != nil && leadsOut(*way.Route, dev) {
		return way
	}
	for _, choice := range s.Choices {
		if choice.Type != host.Unicast || choice.Destination.IsValid() && !choice.Destination.Contains(q.Dst) {
			continue
		}
		if r := s.InTable(choice.Table, q); r != nil && leadsOut(*r, dev) {
			return host.Way{Choice: &choice, Route: r}
		}
	}
	return host.Way{}
}

// undecided is lastDecision where the routes of its node were read.
func (c *Case) undecided() (decision, bool) {
	d, ok := c.lastDecision()
	s, looked := c.Hosts[d.node]
	return d, ok && looked && s.Unseen[host.Routes] == "" && s.Unseen[host.Choices] == ""
}

// lastDecision is the routing decision behind which a packet was not seen any more:
// the sender's, where nothing was sent; that of the node in which a packet was
// lost; or the way back from where the request arrived, where no answer was seen.
func (c *Case) lastDecision() (decision, bool) {
	if c.Request == nil {
		if c.Attempt.Result != Unreachable || c.Question.From == "" {
			return decision{}, false
		}
		return c.decide(c.Question.From, host.Query{Dst: c.asked().Addr()}), true
	}
	if p, ok := c.lostInside(); ok {
		d := c.decide(p.last.Node, p.query())
		d.walk, d.step, d.back = p.walk, len(p.walk.Steps)-1, c.IsReply(p.walk)
		return d, true
	}
	if d, ok := c.unanswered(); ok {
		return d, true
	}
	at, ok := c.Arrived()
	if !ok || c.Reply != nil || len(c.Refusals) > 0 {
		return decision{}, false
	}
	d := c.decide(at.Node, host.Query{Src: at.Dst.Addr(), Dst: at.Src.Addr()})
	d.walk, d.step, d.back = c.Request, len(c.Request.Steps)-1, true
	return d, true
}

// unanswered is the decision about an ARP request that somebody did not answer
// who has the address. The kernel answers only what it would take a packet of
// from the asker (arp_process in net/ipv4/arp.c).
func (c *Case) unanswered() (decision, bool) {
	x, ok := c.crossing()
	if !ok || !c.hears(x.from, x.to) || !c.unheard(x) || x.hop.Is6() {
		return decision{}, false
	}
	d := c.decide(x.to.Node, host.Query{Src: c.asker(x), Dst: x.hop, In: x.to.Interface})
	d.walk, d.step, d.back, d.question = x.walk, x.step, c.IsReply(x.walk), true
	return d, true
}

// asker is the address that an ARP request comes from: the packet's own source
// where that is the node's (arp_solicit), or one of the interface.
func (c *Case) asker(x crossing) netip.Addr {
	src := x.walk.Steps[x.step].Src.Addr()
	if c.Hosts[x.from.Node].Owns(src) {
		return src
	}
	for _, p := range c.link(x.from).Addresses {
		if p.Contains(x.hop) {
			return p.Addr()
		}
	}
	return netip.Addr{}
}

// lostInside is the leg in which a packet was lost between two hooks, where
// that node had to find a way for it: a frame that only crosses its bridge needs
// none.
func (c *Case) lostInside() (leg, bool) {
	w, last, ok := c.Lost()
	if !ok || last.Hook == trace.Postrouting || c.crossesBridge(w) {
		return leg{}, false
	}
	all := legsOf(w)
	return all[len(all)-1], true
}

// crossesBridge says whether the last leg of a walk is that of a frame which
// is on its way through a bridge to another node.
func (c *Case) crossesBridge(w *trace.Walk) bool {
	all := legsOf(w)
	p := all[len(all)-1]
	if p.first.PhysIn == "" || len(all) < 2 || p.translated() {
		return false
	}
	hop, ok := c.hopOf(all[len(all)-2])
	return p.bridged() || ok && !c.Hosts[p.last.Node].Owns(hop)
}

// hopOf is the address to whose owner a leg handed the packet: that of the
// gateway, or the destination itself.
func (c *Case) hopOf(p leg) (netip.Addr, bool) {
	q := p.query()
	way := c.wayOut(p.last.Node, q, p.last.Out)
	if way.Route == nil {
		return netip.Addr{}, false
	}
	for _, h := range way.Route.Hops() {
		if h.Interface == p.last.Out && h.Via.IsValid() {
			return h.Via, true
		}
	}
	return p.last.Dst.Addr(), true
}
