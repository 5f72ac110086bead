package inquire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"packetwalk/lab"
	"packetwalk/trace"
	"packetwalk/trace/why"
)

const (
	// calm is how long nothing may happen before the request's packets count as
	// all seen.
	calm = 50 * time.Millisecond
	// patience is how long walks that do not end are waited for.
	patience = 6 * time.Second
	// grace is how long an answer may still come when a packet of the request
	// has come to a bad end: an error that refuses it is on its way.
	grace = 200 * time.Millisecond
)

// attempt sends the request, and waits until its packets have come to their
// ends. It notes when the request was over.
func (q *Inquiry) attempt(ctx context.Context, from Place, question why.Question, first int, when *span) (why.Attempt, error) {
	sending, cancel := context.WithTimeout(ctx, q.scene.wait())
	defer cancel()
	giveUp, ended := context.WithCancelCause(sending)
	defer ended(nil)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		q.awaitEnd(giveUp, question, first)
		ended(errEnded)
	}()
	r, err := lab.Request(giveUp, from, client(question))
	when.over = time.Now()
	ended(nil)
	<-watching
	if ctx.Err() != nil {
		return why.Attempt{}, ctx.Err()
	}
	if err := unasked(question, err); err != nil {
		return why.Attempt{}, err
	}
	quiet, stop := context.WithTimeout(ctx, patience)
	defer stop()
	_ = q.trace.Quiet(quiet, calm) // what is not over by then counts as it is
	q.book.Sync()
	a := why.Attempt{Local: r.Local, Walks: belonging(q.book.Since(first), question)}
	a.Result, a.Err = outcome(question.Target, r, err)
	if a.Result == why.Answered {
		a.Status, a.Body, a.Cut = pageOf(question.Target, r)
	}
	if !a.Local.IsValid() && len(a.Walks) > 0 {
		a.Local = a.Walks[0].Packet.Src
	}
	return a, nil
}

// awaitEnd waits until a packet of the request has come to an end that no
// answer follows, or until ctx ends.
func (q *Inquiry) awaitEnd(ctx context.Context, question why.Question, first int) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.book.Ended():
		}
		q.book.Sync()
		if slices.ContainsFunc(belonging(q.book.Since(first), question), stopped) {
			select {
			case <-ctx.Done():
			case <-time.After(grace):
			}
			return
		}
	}
}

// stopped says whether a packet went no further. What a later packet of a
// connection came to is no reason to give it up.
func stopped(w trace.Walk) bool {
	opening := w.Packet.Proto != trace.TCP || w.Packet.Flags&trace.SYN != 0
	return opening && (w.Outcome == trace.Dropped || w.Outcome == trace.Lost)
}

// client is the request as a client of a lab.
func client(q why.Question) lab.Client {
	c := lab.Client{Node: q.From, To: q.Target.Addr, Source: q.Source, From: q.Port, Protocol: lab.Ping}
	switch {
	case q.Target.HTTP:
		c.Protocol, c.Path = lab.HTTP, q.Target.Path
	case q.Target.Proto == trace.TCP:
		c.Protocol = lab.TCPEcho
	case q.Target.Proto == trace.UDP:
		c.Protocol = lab.UDPEcho
	}
	return c
}

// unasked is what kept a request from being made that says nothing of its target:
// the port that it was to come from is another socket's.
func unasked(q why.Question, err error) error {
	// A port in use for this very target is told by EADDRNOTAVAIL, which over IPv6
	// also means that there is no source address.
	taken := errors.Is(err, unix.EADDRINUSE) || q.Port != 0 && q.Target.Addr.Addr().Is4() && errors.Is(err, unix.EADDRNOTAVAIL)
	if !taken {
		return nil
	}
	return fmt.Errorf("asking from port %d of %s, which another socket there has (choose another port, or leave it to the kernel): %w", q.Port, q.From, err)
}

// pageOf is the page that came, where one was asked for.
func pageOf(t why.Target, r lab.Response) (status, body int, cut bool) {
	if !t.HTTP {
		return 0, 0, false
	}
	return r.Status, len(r.Body), len(r.Body) == lab.MaxBody
}

// outcome says what the request brought, and the errno by its name where there is one.
func outcome(t why.Target, r lab.Response, err error) (result why.Result, name string) {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		name = unix.ErrnoName(errno)
	}
	switch {
	case err == nil:
		return why.Answered, ""
	case errno == unix.ECONNREFUSED || errno == unix.ECONNRESET:
		return why.Refused, name
	case errno != 0 && errno != unix.ETIMEDOUT:
		return why.Unreachable, name
	case t.HTTP && r.Local.IsValid():
		return why.Stalled, name
	}
	return why.Silent, name
}

// belonging picks the walks of the request: those of the connections that it
// opened, in both directions, and of the errors that answer them.
func belonging(walks []trace.Walk, question why.Question) []trace.Walk {
	flows := map[int]bool{}
	for _, w := range walks {
		if opens(w, question) {
			flows[w.Flow] = true
		}
	}
	return ofFlows(walks, flows)
}

// ofFlows picks the walks of connections, and of the errors that answer them.
func ofFlows(walks []trace.Walk, flows map[int]bool) []trace.Walk {
	ids := map[int]bool{}
	for _, w := range walks {
		if flows[w.Flow] {
			ids[w.ID] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(walks), func(w trace.Walk) bool { return !ids[w.ID] && !ids[w.Answers] })
}

// opens says whether a packet is one that the request's connection begins with.
func opens(w trace.Walk, q why.Question) bool {
	p := w.Packet
	switch {
	case p.Proto != q.Target.Proto || !q.Target.Is(p.Dst) || q.Port != 0 && p.Src.Port() != q.Port:
		return false
	case q.From != "" && (w.Steps[0].Node != q.From || w.Steps[0].Hook != trace.Output):
		return false
	case p.Proto == trace.TCP:
		return p.Flags&(trace.SYN|trace.ACK) == trace.SYN
	case p.Proto == trace.ICMP:
		return p.ICMPType == 8
	case p.Proto == trace.ICMPv6:
		return p.ICMPType == 128
	}
	return true
}
