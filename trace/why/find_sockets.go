package why

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/host"
)

// takes says whether a socket takes in what arrives as a step describes it.
func (c *Case) takes(at trace.Step) bool {
	return slices.ContainsFunc(c.Sockets(at.Node), func(s host.Socket) bool {
		return s.Takes(s.Proto, at.Dst) && (s.Interface == "" || s.Interface == at.In)
	})
}

// knowsSockets says whether the sockets of a node could be read.
func (c *Case) knowsSockets(node string) bool {
	s, ok := c.Hosts[node]
	return ok && s.Unseen[host.Sockets] == ""
}

// listens says whether a node has a socket for an address.
func (c *Case) listens(node string, to netip.AddrPort) bool {
	return slices.ContainsFunc(c.Sockets(node), func(s host.Socket) bool { return s.Takes(s.Proto, to) })
}

// refusedAt says whether a node told the sender that it does not take the
// request, whether or not that came through.
func (c *Case) refusedAt(node string) bool {
	at, ok := c.Arrived()
	if !ok || at.Node != node {
		return false
	}
	return c.Attempt.Result == Refused || slices.ContainsFunc(c.Refusals, func(w trace.Walk) bool { return w.Steps[0].Node == node })
}

// untaken is a request that arrived where no socket takes it in, and was refused.
func (c *Case) untaken() (at trace.Step, ok bool) {
	at, ok = c.Arrived()
	return at, ok && c.refusedAt(at.Node) && c.knowsSockets(at.Node) && !c.takes(at)
}

// onPort is a socket of the right port that does not take the request.
func (c *Case) onPort(is func(host.Socket, trace.Step) bool) *Finding {
	at, ok := c.untaken()
	if !ok {
		return nil
	}
	for _, s := range c.Sockets(at.Node) {
		if s.Local.Port() == at.Dst.Port() && is(s, at) {
			return &Finding{
				Culprit: Culprit{Kind: Socket, Node: at.Node, Text: socketText(s)},
				Values:  Values{"socket": s.Local.String(), "process": s.Process, "bound": bare(s.Local.Addr()), "interface": s.Interface},
				Facts:   []Fact{c.listening(at.Node)},
			}
		}
	}
	return nil
}

// socketText is a socket as a culprit.
func socketText(s host.Socket) string {
	text := s.Proto.String() + " " + s.Local.String()
	if s.Interface != "" {
		text += "%" + s.Interface
	}
	return text
}

// listening are the sockets of a node for the protocol in question.
func (c *Case) listening(node string) Fact {
	var all []string
	for _, s := range c.Sockets(node) {
		all = append(all, socketText(s))
	}
	if len(all) == 0 {
		return Fact{Kind: NoSockets, Step: -1, Values: Values{"node": node, "proto": c.Question.Target.Proto.String()}}
	}
	slices.Sort(all)
	return Fact{Kind: SocketsThere, Step: -1, Values: Values{"node": node, "sockets": strings.Join(slices.Compact(all), ", ")}}
}

// findLoopbackOnly is a server that listens on the loopback address only.
func findLoopbackOnly(c *Case) *Finding {
	return c.onPort(func(s host.Socket, _ trace.Step) bool { return s.Local.Addr().Unmap().IsLoopback() })
}

// findOtherAddress is a server that is bound to another address or interface of
// its machine.
func findOtherAddress(c *Case) *Finding {
	return c.onPort(func(s host.Socket, at trace.Step) bool {
		a := s.Local.Addr().Unmap()
		return !a.IsUnspecified() && a.Is4() == at.Dst.Addr().Unmap().Is4() || s.Interface != "" && s.Takes(s.Proto, at.Dst)
	})
}

// findOtherFamily is a server that listens on the other address family only.
func findOtherFamily(c *Case) *Finding {
	return c.onPort(func(s host.Socket, at trace.Step) bool {
		return s.Local.Addr().Unmap().Is4() != at.Dst.Addr().Unmap().Is4()
	})
}

// findBacklogFull is a server that accepts no connections: those that wait for
// it are as many as may wait (sk_acceptq_is_full in include/net/sock.h).
func findBacklogFull(c *Case) *Finding {
	at, ok := c.Arrived()
	if !ok || c.Question.Target.Proto != trace.TCP || c.Attempt.Result == Refused {
		return nil
	}
	for _, s := range c.Sockets(at.Node) {
		if s.Takes(s.Proto, at.Dst) && s.Queued > s.Limit {
			return &Finding{
				Culprit: Culprit{Kind: Socket, Node: at.Node, Text: socketText(s)},
				Values:  Values{"queued": fmt.Sprint(s.Queued), "limit": fmt.Sprint(s.Limit), "process": s.Process},
			}
		}
	}
	return nil
}

// refusedBeyond is a request that left the traced nodes for a namespace of the same
// machine in which, by the kernel's word, no socket takes it in.
func (c *Case) refusedBeyond() (last trace.Step, ok bool) {
	if c.Request == nil || c.Request.Outcome != trace.Forwarded || c.Attempt.Result != Refused {
		return trace.Step{}, false
	}
	ok = slices.ContainsFunc(c.Drops, func(d Drop) bool { return d.Node == "" && d.Reason == "NO_SOCKET" })
	return c.Request.Steps[len(c.Request.Steps)-1], ok
}

// findNothingListens is a request that arrived where no socket takes it in.
func findNothingListens(c *Case) *Finding {
	if proto := c.Question.Target.Proto; proto != trace.TCP && proto != trace.UDP {
		return nil
	}
	if last, ok := c.refusedBeyond(); ok {
		node := bare(last.Dst.Addr())
		return &Finding{
			Culprit: Culprit{Kind: Socket, Node: node, Text: c.Question.Target.Proto.String() + " " + last.Dst.String()},
			Values:  Values{"at": node, "dst": endpoint(last.Dst)},
		}
	}
	at, ok := c.untaken()
	if !ok {
		return nil
	}
	return &Finding{
		Culprit: Culprit{Kind: Socket, Node: at.Node, Text: c.Question.Target.Proto.String() + " " + at.Dst.String()},
		Facts:   []Fact{c.listening(at.Node)},
	}
}

// findPingIgnored is a machine that is set to answer no ping.
func findPingIgnored(c *Case) *Finding {
	names := map[trace.Proto]string{trace.ICMP: "net.ipv4.icmp_echo_ignore_all", trace.ICMPv6: "net.ipv6.icmp.echo_ignore_all"}
	at, ok := c.Arrived()
	name := names[c.Question.Target.Proto]
	if !ok || c.Reply != nil || c.Hosts[at.Node].Sysctls[name] != "1" {
		return nil
	}
	return &Finding{
		Culprit: Culprit{Kind: Sysctl, Node: at.Node, Text: name + " = 1"},
		Fix:     Fix{Node: at.Node, Commands: []string{"sysctl -w " + name + "=0"}},
	}
}

// findSilentService is a datagram that arrived at a socket, and nothing came back.
func findSilentService(c *Case) *Finding {
	at, ok := c.Arrived()
	if !ok || c.Question.Target.Proto != trace.UDP || c.Reply != nil || len(c.Refusals) > 0 || !c.takes(at) {
		return nil
	}
	i := slices.IndexFunc(c.Sockets(at.Node), func(s host.Socket) bool { return s.Takes(s.Proto, at.Dst) })
	s := c.Sockets(at.Node)[i]
	return &Finding{
		Culprit: Culprit{Kind: Socket, Node: at.Node, Text: socketText(s)}, Values: Values{"process": s.Process},
		Unseen: []Fact{{Kind: WouldShow, Step: -1, Values: Values{"node": at.Node, "command": fmt.Sprintf("tcpdump -ni any udp port %d", at.Dst.Port())}}},
	}
}
