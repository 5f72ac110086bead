package tui

import (
	"context"
	"errors"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"packetwalk/trace"
)

// countEvery is how often the counts of what is not shown are looked at.
const countEvery = time.Second

// Run sends the request and shows the program on the terminal until the user
// quits or ctx ends; neither is an error. When it returns, nothing of it runs any more: Send has
// returned, and Walks is not read.
func Run(ctx context.Context, c Config) error { return run(ctx, c) }

// run is Run on a terminal that the options may replace.
func run(ctx context.Context, c Config, options ...tea.ProgramOption) error {
	ctx, cancel := untilHangup(ctx)
	defer cancel()
	requests := make(chan struct{}, 1)
	var send func()
	if c.Send != nil && c.Session == nil {
		// The model asks again only when it was told how the last request went,
		// so there is always room.
		send = func() { requests <- struct{}{} }
	}
	options = append([]tea.ProgramOption{tea.WithContext(ctx), tea.WithFPS(30)}, options...)
	p := tea.NewProgram(newModel(c, send), options...)
	var feeders sync.WaitGroup
	if c.Session != nil {
		feeders.Go(func() { feedSession(ctx, c.Session, p.Send) })
	} else {
		feeders.Go(func() { feedWalks(ctx, c.Walks, p.Send) })
	}
	feeders.Go(func() { feedCount(ctx, c.Losses, func(n uint64) { p.Send(lossesMsg(n)) }) })
	feeders.Go(func() { feedCount(ctx, c.LeftOut, func(n uint64) { p.Send(leftOutMsg(n)) }) })
	feeders.Go(func() { serve(ctx, c.Send, requests, p.Send) })
	_, err := p.Run()
	cancel()
	feeders.Wait()
	return ending(err)
}

// ending tells an error from the ways in which a program ends on purpose.
func ending(err error) error {
	if errors.Is(err, tea.ErrInterrupted) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// feedWalks passes walks on, as many at once as there are: the program takes
// one message a frame or so, while a burst of packets brings hundreds of snapshots.
func feedWalks(ctx context.Context, walks <-chan trace.Walk, send func(tea.Msg)) {
	for {
		select {
		case <-ctx.Done():
			return
		case w, open := <-walks:
			if !open {
				send(endedMsg{})
				return
			}
			batch, open := drain([]trace.Walk{w}, walks)
			send(walksMsg{batch})
			if !open {
				send(endedMsg{})
				return
			}
		}
	}
}

// drain takes what is there without waiting, of each walk the last snapshot.
func drain(batch []trace.Walk, walks <-chan trace.Walk) (latest []trace.Walk, open bool) {
	at := map[int]int{batch[0].ID: 0}
	for {
		select {
		case w, open := <-walks:
			if !open {
				return batch, false
			}
			if i, known := at[w.ID]; known {
				batch[i] = w
				continue
			}
			at[w.ID] = len(batch)
			batch = append(batch, w)
		default:
			return batch, true
		}
	}
}

// feedCount passes a count on whenever it has changed.
func feedCount(ctx context.Context, count func() uint64, send func(uint64)) {
	if count == nil {
		return
	}
	t := time.NewTicker(countEvery)
	defer t.Stop()
	var told uint64
	for {
		if n := count(); n != told {
			told = n
			send(n)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// serve sends requests, one after the other.
func serve(ctx context.Context, request func(context.Context) error, requests <-chan struct{}, send func(tea.Msg)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-requests:
			send(sentMsg{request(ctx)})
		}
	}
}
