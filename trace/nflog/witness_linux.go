package nflog

import (
	"packetwalk/trace"
	"packetwalk/trace/nftrace"
)

// ruleKey names a rule of nf_tables as the kernel does.
type ruleKey struct {
	family trace.Family
	table  string
	handle uint64
}

// role is what a rule is to a trace.
type role struct {
	kind roleKind
	// ask is the number of an Ask probe, and about the rule that it asks about.
	ask   int
	about ruleKey
}

type roleKind uint8

const (
	ordinary roleKind = iota // somebody's rule, or a probe of ours that logs
	asking                   // an Ask probe of ours
	foreign                  // a probe of another trace
)

// testimony is what the kernel's trace says of a rule that a packet came to.
type testimony struct {
	ask     int // the number of the Ask probe
	packet  headers
	matched bool
}

// witness follows the kernel's trace packet by packet and finds in it what
// rules did that Ask probes stand before.
type witness struct {
	// packets holds the headers of the packets that are traced, by their names:
	// the kernel tells them once a base chain. It does not tell when it is done
	// with a packet, so older holds those that were not seen since packets was
	// emptied last.
	packets, older map[uint32]headers
	// open holds, by packet, the Ask probes that were passed last and not
	// answered yet.
	open map[uint32]role
}

// mostPackets is how many packets a witness keeps apart, at least: far more
// than are in the hands of netfilter at one time.
const mostPackets = 4096

func newWitness() *witness {
	return &witness{packets: map[uint32]headers{}, open: map[uint32]role{}}
}

// take takes the next message. It returns a testimony where the message settles
// what a rule did. rules says what the rules are that messages name.
func (w *witness) take(m nftrace.Message, rules map[ruleKey]role) (t testimony, ok bool) {
	if m.Headers != nil {
		w.begin(m)
	}
	key := ruleKey{m.Family, m.Table, m.Handle}
	rule, known := rules[key]
	if asked, isOpen := w.open[m.ID]; isOpen && rule.kind != foreign {
		delete(w.open, m.ID)
		// Of a rule that is not known it cannot be said where it stands: it may be
		// the one that was asked about, put in place anew.
		if known || m.Handle == 0 {
			p, seen := w.packet(m.ID)
			t, ok = testimony{asked.ask, p, key == asked.about}, seen
		}
	}
	if rule.kind == asking {
		w.open[m.ID] = rule
	}
	return t, ok
}

// begin notes what packet a name stands for from now on.
func (w *witness) begin(m nftrace.Message) {
	delete(w.open, m.ID)
	delete(w.packets, m.ID)
	delete(w.older, m.ID)
	if len(w.packets) >= mostPackets {
		w.packets, w.older = map[uint32]headers{}, w.packets
		w.open = map[uint32]role{}
	}
	if h, ok := headersOf(m.Headers); ok {
		w.packets[m.ID] = h
	}
}

func (w *witness) packet(id uint32) (h headers, ok bool) {
	if h, ok = w.packets[id]; !ok {
		h, ok = w.older[id]
	}
	return h, ok
}
