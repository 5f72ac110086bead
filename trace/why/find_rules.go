package why

import (
	"fmt"
	"slices"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

// judgement is the finding that a rule or policy is to blame, with an exception
// as the fix.
func (c *Case) judgement(w *trace.Walk, end trace.Step) *Finding {
	p := c.coming(w, end)
	f := &Finding{Culprit: culpritOf(end), Fix: c.letThrough(w, end), Values: p.like()}
	f.Values["wider"], f.Values["in"], f.Values["out"], f.Values["verdict"] = c.wider(end), end.In, end.Out, string(end.Verdict)
	return f
}

// wider takes away what stopped a packet. A rule is deleted by what it says: its
// number is another one's as soon as the exception stands in front of it.
func (c *Case) wider(end trace.Step) string {
	rest, ok := strings.CutPrefix(end.Text, "-A ")
	switch {
	case end.Policy:
		return fmt.Sprintf("%s -P %s ACCEPT", c.table(end), end.Chain)
	case !ok:
		return fmt.Sprintf("%s -D %s %d", c.table(end), end.Chain, end.Rule)
	}
	return c.table(end) + " -D " + rest
}

// stoppedBy is Judged where a rule did it, which is what most finders ask for.
func (c *Case) stoppedBy(verdicts ...trace.Verdict) (w *trace.Walk, end trace.Step, ok bool) {
	w, end, ok = c.Judged()
	return w, end, ok && !end.Policy && slices.Contains(verdicts, end.Verdict)
}

// findOtherVariant is a rule or policy in that implementation of iptables which
// the machine's own command does not show.
func findOtherVariant(c *Case) *Finding {
	w, end, ok := c.Judged()
	own, known := c.Default[end.Node]
	if !ok || !known || own == end.Variant {
		return nil
	}
	f := c.judgement(w, end)
	f.Values["variant"], f.Values["own"] = c.iptablesOf(end.Variant), c.iptablesOf(own)
	return f
}

// findInvalidDrop is a rule for packets that connection tracking takes for invalid.
func findInvalidDrop(c *Case) *Finding {
	w, end, ok := c.stoppedBy(trace.Drop, trace.Reject)
	if !ok || end.CTState != trace.Invalid || !asksFor(end.Text, "INVALID") {
		return nil
	}
	f := c.judgement(w, end)
	if c.IsReply(w) && !passes(c.Request, end.Node) {
		f.Facts = append(f.Facts, Fact{Kind: RequestElsewhere, Step: -1, Values: Values{"node": end.Node}})
	}
	for _, s := range c.untracking(c.Request, end.Node) {
		f.Facts = append(f.Facts, ruleFact(s))
	}
	return f
}

// asksFor says whether a rule asks for a state of connection tracking.
func asksFor(rule, state string) bool {
	words, err := ruleset.Words(rule)
	if err != nil {
		return false
	}
	i := slices.IndexFunc(words, func(w string) bool { return w == "--ctstate" || w == "--state" })
	return i > 0 && i+1 < len(words) && words[i-1] != "!" && slices.Contains(strings.Split(words[i+1], ","), state)
}

// passes says whether a walk came through a node.
func passes(w *trace.Walk, node string) bool {
	return w != nil && slices.ContainsFunc(w.Steps, func(s trace.Step) bool { return s.Node == node })
}

// findReplyDropped is an answer that a rule or policy stopped: the request had arrived.
func findReplyDropped(c *Case) *Finding {
	w, end, ok := c.Judged()
	if !ok || !c.IsReply(w) {
		return nil
	}
	return c.judgement(w, end)
}

// findInternalNetwork is Docker's rule around a network that leads nowhere.
func findInternalNetwork(c *Case) *Finding {
	w, end, ok := c.stoppedBy(trace.Drop)
	if !ok || end.Chain != "DOCKER-INTERNAL" && end.Chain != "DOCKER-ISOLATION-STAGE-1" {
		return nil
	}
	return c.judgement(w, end)
}

// findBridgeIsolation is Docker's rule between the bridges of two networks.
func findBridgeIsolation(c *Case) *Finding {
	w, end, ok := c.stoppedBy(trace.Drop)
	if !ok || end.Chain != "DOCKER-ISOLATION-STAGE-2" && !(c.keepsToBridge(end) && c.isBridge(end.Node, end.In)) {
		return nil
	}
	return c.judgement(w, end)
}

// findDirectAccess is Docker's rule against whoever asks for a container's own
// address instead of the published port.
func findDirectAccess(c *Case) *Finding {
	w, end, ok := c.stoppedBy(trace.Drop)
	if !ok || !c.keepsToBridge(end) {
		return nil
	}
	if _, ok := translated(w); ok {
		return nil
	}
	f := c.judgement(w, end)
	f.Values["published"] = strings.Join(c.publishedFor(end.Node, w.Packet.Proto, end.Dst), ", ")
	for _, port := range c.publishedFor(end.Node, w.Packet.Proto, end.Dst) {
		f.Facts = append(f.Facts, Fact{Kind: PublishedAs, Step: -1, Values: Values{"node": end.Node, "dst": end.Dst.String(), "port": port}})
	}
	return f
}

// keepsToBridge says whether a rule is one of those by which Docker 28 keeps
// everybody else away from a bridge: "-d CONTAINER ! -i BRIDGE -j DROP" in
// raw/PREROUTING, and "! -i BRIDGE -o BRIDGE -j DROP" behind the published ports
// in filter/DOCKER.
func (c *Case) keepsToBridge(s trace.Step) bool {
	r, err := ruleset.ParseRule(s.Text)
	if err != nil {
		return false
	}
	bridge := notFrom(r.Match)
	switch {
	case bridge == "":
		return false
	case s.Table == trace.Raw && s.Hook == trace.Prerouting:
		return len(r.Match) == 5 && r.Match[0] == "-d"
	}
	return isDockers(s.Chain) && slices.Equal(r.Match, []string{"!", "-i", bridge, "-o", bridge})
}

// notFrom is the interface of "! -i"; empty where there is none.
func notFrom(match []string) string {
	for i := 0; i+2 < len(match); i++ {
		if match[i] == "!" && match[i+1] == "-i" {
			return match[i+2]
		}
	}
	return ""
}

// findContainersApart is Docker's rule between the containers of one network,
// or somebody's like it.
func findContainersApart(c *Case) *Finding {
	w, end, ok := c.stoppedBy(trace.Drop, trace.Reject)
	if !ok || !bridged(end.In, end.Out, end.PhysOut) {
		return nil
	}
	r, err := ruleset.ParseRule(end.Text)
	if err != nil || !slices.Equal(r.Match, []string{"-i", end.In, "-o", end.Out}) {
		return nil
	}
	return c.judgement(w, end)
}

// findBridgeNetfilter is a packet that only crosses a bridge, and that bridge
// netfilter sends through FORWARD.
func findBridgeNetfilter(c *Case) *Finding {
	w, end, ok := c.Judged()
	if !ok || !bridged(end.In, end.Out, end.PhysOut) {
		return nil
	}
	f := c.judgement(w, end)
	sysctl := "net.bridge.bridge-nf-call-iptables"
	if c.Family() == trace.IPv6 {
		sysctl = "net.bridge.bridge-nf-call-ip6tables"
	}
	f.Values["sysctl"], f.Values["physin"], f.Values["physout"] = sysctl, end.PhysIn, end.PhysOut
	if v, ok := c.Hosts[end.Node].Sysctls[sysctl]; ok {
		f.Facts = append(f.Facts, Fact{Kind: StateOf, Step: -1, Values: Values{"node": end.Node, "text": sysctl + " = " + v}})
	}
	return f
}

// findOutputDrop is a rule or policy in the sender's own OUTPUT.
func findOutputDrop(c *Case) *Finding {
	w, end, ok := c.Judged()
	if !ok || end.Hook != trace.Output || end.Verdict != trace.Drop || end.Node != w.Steps[0].Node {
		return nil
	}
	return c.judgement(w, end)
}

// findInputDrop is a rule or policy in the INPUT of the machine that is asked.
func findInputDrop(c *Case) *Finding {
	w, end, ok := c.Judged()
	if !ok || end.Hook != trace.Input || end.Verdict != trace.Drop {
		return nil
	}
	return c.judgement(w, end)
}

// findRejectRule is a rule that refused the packet with an error.
func findRejectRule(c *Case) *Finding {
	w, end, ok := c.stoppedBy(trace.Reject)
	if !ok {
		return nil
	}
	f := c.judgement(w, end)
	f.Values["with"] = "icmp-port-unreachable"
	if _, with, ok := strings.Cut(end.Text, "--reject-with "); ok {
		f.Values["with"] = with
	}
	return f
}

// findDropRule is a rule of iptables that dropped the request.
func findDropRule(c *Case) *Finding {
	w, end, ok := c.stoppedBy(trace.Drop)
	if !ok {
		return nil
	}
	return c.judgement(w, end)
}

// findPolicyDrop is the policy of a base chain.
func findPolicyDrop(c *Case) *Finding {
	w, end, ok := c.Judged()
	if !ok || !end.Policy {
		return nil
	}
	return c.judgement(w, end)
}
