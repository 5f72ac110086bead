package why

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/host"
)

// findNotPublished is a port of a machine that publishes others: no rule sends
// this one on, and nothing on the machine itself listens.
func findNotPublished(c *Case) *Finding {
	at, ok := c.unpublished()
	onPort := func(s host.Socket) bool { return s.Local.Port() == at.Dst.Port() }
	if !ok || len(c.missedBy(at)) > 0 || !c.publishes(at.Node) || slices.ContainsFunc(c.Sockets(at.Node), onPort) {
		return nil
	}
	v := c.natVariant(at.Node)
	f := &Finding{
		Culprit: Culprit{Kind: Chain, Node: at.Node, Variant: v.String(), Table: trace.NAT, Chain: at.Hook.String(), Text: fmt.Sprintf("no rule for %s port %d", at.header.Proto, at.Dst.Port())},
		Facts:   c.dockerSays(),
		Values:  Values{},
	}
	behind := c.behind(at.Node)
	for _, s := range behind {
		f.Facts = append(f.Facts, Fact{Kind: SocketsThere, Step: -1, Values: Values{"node": s.node, "sockets": s.String()}})
	}
	to, ok := meant(behind, at.Dst.Port())
	switch {
	case ok:
		maps.Copy(f.Values, Values{"todo": todoPublish, "container": to.node, "inside": to.String(), "map": dockerMap(at, to.at.Port())})
	case len(behind) > 0:
		maps.Copy(f.Values, Values{"todo": todoChoose, "services": namesOf(behind), "map": dockerMap(at, 0)})
	default:
		maps.Copy(f.Values, Values{"todo": todoStart, "map": dockerMap(at, 0)})
	}
	if ok && !at.Dst.Addr().IsLoopback() {
		c.publish(f, at, v, to.at)
	}
	return f
}

// dockerMap is what stands behind Docker's -p for a packet's port; port 0 is left
// to whoever reads it.
func dockerMap(at passage, port uint16) string {
	inside := "PORT"
	if port > 0 {
		inside = strconv.Itoa(int(port))
	}
	text := fmt.Sprintf("%d:%s", at.Dst.Port(), inside)
	if at.header.Proto != trace.TCP {
		text += "/" + at.header.Proto.String()
	}
	return text
}

// namesOf lists services with their nodes.
func namesOf(all []service) string {
	var names []string
	for _, s := range all {
		names = append(names, s.node+" "+s.String())
	}
	return strings.Join(names, ", ")
}

// publishes says whether a machine sends any port on, or has containers behind it.
func (c *Case) publishes(node string) bool {
	_, docker := c.Rules[node][c.natVariant(node)].Chain(trace.NAT, "DOCKER")
	return docker || len(c.natRules(node, trace.Prerouting, rewritesDestination)) > 0 || len(c.behind(node)) > 0
}

// service is a socket of a container, at an address that its host can reach.
type service struct {
	node string
	at   netip.AddrPort
	text string
}

func (s service) String() string { return s.text + " " + s.at.String() }

// behind are the services of the nodes on a node's bridges, by node and port.
func (c *Case) behind(node string) []service {
	var all []service
	for _, other := range c.nodes() {
		if other == node || other == c.Question.From {
			continue
		}
		for _, l := range c.Hosts[other].Links {
			for _, p := range l.Addresses {
				if bridge := c.connected(node, p.Addr()); bridge == "" || !c.isBridge(node, bridge) || p.Addr().Is4() != c.asked().Addr().Is4() {
					continue
				}
				for _, s := range c.Sockets(other) {
					if at := netip.AddrPortFrom(p.Addr(), s.Local.Port()); s.Takes(s.Proto, at) {
						all = append(all, service{other, at, s.Proto.String()})
					}
				}
			}
		}
	}
	return all
}

// meant is the service that a port was meant for, if there is only one that it
// can be: the only one with this number, or the only one at all.
func meant(all []service, port uint16) (to service, ok bool) {
	alike := slices.DeleteFunc(slices.Clone(all), func(s service) bool { return s.at.Port() != port })
	switch {
	case len(alike) == 1:
		return alike[0], true
	case len(alike) == 0 && len(all) == 1:
		return all[0], true
	}
	return service{}, false
}
