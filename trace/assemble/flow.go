package assemble

import (
	"net/netip"
	"slices"
	"time"

	"packetwalk/trace"
)

// flows knows which packets belong to one connection, by every pair of
// addresses that a packet of it was seen with.
type flows struct {
	last    int
	byTuple map[tuple]*flow
	// now is the time of the newest event.
	now time.Time
}

// flow is a connection.
type flow struct {
	id int // 0 until somebody asks
	// into is the flow that this one turned out to be part of.
	into *flow
	// opened is the sequence number of the SYN that opened the connection;
	// another SYN on the same addresses opens another one.
	opened   uint32
	synSeen  bool
	touched  time.Time
	rewrites []translation
	walks    []*walk // the newest, oldest first
}

// rememberWalks is how many walks of a flow are kept, for what answers them.
const rememberWalks = 16

func (f *flow) add(w *walk) {
	f.walks = append(f.walks, w)
	f.walks = f.walks[max(0, len(f.walks)-rememberWalks):]
}

// drop takes a walk out that is not followed any more.
func (f *flow) drop(w *walk) {
	f.walks = slices.DeleteFunc(f.walks, func(v *walk) bool { return v == w })
	f.rewrites = slices.DeleteFunc(f.rewrites, func(t translation) bool { return t.walk == w })
}

// tuple is a connection's addresses without a direction: the smaller comes first.
type tuple struct {
	proto trace.Proto
	a, b  netip.AddrPort
}

// pair is a packet's addresses.
type pair struct{ src, dst netip.AddrPort }

// translation is an address rewriting that a rule set up.
type translation struct {
	walk     *walk
	node     string
	table    trace.Table
	chain    string
	rule     int
	verdict  trace.Verdict
	from, to pair
}

func newFlows() flows { return flows{byTuple: map[tuple]*flow{}} }

// root follows a flow to the one that it turned out to be part of.
func (f *flow) root() *flow {
	for f.into != nil {
		f = f.into
	}
	return f
}

// tupleOf names the connection of a packet; of an ICMP error that of the packet it quotes.
func tupleOf(p trace.Packet) tuple {
	if p.Embedded != nil {
		p = *p.Embedded
	}
	src, dst := p.Src, p.Dst
	if p.Proto == trace.ICMP || p.Proto == trace.ICMPv6 {
		src, dst = netip.AddrPortFrom(src.Addr(), p.ICMPID), netip.AddrPortFrom(dst.Addr(), p.ICMPID)
	}
	if dst.Compare(src) < 0 {
		src, dst = dst, src
	}
	return tuple{p.Proto, src, dst}
}

// of finds the flow of a packet that begins a walk, or makes one.
func (f *flows) of(p trace.Packet) *flow {
	t := tupleOf(p)
	opens := p.Proto == trace.TCP && p.Flags&(trace.SYN|trace.ACK) == trace.SYN
	known := f.byTuple[t]
	if known != nil {
		known = known.root()
	}
	if known == nil || opens && known.synSeen && known.opened != p.Seq {
		known = &flow{}
	}
	if opens {
		known.synSeen, known.opened = true, p.Seq
	}
	known.touched = f.now
	f.byTuple[t] = known
	return known
}

// learn notes that a packet with these addresses belongs to the flow, and says
// whether the flow was not known by them. Where another flow was, the two are
// one: the walk in between was seen last.
func (f *flows) learn(p trace.Packet, w *flow) (renamed bool) {
	w = w.root()
	w.touched = f.now
	t := tupleOf(p)
	known := f.byTuple[t]
	if known != nil && known.root() == w {
		return false
	}
	f.byTuple[t] = w
	if known = known.sameConnection(w); known != nil {
		known.into = w
		w.rewrites = append(w.rewrites, known.rewrites...)
		for _, walk := range known.walks {
			w.add(walk)
		}
	}
	return true
}

// sameConnection returns the root of f where it can be a part of w that was
// seen too early to be known as such; nil otherwise.
func (f *flow) sameConnection(w *flow) *flow {
	if f == nil {
		return nil
	}
	if f = f.root(); f.synSeen && w.synSeen && f.opened != w.opened {
		return nil
	}
	return f
}

// number gives a flow its number when somebody first asks for it.
func (f *flows) number(w *flow) int {
	w = w.root()
	if w.id == 0 {
		f.last++
		w.id = f.last
	}
	return w.id
}

// remember notes a translation that a rule set up in the flow.
func (f *flow) remember(t translation) {
	f = f.root()
	for i, old := range f.rewrites {
		if old.walk == t.walk && old.node == t.node && old.chain == t.chain && old.rule == t.rule {
			f.rewrites[i] = t
			return
		}
	}
	f.rewrites = append(f.rewrites, t)
}

// recall finds the translation that a rewriting applies again or, on a reply, turns back.
func (f *flow) recall(t translation) (found translation, undone, ok bool) {
	for _, r := range f.root().rewrites {
		if r.node != t.node {
			continue
		}
		if r.from == t.from && r.to == t.to {
			return r, false, true
		}
		destination := r.from.dst != r.to.dst && t.from.src == r.to.dst && t.to.src == r.from.dst
		source := r.from.src != r.to.src && t.from.dst == r.to.src && t.to.dst == r.from.src
		if destination || source {
			return r, true, true
		}
	}
	return translation{}, false, false
}

// forget drops the flows that were quiet since then.
func (f *flows) forget(then time.Time) {
	for t, known := range f.byTuple {
		if known.root().touched.Before(then) {
			delete(f.byTuple, t)
		}
	}
}
