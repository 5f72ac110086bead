package nflog

import (
	"net"
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
		return
	}
	e := trace.Event{
		Node: t.target.Node, Probe: probe, Hook: trace.Hook(*a.Hook), Packet: packet, Time: now,
		In: t.names.of(a.InDev), Out: t.names.of(a.OutDev),
		PhysIn: t.names.of(a.PhysInDev), PhysOut: t.names.of(a.PhysOutDev),
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
	if t.started {
		t.lost.Add(uint64(*seq - t.next))
	}
	t.next, t.started = *seq+1, true
}

// interfaceNames maps interface indexes to names. Indexes that it does not
// know make it look again: interfaces come and go.
type interfaceNames map[uint32]string

func (n interfaceNames) of(index *uint32) string {
	if index == nil || *index == 0 {
		return ""
	}
	return n[*index]
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
