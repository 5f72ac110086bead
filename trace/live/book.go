package live

import (
	"slices"
	"sync"

	"packetwalk/trace"
)

// Book keeps the newest snapshot of every walk, and passes walks on.
type Book struct {
	in   <-chan trace.Walk
	out  chan trace.Walk
	asks chan chan struct{}
	done chan struct{}
	// ended has a token when walks have come to their end since it was last taken.
	ended chan struct{}

	mu    sync.Mutex
	walks []trace.Walk // by ID
}

// NewBook begins to read walks, until there are no more.
func NewBook(in <-chan trace.Walk) *Book {
	b := &Book{
		in: in, out: make(chan trace.Walk, 256), asks: make(chan chan struct{}), done: make(chan struct{}),
		ended: make(chan struct{}, 1),
	}
	go b.keep()
	return b
}

// keep runs until no more walks come. It takes walks whether or not anybody
// reads those that it passes on: the screen does not while a shell has the terminal.
func (b *Book) keep() {
	defer close(b.done)
	defer close(b.out)
	var waiting []trace.Walk
	for {
		var out chan<- trace.Walk
		var next trace.Walk
		if len(waiting) > 0 {
			out, next = b.out, waiting[0]
		}
		select {
		case w, open := <-b.in:
			if !open {
				for _, w := range waiting {
					b.out <- w
				}
				return
			}
			b.note(w)
			waiting = append(waiting, w)
		case out <- next:
			waiting = waiting[1:]
		case ask := <-b.asks:
			for len(b.in) > 0 {
				if w, open := <-b.in; open {
					b.note(w)
					waiting = append(waiting, w)
				}
			}
			for len(waiting) > 0 && len(b.out) < cap(b.out) {
				b.out <- waiting[0]
				waiting = waiting[1:]
			}
			close(ask)
		}
	}
}

func (b *Book) note(w trace.Walk) {
	b.mu.Lock()
	i, known := slices.BinarySearchFunc(b.walks, w.ID, func(have trace.Walk, id int) int { return have.ID - id })
	if known {
		b.walks[i] = w
	} else {
		b.walks = slices.Insert(b.walks, i, w)
	}
	b.mu.Unlock()
	if w.Done() {
		select {
		case b.ended <- struct{}{}:
		default:
		}
	}
}

// Walks delivers the walks. It has to be read.
func (b *Book) Walks() <-chan trace.Walk { return b.out }

// Ended has a token when walks have come to their end since it was last taken.
func (b *Book) Ended() <-chan struct{} { return b.ended }

// Sync waits until every walk that was handed out before is in the book, and
// passed on as far as there is room for it.
func (b *Book) Sync() {
	ask := make(chan struct{})
	select {
	case b.asks <- ask:
		<-ask
	case <-b.done:
	}
}

// Wait waits for the end of the walks.
func (b *Book) Wait() { <-b.done }

// Next is the ID that the next walk will have.
func (b *Book) Next() int {
	b.Sync()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.walks) == 0 {
		return 1
	}
	return b.walks[len(b.walks)-1].ID + 1
}

// Since lists the walks that have come to their end, from an ID on.
func (b *Book) Since(id int) []trace.Walk {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, _ := slices.BinarySearchFunc(b.walks, id, func(have trace.Walk, id int) int { return have.ID - id })
	return slices.DeleteFunc(slices.Clone(b.walks[i:]), func(w trace.Walk) bool { return !w.Done() })
}
