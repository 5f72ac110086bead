package inquire

import (
	"slices"
	"time"

	"packetwalk/trace"
	"packetwalk/trace/dropped"
	"packetwalk/trace/why"
)

// dropped is the kernel's own word on the packets of walks since a time, in the
// order in which it was given, each thing that it says once. There is none where
// the kernel cannot be asked.
func (q *Inquiry) dropped(walks []trace.Walk, since time.Time) ([]why.Drop, error) {
	if q.drops == nil || len(walks) == 0 {
		return nil, nil
	}
	names, err := q.namespaces()
	if err != nil {
		return nil, err
	}
	events, _ := q.drops.Since(since) // what is missing would only have confirmed the rest
	var drops []why.Drop
	for _, e := range dropped.Of(events, dropped.Flows(walks)) {
		d := why.Drop{Node: names[e.Namespace], Reason: e.Reason, Location: e.Location}
		if !e.Vague() && !slices.Contains(drops, d) {
			drops = append(drops, d)
		}
	}
	return drops, nil
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
