package why

import (
	"packetwalk/trace"
	"packetwalk/trace/host"
)

// findLinkDown is an interface that is down: one on the way over a segment, or
// one whose network the node has no route for any more.
func findLinkDown(c *Case) *Finding {
	if x, ok := c.crossing(); ok {
		if f := c.downOnWire(x); f != nil {
			return f
		}
	}
	if d, ok := c.undecided(); ok && d.Err != "" {
		return c.downBehind(d)
	}
	for _, w := range []*trace.Walk{c.Request, c.Reply} {
		if w == nil || w.Outcome == trace.Delivered {
			continue
		}
		for _, l := range legsOf(w) {
			if l.bridged() {
				continue
			}
			d := decision{node: l.last.Node, query: l.query()}
			if d.Way = c.Hosts[d.node].Way(d.query); c.Hosts[d.node].Owns(d.query.Dst) {
				continue
			}
			if f := c.downBehind(d); f != nil {
				return f
			}
		}
	}
	return nil
}

// downOnWire is the first interface on a packet's way over a segment that is
// down, or at whose other end nobody is.
func (c *Case) downOnWire(x crossing) *Finding {
	way := c.wire(x.from, x.to)
	if x.to == (host.Port{}) || way == nil {
		way = []host.Port{x.from}
	}
	for _, p := range way {
		if l, ok := c.Hosts[p.Node].Link(p.Interface); ok && !l.Up {
			return c.bringUp(p, c.backAgain(p, x))
		}
	}
	for _, p := range way {
		l, ok := c.Hosts[p.Node].Link(p.Interface)
		if ok && !l.Carrier && l.Kind != "bridge" && l.Peer == (host.Port{}) {
			return &Finding{Culprit: Culprit{Kind: Link, Node: p.Node, Text: p.Interface}, Values: Values{"state": "NO-CARRIER"}}
		}
	}
	return nil
}

// backAgain makes the route by which the packet's receiver answers, where that
// went with its interface.
func (c *Case) backAgain(p host.Port, x crossing) []string {
	s := x.walk.Steps[x.step]
	back := decision{node: p.Node, query: host.Query{Src: s.Dst.Addr(), Dst: s.Src.Addr()}}
	if p != x.to || !c.Hosts[p.Node].Owns(s.Dst.Addr()) || c.Hosts[p.Node].Way(back.query).Err == "" || onLink(c.link(p), s.Src.Addr()) {
		return nil
	}
	hop, ok := c.toward(p.Node, s.Src.Addr())
	if !ok {
		return nil
	}
	return c.overWay(back, hop).Commands
}

// downBehind is an interface of a node that is down and has the network in which
// the packet's destination lies, or by which a gateway to it is reached: the
// kernel drops the routes over such an interface (fib_sync_down_dev in
// net/ipv4/fib_semantics.c).
func (c *Case) downBehind(d decision) *Finding {
	for _, l := range c.Hosts[d.node].Links {
		if l.Up || c.carried(port(d.node, l.Name)) || !hasAddress(l, d.query.Dst.Is4()) {
			continue
		}
		if onLink(l, d.query.Dst) && (d.Route == nil || d.Route.Destination.Bits() < bitsOf(l, d)) {
			return c.bringUp(port(d.node, l.Name), nil)
		}
		if hop, ok := c.toward(d.node, d.query.Dst); d.Route == nil && ok && hop.Interface == l.Name {
			return c.bringUp(port(d.node, l.Name), c.overWay(d, hop).Commands)
		}
	}
	return nil
}

// carried says whether a packet of the attempt was seen at an interface.
func (c *Case) carried(p host.Port) bool {
	for _, w := range c.Attempt.Walks {
		for _, s := range w.Steps {
			if s.Node == p.Node && s.In == p.Interface {
				return true
			}
		}
	}
	return false
}

// bitsOf is the length of the interface's network in which the destination lies.
func bitsOf(l host.Link, d decision) int {
	for _, p := range l.Addresses {
		if p.Contains(d.query.Dst) {
			return p.Bits()
		}
	}
	return 0
}

func (c *Case) bringUp(p host.Port, then []string) *Finding {
	return &Finding{
		Culprit: Culprit{Kind: Link, Node: p.Node, Text: p.Interface},
		Fix:     Fix{Node: p.Node, Commands: append([]string{"ip link set " + p.Interface + " up"}, then...)},
		Values:  Values{"state": "DOWN"},
	}
}

// findBridgeDetached is the end of a veth pair that is a port of no bridge, or of
// another one than that of which its other end's network is.
func findBridgeDetached(c *Case) *Finding {
	x, ok := c.crossing()
	if !ok || x.to == (host.Port{}) || c.hears(x.from, x.to) || !c.sameNetwork(x.from, x.to) {
		return nil
	}
	for _, ends := range [][2]host.Port{{x.to, x.from}, {x.from, x.to}} {
		end := c.link(ends[0]).Peer
		if end == (host.Port{}) || len(routable(c.link(end))) > 0 {
			continue
		}
		if bridge, ok := c.bridgeHeard(end.Node, ends[1]); ok {
			was := c.link(end).Bridge
			f := &Finding{
				Culprit: Culprit{Kind: Link, Node: end.Node, Text: end.Interface},
				Fix:     Fix{Node: end.Node, Commands: []string{"ip link set " + end.Interface + " master " + bridge}},
				Values:  Values{"bridge": bridge, "other": ends[0].Node, "otherdev": ends[0].Interface},
			}
			if was != "" {
				f.Facts = append(f.Facts, c.stateOf(end.Node, end.Interface+" master "+was))
			}
			return f
		}
	}
	return nil
}

// sameNetwork says whether two interfaces have addresses of one network.
func (c *Case) sameNetwork(a, b host.Port) bool {
	for _, p := range c.link(a).Addresses {
		if onLink(c.link(b), p.Addr()) && !p.Addr().IsLinkLocalUnicast() {
			return true
		}
	}
	return false
}

// bridgeHeard is the bridge of a node that is on the segment of a port.
func (c *Case) bridgeHeard(node string, p host.Port) (string, bool) {
	for _, l := range c.Hosts[node].Links {
		if l.Kind == "bridge" && c.hears(p, port(node, l.Name)) {
			return l.Name, true
		}
	}
	return "", false
}

// routable are the addresses of an interface that are not merely for its own link.
func routable(l host.Link) []string {
	var all []string
	for _, p := range l.Addresses {
		if !p.Addr().IsLinkLocalUnicast() {
			all = append(all, p.String())
		}
	}
	return all
}

// findPortIsolated is a bridge between two isolated ports, which may not speak
// with each other (br_skb_isolated in net/bridge/br_private.h).
func findPortIsolated(c *Case) *Finding {
	in, out, ok := c.bridgedPorts()
	if !ok || !c.link(in).Isolated || !c.link(out).Isolated {
		return nil
	}
	f := c.bridgePort(out, "isolated off")
	f.Values["other"] = in.Interface
	return f
}

// bridgedPorts are the two ports of a bridge that the packet has to go through
// on the segment on which it was lost.
func (c *Case) bridgedPorts() (in, out host.Port, ok bool) {
	x, found := c.crossing()
	if !found {
		return in, out, false
	}
	way := c.wire(x.from, x.to)
	for i := 1; i+1 < len(way); i++ {
		if c.link(way[i-1]).Bridge == way[i].Interface && c.link(way[i+1]).Bridge == way[i].Interface {
			return way[i-1], way[i+1], true
		}
	}
	return in, out, false
}

func (c *Case) bridgePort(p host.Port, set string) *Finding {
	return &Finding{
		Culprit: Culprit{Kind: Link, Node: p.Node, Text: p.Interface},
		Fix:     Fix{Node: p.Node, Commands: []string{"bridge link set dev " + p.Interface + " " + set}},
		Values:  Values{"bridge": c.link(p).Bridge},
	}
}

// findPortBlocked is a port that its bridge does not let forward, though it is up.
func findPortBlocked(c *Case) *Finding {
	x, ok := c.crossing()
	if !ok {
		return nil
	}
	for _, p := range c.wire(x.from, x.to) {
		switch l := c.link(p); {
		case l.Bridge == "" || !l.Up || !l.Carrier:
		case l.State == "blocking" || l.State == "listening" || l.State == "learning" || l.State == "disabled":
			f := c.bridgePort(p, "state 3") // BR_STATE_FORWARDING
			f.Values["state"] = l.State
			if l.State != "disabled" { // the spanning tree protocol's work
				f.Fix.Commands = append([]string{"ip link set " + l.Bridge + " type bridge stp_state 0"}, f.Fix.Commands...)
			}
			return f
		}
	}
	return nil
}

// findHairpinOff is a packet that bridge netfilter has given another destination,
// behind the port by which it came: a bridge sends nothing back there
// (should_deliver in net/bridge/br_forward.c).
func findHairpinOff(c *Case) *Finding {
	l, ok := c.lostInside()
	if !ok || l.first.PhysIn == "" || !l.translated() {
		return nil
	}
	in := port(l.last.Node, l.first.PhysIn)
	to, ok := c.holderBehind(in, l.last.Dst.Addr())
	if !ok || c.link(in).Peer != to || c.link(in).Hairpin {
		return nil
	}
	f := c.bridgePort(in, "hairpin on")
	f.Values["to"] = l.last.Dst.Addr().String()
	return f
}
