package assemble

import (
	"slices"
	"time"

	"packetwalk/trace"
)

// limit is what the assembler knows of packets that are not followed.
type limit struct {
	// begun is how many walks have begun since the last Reopen, and round how
	// often the assembler was full before it.
	begun, round int
	// reopened is when listening began again after a Cut.
	reopened time.Time
	cut      bool // since the last Reopen
	skipped  []*leg
	followed uint64
}

// Full says whether as many walks have begun as the limit allows. Packets that
// appear from then on are not followed, until Reopen.
func (a *Assembler) Full() bool { return a.config.Limit > 0 && a.limit.begun >= a.config.Limit }

// Begun is how many walks have begun since the last Reopen.
func (a *Assembler) Begun() int { return a.limit.begun }

// Followed is how many packets the walks account for that were or will be
// handed out, of those that trace.Event.Begins counts.
func (a *Assembler) Followed() uint64 { return a.limit.followed }

// Cut says that no event is listened to since a time at, up to which all have
// been added: walks that have not come to their end by then are not followed any
// more. Those that were not handed out never will be; the others end as
// unfinished. Where at is zero, some events may be missing, and that a packet was
// silent decides nothing. No event may be added before Reopen.
func (a *Assembler) Cut(at time.Time) {
	for _, w := range a.walks {
		a.settle(w, at)
	}
	a.walks = slices.DeleteFunc(a.walks, func(w *walk) bool {
		switch {
		case w.outcome != "":
			return false
		case w.id != 0:
			a.end(w, trace.Unfinished, a.newest)
			return false
		}
		a.limit.followed -= uint64(w.counted)
		w.flow.root().drop(w)
		return true
	})
	// Events that come later may be of packets whose beginning was not heard.
	a.legs = map[trace.Identity][]*leg{}
	a.orphans, a.limit.skipped = nil, nil
	a.limit.cut = true
}

// Reopen allows as many walks again as the limit says.
func (a *Assembler) Reopen(now time.Time) {
	if a.Full() {
		a.limit.round++
	}
	if a.limit.cut {
		a.limit.reopened, a.limit.cut = now, false
	}
	a.limit.begun = 0
}

// mayBegin says whether a leg may begin a walk. While packets may be under way
// that were not heard from their beginning, only one that is may.
func (a *Assembler) mayBegin(l *leg) bool {
	if a.Full() {
		return false
	}
	recently := !a.limit.reopened.IsZero() && l.arrived.Sub(a.limit.reopened) < a.config.LostOnWire
	return !recently || a.atBeginning(l)
}

// atBeginning says whether the leg's first event is the first one that a packet
// can cause on its way.
func (a *Assembler) atBeginning(l *leg) bool {
	e := l.first
	if e.Probe.Kind != trace.Enter || !e.Probe.Base() {
		return false
	}
	if e.Hook != trace.Output && (e.Hook != trace.Prerouting || a.heardFromOthers(l.entry())) {
		return false
	}
	early := a.config.Early == nil || a.config.Early(e.Packet)
	priority, _ := e.Probe.Variant.Priority(e.Hook, e.Probe.Table)
	for variant, tables := range a.probed(l) {
		for _, t := range tables {
			p, ok := variant.Priority(e.Hook, t)
			if ok && p < priority && (early || p > conntrackPriority) {
				return false
			}
		}
	}
	return true
}

// conntrackPriority is the place of connection tracking among a hook's callbacks
// (enum nf_ip_hook_priorities in include/uapi/linux/netfilter_ipv4.h).
const conntrackPriority = -200

// skip notes that a packet is not followed. Its events are still told from those
// of others.
func (a *Assembler) skip(l *leg) {
	l.skipped = true
	a.limit.skipped = append(a.limit.skipped, l)
}

// forgetSkipped drops skipped packets that nothing will come of any more.
func (a *Assembler) forgetSkipped(now time.Time) {
	a.limit.skipped = slices.DeleteFunc(a.limit.skipped, func(l *leg) bool {
		old := now.Sub(l.touched) >= rememberWalk
		if old {
			a.drop([]*leg{l})
		}
		return old
	})
}

// count notes that the leg's walk accounts for its packet.
func (a *Assembler) count(l *leg) {
	if l.walk == nil || !l.last().Begins() {
		return
	}
	l.walk.counted++
	a.limit.followed++
}

// names says whether an ICMP error names one packet: by the sequence number that
// it quotes of a TCP segment.
func names(icmpError, refused trace.Packet) bool {
	q := icmpError.Embedded
	return q != nil && q.Proto == trace.TCP && q.Seq == refused.Seq
}
