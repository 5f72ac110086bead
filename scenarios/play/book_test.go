package play

import (
	"testing"

	"packetwalk/trace"
)

func TestBook(t *testing.T) {
	in := make(chan trace.Walk, 8)
	b := newBook(in)
	if n := b.next(); n != 1 {
		t.Errorf("the first walk will be %d", n)
	}
	in <- trace.Walk{ID: 2, Outcome: trace.Delivered}
	in <- trace.Walk{ID: 1}
	in <- trace.Walk{ID: 3}
	if n := b.next(); n != 4 {
		t.Errorf("the next walk will be %d", n)
	}
	in <- trace.Walk{ID: 3, Outcome: trace.Dropped}
	b.sync()
	if got := b.since(1); len(got) != 2 || got[0].ID != 2 || got[1].Outcome != trace.Dropped {
		t.Errorf("the walks that have ended: %+v", got)
	}
	if got := b.since(3); len(got) != 1 {
		t.Errorf("since the third: %+v", got)
	}
	close(in)
	b.wait()
	b.sync() // does not hang
	passed := 0
	for range b.out {
		passed++
	}
	if passed != 4 {
		t.Errorf("%d snapshots were passed on", passed)
	}
}
