package nflog

import (
	"net"
	"strconv"
	"time"

	gonflog "github.com/florianl/go-nflog/v2"

	"packetwalk/trace"
	"packetwalk/trace/decode"
)

// handle turns one message of the kernel into an event. It runs in the
// reader's goroutine only.
func (t *Tracer) handle(a gonflog.Attribute) {
	now := time.Now()
	t.count(a.Seq)
	if t.discard.Load() {
		return
	}
	if a.Prefix == nil || a.Payload == nil || a.Hook == nil {
		return
	}
	prefix, ok := ParsePrefix(*a.Prefix)
	if !ok || prefix.Run != t.run {
		return // somebody else logs to our group
	}
	probe, ok := (*t.probes.Load())[prefix.Probe]
	if !ok || probe.Kind == trace.Tally {
		return // removed meanwhile, or there for its counter only
	}
	packet, err := decode.Packet(*a.Payload)
	if err != nil {
		t.miss(1) // as good as lost
		return
	}
	e := trace.Event{
		Node: t.target.Node, Probe: probe, Hook: trace.Hook(*a.Hook), Packet: packet, Time: now,
		In: t.name(a.InDev), Out: t.name(a.OutDev),
		PhysIn: t.name(a.PhysInDev), PhysOut: t.name(a.PhysOutDev),
	}
	if a.Mark != nil {
		e.Mark = *a.Mark
	}
	if a.Timestamp != nil {
		e.Time, e.KernelTime = *a.Timestamp, true
	}
	e.Missed, t.missed = t.missed, 0
	t.handOn(e, *a.Payload)
}

// count finds gaps in the sequence numbers.
func (t *Tracer) count(seq *uint32) {
	if seq == nil {
		return
	}
	gap := int32(*seq - t.next)
	t.next = *seq + 1
	// A group that is bound again counts from the beginning. What another processor
	// was about to say to the old one may still come, between Unmute and the new
	// one's first event: neither is a gap.
	anew := t.unmuted.Swap(false) || gap < 0
	if anew {
		gap = 0
	}
	discard := t.discard.Load()
	if discard {
		// Neither these events are wanted, nor those that nobody was told of yet.
		t.lost.Add(-uint64(t.missed))
		gap, t.missed = 0, 0
	}
	if gap > 0 || anew || discard {
		t.accountsDiffer()
	}
	t.miss(uint32(gap))
	t.overrun.Store(false)
}

func (t *Tracer) miss(n uint32) {
	t.lost.Add(uint64(n))
	t.missed += int(n)
}

// interfaceNames maps interface indexes to names.
type interfaceNames map[uint32]string

// name is the name of an interface. Interfaces come and go: an index that is
// not known is looked for anew.
func (t *Tracer) name(index *uint32) string {
	if index == nil || *index == 0 {
		return ""
	}
	if t.stale.Swap(false) {
		clear(t.names)
	}
	if _, known := t.names[*index]; !known {
		_ = t.target.Namespace.Do(func() error { t.names.refresh(); return nil }) // without a name the event still counts
		if _, known := t.names[*index]; !known {
			t.names[*index] = "#" + strconv.FormatUint(uint64(*index), 10) // gone already
		}
	}
	return t.names[*index]
}

// refresh must run on a thread in the network namespace.
func (n interfaceNames) refresh() {
	ifs, err := net.Interfaces()
	if err != nil {
		return
	}
	for _, i := range ifs {
		n[uint32(i.Index)] = i.Name
	}
}
