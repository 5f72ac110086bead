package nflog

import (
	"slices"

	"packetwalk/trace"
)

// countTable is the table whose probes count the packets that begin their way.
// That is the first one. Where a filter follows connections, it is the first
// behind connection tracking: in front of it a reply that NAT has to turn back
// does not show what it belongs to.
func (p *Plan) countTable() trace.Table {
	if p.narrow && p.conntrack {
		return trace.Mangle
	}
	return trace.Raw
}

// counting makes the probes of a chain's beginning count packets, where packets
// begin their way: one adds every packet of the hook, and at PREROUTING another
// takes those off that come from the machine itself, which OUTPUT has counted.
func (p *Plan) counting(base trace.Probe, head []wanted) []wanted {
	hook, ok := trace.HookOf(base.Chain)
	if !p.subject.Count || !base.Base() || base.Table != p.countTable() || !ok || hook != trace.Prerouting && hook != trace.Output {
		return head
	}
	for i := range head {
		head[i].probe.Counts = 1
	}
	if hook == trace.Output {
		return head
	}
	tally := as(base, trace.Tally)
	tally.Counts = -1
	return append(slices.Clone(head), wanted{probe: tally, match: []string{"-i", trace.Loopback}})
}
