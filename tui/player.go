package tui

import (
	"slices"
	"time"

	"packetwalk/trace"
)

// The clock of the player, at speed 1: half a second a step, most of which the
// packet is under way; a moment of rest at the end of a walk. Going to another
// node takes longer, because the eye has to follow it.
const (
	frameTime    = time.Second / 30
	moveTime     = 300 * time.Millisecond
	crossTime    = 700 * time.Millisecond
	restTime     = 200 * time.Millisecond
	holdTime     = 1500 * time.Millisecond
	normalSpeed  = 2 // index in speeds
	minimumDelay = frameTime
)

// speeds are the factors that the speed keys go through.
var speeds = []float64{0.25, 0.5, 1, 2, 4, 8}

var speedNames = []string{"¼×", "½×", "1×", "2×", "4×", "8×"}

// player decides where the packet is. It has no clock of its own: wait says
// when it wants to be told that time has passed, and tick tells it.
type player struct {
	walks []trace.Walk // in the order of their IDs
	// current is the walk being played, as an index in walks; -1 before the
	// first. Step is where the packet is, and frame how far it is on its way to
	// the next step, 0 when it rests.
	current, step, frame int
	paused               bool
	// held says that the moment at the end of the walk is over.
	held  bool
	speed int // index in speeds
	// first is the ID of the first walk that is played by itself, and due the
	// IDs of those that are played without being asked for; nil: all of them.
	first int
	due   map[int]bool
}

func newPlayer() player { return player{current: -1, speed: normalSpeed} }

// walk is the walk being played.
func (p *player) walk() (trace.Walk, bool) {
	if p.current < 0 {
		return trace.Walk{}, false
	}
	return p.walks[p.current], true
}

// take adds a walk or replaces the snapshot of the same ID. The place of the
// packet stays what it is. A walk without steps cannot be played yet.
func (p *player) take(w trace.Walk) {
	if len(w.Steps) == 0 {
		return
	}
	i, known := slices.BinarySearchFunc(p.walks, w.ID, func(have trace.Walk, id int) int { return have.ID - id })
	if known {
		p.walks[i] = w
		if i == p.current {
			p.step = min(p.step, len(w.Steps)-1)
		}
		return
	}
	p.walks = slices.Insert(p.walks, i, w)
	if p.current >= i {
		p.current++
	}
	if p.current < 0 && w.ID >= p.first {
		p.open(i)
	}
}

// mostWalks is how many walks are kept: a trace may go on for days.
const mostWalks = 2000

// forget drops the oldest walks when there are too many, but for the one being
// played, and returns how many places the others have moved up.
func (p *player) forget() (moved int) {
	moved = len(p.walks) - mostWalks
	if moved <= 0 {
		return 0
	}
	if p.current < 0 {
		p.walks = slices.Delete(p.walks, 0, moved)
		return moved
	}
	played := p.walks[p.current]
	p.walks = slices.Delete(p.walks, 0, moved)
	if p.current -= moved; p.current < 0 {
		p.current, p.walks[0] = 0, played
	}
	return moved
}

// begin forgets where the packet was, and goes to the first walk from an ID on,
// if there is one yet.
func (p *player) begin(first int) {
	p.first, p.due, p.paused = first, nil, false
	p.open(-1)
	if i := p.firstIndex(); i < len(p.walks) {
		p.open(i)
	}
}

// firstIndex is the index of the first walk that is played by itself.
func (p *player) firstIndex() int {
	i, _ := slices.BinarySearchFunc(p.walks, p.first, func(have trace.Walk, id int) int { return have.ID - id })
	return i
}

// open goes to the first step of a walk.
func (p *player) open(i int) {
	p.current, p.step, p.frame, p.held = i, 0, 0, false
}

func (p *player) lastStep() bool {
	w, ok := p.walk()
	return !ok || p.step >= len(w.Steps)-1
}

// next is the index of the walk that is played after the current one, -1 for none.
func (p *player) next() int {
	for i := p.current + 1; i < len(p.walks); i++ {
		if p.due == nil || p.due[p.walks[i].ID] {
			return i
		}
	}
	return -1
}

func (p *player) lastWalk() bool { return p.next() < 0 }

// finished says that there is nothing more to play, for now.
func (p *player) finished() bool {
	w, ok := p.walk()
	return ok && p.lastStep() && w.Done() && p.held && p.lastWalk()
}

// moving says whether the packet is between two steps.
func (p *player) moving() bool { return p.frame > 0 }

// frames is how many frames the way to the next step takes.
func (p *player) frames() int {
	w, ok := p.walk()
	if !ok || p.lastStep() {
		return 1
	}
	d := moveTime
	if w.Steps[p.step].Node != w.Steps[p.step+1].Node {
		d = crossTime
	}
	return max(1, int(p.scaled(d)/frameTime))
}

func (p *player) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) / speeds[p.speed])
}

// part is how much of the way to the next step lies behind the packet, from 0 to 1.
func (p *player) part() float64 { return float64(p.frame) / float64(p.frames()) }

// wait is the time until the player wants its next tick; false when it wants
// none, because nothing moves.
func (p *player) wait() (time.Duration, bool) {
	w, ok := p.walk()
	if !ok || p.paused {
		return 0, false
	}
	switch {
	case p.moving():
		return frameTime, true
	case !p.lastStep():
		return max(p.scaled(restTime), minimumDelay), true
	case !w.Done() && p.lastWalk():
		return 0, false // the walk goes on when its next snapshot comes
	case !p.held:
		return max(p.scaled(holdTime), minimumDelay), true
	case !p.lastWalk():
		return minimumDelay, true
	}
	return 0, false
}

// tick lets the time pass that wait asked for.
func (p *player) tick() {
	switch {
	case !p.lastStep():
		p.frame++
		if p.frame >= p.frames() {
			p.step++
			p.frame = 0
		}
	case !p.held:
		p.held = true
		p.advance()
	default:
		p.advance()
	}
}

// advance goes on to the next walk, if there is one.
func (p *player) advance() {
	if i := p.next(); i >= 0 {
		p.open(i)
	}
}

// finish brings the packet to the end of its walk at once.
func (p *player) finish() {
	if w, ok := p.walk(); ok {
		p.step, p.frame, p.held, p.paused = len(w.Steps)-1, 0, false, false
	}
}

// toggle pauses or goes on; when everything has been played, it plays the last walk again.
func (p *player) toggle() {
	if p.finished() {
		p.paused = false
		p.open(p.current)
		return
	}
	p.paused, p.frame = !p.paused, 0 // at rest the packet is at its step's station
}

// forward pauses and goes one step on, into the next walk where this one ends.
func (p *player) forward() {
	p.paused, p.frame = true, 0
	switch {
	case p.current < 0:
	case !p.lastStep():
		p.step++
	case p.current < len(p.walks)-1:
		p.open(p.current + 1)
	}
}

// back pauses and goes one step back, to the end of the walk before where this
// one begins.
func (p *player) back() {
	p.paused, p.held = true, false
	switch {
	case p.moving():
		p.frame = 0
	case p.step > 0:
		p.step--
	case p.current > 0 && p.current != p.firstIndex():
		p.open(p.current - 1)
		p.step = len(p.walks[p.current].Steps) - 1
	}
}

// faster and slower change the speed by one notch. The packet keeps its place
// on the way it is on.
func (p *player) faster() { p.setSpeed(p.speed + 1) }
func (p *player) slower() { p.setSpeed(p.speed - 1) }

func (p *player) setSpeed(to int) {
	part := p.part()
	p.speed = max(0, min(to, len(speeds)-1))
	p.frame = min(int(part*float64(p.frames())), p.frames()-1)
}
