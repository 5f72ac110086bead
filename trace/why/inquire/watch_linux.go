package inquire

import (
	"context"
	"slices"
	"time"

	"packetwalk/trace"
	"packetwalk/trace/why"
)

// Watch waits for somebody else's next request to the question's target and
// gathers the evidence about it. Of a question that names no node, any place
// will do that the request is seen at. It waits until ctx ends.
//
// What the request brought its sender is what was seen to go back to it.
func (q *Inquiry) Watch(ctx context.Context, question why.Question) (why.Evidence, error) {
	begin, first := time.Now(), q.book.Next()
	opening, err := q.awaitRequest(ctx, question, first)
	if err != nil {
		return why.Evidence{}, err
	}
	flow := func() []trace.Walk { return ofFlows(q.book.Since(first), map[int]bool{opening.Flow: true}) }
	answer, stop := context.WithTimeout(ctx, q.scene.wait())
	defer stop()
	q.await(answer, func() bool {
		walks := flow()
		return slices.ContainsFunc(walks, stopped) || brought(walks) != why.Silent
	})
	quiet, cancel := context.WithTimeout(ctx, calmAfter)
	defer cancel()
	_ = q.trace.Quiet(quiet, calm) // a connection that goes on is not waited for
	q.book.Sync()
	if ctx.Err() != nil {
		return why.Evidence{}, ctx.Err()
	}
	a := why.Attempt{Local: opening.Packet.Src, Walks: flow()}
	a.Result = brought(a.Walks)
	return q.evidence(ctx, question, a, span{begin: begin})
}

// calmAfter is how long the packets behind an answer that was seen are waited for.
const calmAfter = time.Second

// awaitRequest waits for the first walk that opens a connection to the target,
// and has come to its end.
func (q *Inquiry) awaitRequest(ctx context.Context, question why.Question, first int) (w trace.Walk, err error) {
	isOpening := func(w trace.Walk) bool { return opens(w, question) }
	q.await(ctx, func() bool {
		walks := q.book.Since(first)
		i := slices.IndexFunc(walks, isOpening)
		if i >= 0 {
			w = walks[i]
		}
		return i >= 0
	})
	return w, ctx.Err()
}

// await waits until the walks that have come to their end are enough, or until
// ctx ends.
func (q *Inquiry) await(ctx context.Context, enough func() bool) {
	for q.book.Sync(); !enough(); q.book.Sync() {
		select {
		case <-ctx.Done():
			return
		case <-q.book.Ended():
		}
	}
}

// brought says what a connection's packets mean for its sender: what came to the
// end of its way back, or left for where nothing is traced.
func brought(walks []trace.Walk) why.Result {
	for _, w := range walks {
		if w.Outcome != trace.Delivered && w.Outcome != trace.Forwarded {
			continue
		}
		switch {
		case w.Packet.Embedded != nil && !isPortUnreachable(w.Packet):
			return why.Unreachable
		case w.Packet.Embedded != nil, w.Direction == trace.Reply && w.Packet.Refuses():
			return why.Refused
		case w.Direction == trace.Reply:
			return why.Answered
		}
	}
	return why.Silent
}

// isPortUnreachable is the error for a port at which nobody listens (RFC 792, RFC 4443).
func isPortUnreachable(p trace.Packet) bool {
	if p.Proto == trace.ICMPv6 {
		return p.ICMPType == 1 && p.ICMPCode == 4
	}
	return p.ICMPType == 3 && p.ICMPCode == 3
}
