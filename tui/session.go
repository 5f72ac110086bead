package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"packetwalk/scenarios/play"
	"packetwalk/trace"
)

// Session is a scenario that is being played. Package play has one.
type Session interface {
	// States sends what a user sees of the session, whenever it changes. Closed
	// when nothing more will change.
	States() <-chan play.State
	// Walks sends snapshots of walks, as Config.Walks does. The last snapshots of
	// a step's traffic are sent before the state that says that it is over.
	Walks() <-chan trace.Walk
	// Do asks for something. It does not wait for it.
	Do(play.Action)
}

// playMsg brings a state of the session, and the walks that were there before it.
type playMsg struct {
	walks []trace.Walk
	state play.State
}

// feedSession passes on what a session sends. Walks that are there come before
// a state: it may say something about them.
func feedSession(ctx context.Context, s Session, send func(tea.Msg)) {
	states, walks := s.States(), s.Walks()
	for states != nil || walks != nil {
		select {
		case <-ctx.Done():
			return
		case w, open := <-walks:
			if !open {
				walks = nil
				send(endedMsg{})
				continue
			}
			batch, open := drain([]trace.Walk{w}, walks)
			send(walksMsg{batch})
			if !open {
				walks = nil
				send(endedMsg{})
			}
		case state, open := <-states:
			if !open {
				states = nil
				continue
			}
			send(playMsg{waiting(walks), state})
		}
	}
}

// waiting takes the walks that can be had without waiting.
func waiting(walks <-chan trace.Walk) []trace.Walk {
	select {
	case w, open := <-walks:
		if !open {
			return nil // the next look at the channel tells it
		}
		batch, _ := drain([]trace.Walk{w}, walks)
		return batch
	default:
		return nil
	}
}
