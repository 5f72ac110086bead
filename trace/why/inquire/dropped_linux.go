package inquire

import (
	"net/netip"
	"slices"
	"time"

	"packetwalk/trace/dropped"
	"packetwalk/trace/why"
)

// span is the time of an attempt. A zero over says that it is not known when its
// sender gave up.
type span struct{ begin, over time.Time }

// dropped is the kernel's own word on the packets of an attempt, in the order in
// which it was given, each thing that it says once; lost says that some of it may
// be missing. There is none where the kernel cannot be asked.
func (q *Inquiry) dropped(a why.Attempt, when span) (drops []why.Drop, lost bool, err error) {
	if q.drops == nil || len(a.Walks) == 0 {
		return nil, false, nil
	}
	names, err := q.namespaces()
	if err != nil {
		return nil, false, err
	}
	events, whole := q.drops.Since(when.begin)
	for _, e := range dropped.Of(events, dropped.Flows(a.Walks)) {
		d := why.Drop{Node: names[e.Namespace], Reason: e.Reason, Location: e.Location}
		if !e.Vague() && !tooLate(e, a.Local, when.over) && !slices.Contains(drops, d) {
			drops = append(drops, d)
		}
	}
	return drops, !whole, nil
}

// tooLate says whether an answer found no socket because its receiver had given up.
func tooLate(e dropped.Event, local netip.AddrPort, over time.Time) bool {
	return e.Reason == "NO_SOCKET" && e.Packet.Dst == local && !over.IsZero() && e.Time.After(over)
}

// namespaces are the names of the places by the numbers of their namespaces.
func (q *Inquiry) namespaces() (map[uint64]string, error) {
	names := map[uint64]string{}
	for _, p := range q.scene.Places {
		err := p.Do(func() error {
			id, err := dropped.NamespaceID()
			names[id] = p.Name
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return names, nil
}
