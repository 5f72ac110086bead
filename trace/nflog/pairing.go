package nflog

import (
	"net/netip"
	"slices"
	"time"

	"packetwalk/trace"
	"packetwalk/trace/decode"
)

// pairing joins what the kernel's trace says of packets at a rule with the
// events of the Reach probe there. The two come by sockets of their own, so
// either may be first; what both tell of one packet they tell in one order.
type pairing struct {
	// events wait for their answers, answers for their events, oldest first.
	events, answers map[meeting][]waiting
	swept           time.Time
	// deaf says that nothing is paired, since one of the accounts has a gap.
	deaf bool
}

// meeting is a packet at a rule.
type meeting struct {
	reach  trace.Probe
	packet headers
}

// headers are what two accounts of a packet have in common while it is in one
// base chain: what neither rules nor their targets change there.
type headers struct {
	identity trace.Identity
	src, dst netip.AddrPort
}

// headersOf reads a packet from its IP header on, or no more of it than its headers.
func headersOf(packet []byte) (h headers, ok bool) {
	p, err := decode.Packet(decode.Headers(packet))
	return headers{p.Identity, p.Src, p.Dst}, err == nil
}

// waiting is an event or an answer.
type waiting struct {
	event   trace.Event
	matched bool
	since   time.Time
}

// pairTime is how long one account waits for the other. The readers of a busy
// machine may be that far apart.
const pairTime = 5 * time.Second

func newPairing() *pairing {
	return &pairing{events: map[meeting][]waiting{}, answers: map[meeting][]waiting{}}
}

// reach takes the event of a Reach probe. Where its answer is there already it
// is returned.
func (p *pairing) reach(e trace.Event, packet headers, now time.Time) (told trace.Event, ok bool) {
	m := meeting{e.Probe, packet}
	if a, ok := p.meet(p.answers, p.events, m, waiting{event: e, since: now}); ok {
		return tell(e, a.matched), true
	}
	return told, false
}

// answer takes what the kernel says of a packet at the rule of an Ask probe.
// Where the event is there already that it belongs to, it is returned as an event.
func (p *pairing) answer(ask trace.Probe, packet headers, matched bool, now time.Time) (told trace.Event, ok bool) {
	m := meeting{as(ask, trace.Reach), packet}
	if r, ok := p.meet(p.events, p.answers, m, waiting{matched: matched, since: now}); ok {
		return tell(r.event, matched), true
	}
	return told, false
}

// meet returns what waits for w, or has w wait for it.
func (p *pairing) meet(others, own map[meeting][]waiting, m meeting, w waiting) (other waiting, ok bool) {
	p.sweep(w.since)
	if p.deaf {
		return other, false
	}
	if queue := others[m]; len(queue) > 0 {
		others[m] = queue[1:]
		return queue[0], true
	}
	own[m] = append(own[m], w)
	return other, false
}

// lose notes that one of the accounts has a gap: what is on its way might be
// paired with the wrong thing, until resume says that nothing is.
func (p *pairing) lose() {
	clear(p.events)
	clear(p.answers)
	p.deaf = true
}

func (p *pairing) resume() { p.deaf = false }

// sweep drops, now and then, what has waited too long.
func (p *pairing) sweep(now time.Time) {
	if now.Sub(p.swept) < pairTime {
		return
	}
	p.swept = now
	for _, queues := range []map[meeting][]waiting{p.events, p.answers} {
		for m, queue := range queues {
			queue = slices.DeleteFunc(queue, func(w waiting) bool { return now.Sub(w.since) >= pairTime })
			if queues[m] = queue; len(queue) == 0 {
				delete(queues, m)
			}
		}
	}
}

// tell is the event that says whether the rule matched which another has reached.
func tell(reach trace.Event, matched bool) trace.Event {
	reach.Probe.Kind = trace.Unmatched
	if matched {
		reach.Probe.Kind = trace.Matched
	}
	return reach
}
