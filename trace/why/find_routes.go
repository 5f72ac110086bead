package why

import (
	"fmt"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/host"
)

// misled is a packet that was sent a way that does not lead to its destination,
// or refused by a route, with the route that would have led there; that is nil
// where none is known.
func (c *Case) misled() (d decision, better *host.Route, ok bool) {
	if d, ok := c.undecided(); ok && d.Err != "" {
		return d, c.another(d.node, d.Route, d.query), true
	}
	if back, better := c.misledBack(); better != nil {
		return back, better, true
	}
	for _, w := range []*trace.Walk{c.Request, c.Reply} {
		if w == nil || w.Outcome == trace.Delivered {
			continue
		}
		for _, p := range legsOf(w) {
			d, better := c.missent(p)
			if better != nil {
				d.walk, d.step, d.back = w, p.from+len(p.steps)-1, c.IsReply(w)
				return d, better, true
			}
		}
	}
	return decision{}, nil, false
}

// misledBack is a way back that does not lead to the packet's source, and for
// which the reverse-path filter did not even take the packet.
func (c *Case) misledBack() (back decision, better *host.Route) {
	d, ok := c.undecided()
	if !ok {
		return decision{}, nil
	}
	_, back, ok = c.filtered(d)
	if !ok || back.Route == nil || back.Err != "" {
		return decision{}, nil
	}
	if _, ok := c.leads(back.node, back.Route, back.query); ok {
		return decision{}, nil
	}
	back.walk, back.step, back.back = d.walk, d.step, true
	return back, c.another(back.node, back.Route, back.query)
}

// missent is the decision by which a leg sent its packet the wrong way,
// while another route leads to the destination; better is nil where it did not.
func (c *Case) missent(p leg) (d decision, better *host.Route) {
	if p.last.Out == "" || p.last.Out == trace.Loopback || p.bridged() {
		return decision{}, nil
	}
	q := p.query()
	d = decision{node: p.last.Node, query: q, Way: c.wayOut(p.last.Node, q, p.last.Out), own: q.In == ""}
	if d.Route == nil {
		return decision{}, nil
	}
	if _, ok := c.leads(d.node, d.Route, q); ok {
		return decision{}, nil
	}
	return d, c.another(d.node, d.Route, q)
}

// findPolicyRoute is a rule of ip-rule(8) that sends the packet to a table which
// leads elsewhere, or refuses it, while without the rule it would have got there.
func findPolicyRoute(c *Case) *Finding {
	d, better, ok := c.misled()
	if !ok || d.Choice == nil || d.Choice.Usual() || d.Err == "" && better == nil {
		return nil
	}
	f := c.routing(d, Culprit{Kind: Choice, Node: d.node, Text: d.Choice.String()})
	command := c.ip() + " rule del pref " + fmt.Sprint(d.Choice.Priority)
	if better != nil && d.Choice.Priority > 0 {
		command = fmt.Sprintf("%s rule add pref %d%s to %s lookup main", c.ip(), d.Choice.Priority-1, fromWords(d.query.Src), d.query.Dst)
	}
	f.Fix = Fix{Node: d.node, Commands: []string{command}}
	if d.Route != nil {
		f.Facts = append(f.Facts, d.way())
	}
	return f
}

// findDuplicateRoute is one of two routes for the same network, of which the
// kernel takes the one behind which the target is not.
func findDuplicateRoute(c *Case) *Finding {
	d, better, ok := c.misled()
	if !ok || d.Err != "" || better == nil || better.Destination != d.Route.Destination {
		return nil
	}
	return c.rerouted(d, better)
}

// findWrongRoute is a route that leads elsewhere and hides the one that leads to
// the target.
func findWrongRoute(c *Case) *Finding {
	d, better, ok := c.misled()
	if !ok || d.Err != "" || better == nil {
		return nil
	}
	return c.rerouted(d, better)
}

// rerouted blames a route and sends this one destination by a better one.
func (c *Case) rerouted(d decision, better *host.Route) *Finding {
	f := c.routing(d, Culprit{Kind: Route, Node: d.node, Text: d.Route.String()})
	f.Values["better"], f.Values["dev"], f.Values["otherdev"] = better.String(), d.Route.Hops()[0].Interface, better.Hops()[0].Interface
	f.Facts = append(f.Facts, about(BetterWay, d.node, d.query.Dst, better.String()))
	f.Fix = c.overWay(d, better.Hops()[0])
	if d.Route.Destination.IsSingleIP() {
		f.Fix = Fix{Node: d.node, Commands: []string{c.ip() + " route del " + d.Route.Key()}}
	}
	return f
}

// refusing makes a finder for the routes of a type that sends nothing.
func refusing(t host.RouteType) func(*Case) *Finding {
	return func(c *Case) *Finding {
		d, ok := c.undecided()
		if !ok || d.Route == nil || d.Route.Type != t {
			return nil
		}
		f := c.routing(d, Culprit{Kind: Route, Node: d.node, Text: d.Route.String()})
		f.Fix = Fix{Node: d.node, Commands: []string{c.ip() + " route del " + d.Route.Key()}}
		if better := c.another(d.node, d.Route, d.query); d.Route.Destination.IsSingleIP() {
			return f
		} else if better != nil {
			f.Fix = c.overWay(d, better.Hops()[0])
		} else if hop, ok := c.toward(d.node, d.query.Dst); ok {
			f.Fix = c.overWay(d, hop)
		}
		return f
	}
}

// findNoRoute is a packet for whose destination a node has no route.
func findNoRoute(c *Case) *Finding {
	d, ok := c.undecided()
	if !ok || d.back {
		return nil
	}
	return c.unrouted(d)
}

// findNoReturnRoute is an answer for whose way back a node has no route: the
// receiver itself, which then sends nothing at all, or one on the way.
func findNoReturnRoute(c *Case) *Finding {
	d, ok := c.undecided()
	if !ok || !d.back {
		return nil
	}
	return c.unrouted(d)
}

func (c *Case) unrouted(d decision) *Finding {
	if d.Route != nil || d.Err != "ENETUNREACH" {
		return nil
	}
	f := c.routing(d, Culprit{Kind: Route, Node: d.node, Text: "no route to " + d.query.Dst.String()})
	if hop, ok := c.toward(d.node, d.query.Dst); ok {
		f.Fix = c.overWay(d, hop)
	}
	return f
}

// overWay sends the packets for one destination over a next hop.
func (c *Case) overWay(d decision, hop host.NextHop) Fix {
	words := append([]string{c.ip(), "route", "add", d.query.Dst.String()}, hop.Words(c.Family())...)
	return Fix{Node: d.node, Commands: []string{strings.Join(words, " ")}}
}

// routing is a finding about a routing decision.
func (c *Case) routing(d decision, culprit Culprit) *Finding {
	f := &Finding{Culprit: culprit, Values: Values{"to": d.query.Dst.String(), "in": d.query.In}}
	if d.query.Src.IsValid() {
		f.Values["for"] = d.query.Src.String()
	}
	if d.refused != "" {
		f.Facts = append(f.Facts, Fact{Kind: KernelRefuses, Step: -1, Values: Values{"node": d.node, "to": d.query.Dst.String(), "err": d.refused}})
	}
	return f
}
