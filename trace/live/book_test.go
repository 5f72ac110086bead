package live

import (
	"testing"

	"packetwalk/trace"
)

func TestBook(t *testing.T) {
	in := make(chan trace.Walk, 8)
	b := NewBook(in)
	if n := b.Next(); n != 1 {
		t.Errorf("the first walk will be %d", n)
	}
	in <- trace.Walk{ID: 2, Outcome: trace.Delivered}
	in <- trace.Walk{ID: 1}
	in <- trace.Walk{ID: 3}
	if n := b.Next(); n != 4 {
		t.Errorf("the next walk will be %d", n)
	}
	in <- trace.Walk{ID: 3, Outcome: trace.Dropped}
	b.Sync()
	if got := b.Since(1); len(got) != 2 || got[0].ID != 2 || got[1].Outcome != trace.Dropped {
		t.Errorf("the walks that have ended: %+v", got)
	}
	if got := b.Since(3); len(got) != 1 {
		t.Errorf("since the third: %+v", got)
	}
	close(in)
	b.Wait()
	b.Sync() // does not hang
	passed := 0
	for range b.out {
		passed++
	}
	if passed != 4 {
		t.Errorf("%d snapshots were passed on", passed)
	}
}

// TestBookUnread keeps walks that nobody reads, and passes them on in the end.
func TestBookUnread(t *testing.T) {
	const many = 2000
	in := make(chan trace.Walk)
	b := NewBook(in)
	for i := range many {
		in <- trace.Walk{ID: i + 1, Outcome: trace.Delivered}
	}
	if n := b.Next(); n != many+1 {
		t.Errorf("the next walk will be %d", n)
	}
	go close(in)
	for want := 1; want <= many; want++ {
		if w := <-b.out; w.ID != want {
			t.Fatalf("walk %d was passed on as the %d.", w.ID, want)
		}
	}
	b.Wait()
}
