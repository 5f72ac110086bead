package play

import (
	"slices"
	"sync"

	"packetwalk/trace"
)

// book keeps the newest snapshot of every walk, and passes walks on.
type book struct {
	in   <-chan trace.Walk
	out  chan trace.Walk
	asks chan chan struct{}
	done chan struct{}
	// ended has a token when walks have come to their end since it was last taken.
	ended chan struct{}

	mu    sync.Mutex
	walks []trace.Walk // by ID
}

func newBook(in <-chan trace.Walk) *book {
	b := &book{
		in: in, out: make(chan trace.Walk, 256), asks: make(chan chan struct{}), done: make(chan struct{}),
		ended: make(chan struct{}, 1),
	}
	go b.keep()
	return b
}

// keep runs until no more walks come.
func (b *book) keep() {
	defer close(b.done)
	defer close(b.out)
	for {
		select {
		case w, open := <-b.in:
			if !open {
				return
			}
			b.take(w)
		case ask := <-b.asks:
			for len(b.in) > 0 {
				if w, open := <-b.in; open {
					b.take(w)
				}
			}
			close(ask)
		}
	}
}

func (b *book) take(w trace.Walk) {
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
	b.out <- w
}

// sync waits until every walk that was handed out before is in the book.
func (b *book) sync() {
	ask := make(chan struct{})
	select {
	case b.asks <- ask:
		<-ask
	case <-b.done:
	}
}

// wait waits for the end of the walks.
func (b *book) wait() { <-b.done }

// next is the ID that the next walk will have.
func (b *book) next() int {
	b.sync()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.walks) == 0 {
		return 1
	}
	return b.walks[len(b.walks)-1].ID + 1
}

// since lists the walks that have come to their end, from an ID on.
func (b *book) since(id int) []trace.Walk {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, _ := slices.BinarySearchFunc(b.walks, id, func(have trace.Walk, id int) int { return have.ID - id })
	return slices.DeleteFunc(slices.Clone(b.walks[i:]), func(w trace.Walk) bool { return !w.Done() })
}
