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
	if a.Prefix == nil || a.Payload == nil || a.Hook == nil {
		return
	}
	prefix, ok := ParsePrefix(*a.Prefix)
	if !ok || prefix.Run != t.run {
		return // somebody else logs to our group
	}
	probe, ok := (*t.probes.Load())[prefix.Probe]
	if !ok {
		return // removed meanwhile
	}
	packet, err := decode.Packet(*a.Payload)
	if err != nil {
		t.lost.Add(1) // as good as lost
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
	t.receive(e)
}

// count finds gaps in the sequence numbers.
func (t *Tracer) count(seq *uint32) {
	if seq == nil {
		return
	}
	t.lost.Add(uint64(*seq - t.next))
	t.next = *seq + 1
	t.overrun.Store(false)
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
