package nflog

import "testing"

// TestGaps counts the events that sequence numbers say are missing. A number
// below the one before is that of a group that was bound anew, or of the one
// before it, whose last event comes late.
func TestGaps(t *testing.T) {
	for name, test := range map[string]struct {
		seqs    []uint32
		unmuted int // Unmute comes before the event with this index; 0 for never
		lost    uint64
	}{
		"none":               {[]uint32{0, 1, 2}, 0, 0},
		"at the beginning":   {[]uint32{2, 3}, 0, 2},
		"two":                {[]uint32{0, 3, 4, 6}, 0, 3},
		"wrapped":            {[]uint32{1<<32 - 1, 0, 2}, 0, 1},
		"bound anew":         {[]uint32{0, 1, 2, 0, 1}, 3, 0},
		"late, then anew":    {[]uint32{0, 1, 2, 0, 1}, 2, 0},
		"later, then anew":   {[]uint32{0, 7, 0, 1}, 1, 0},
		"anew, then a gap":   {[]uint32{0, 1, 0, 2}, 2, 1},
		"twice the first":    {[]uint32{0, 0, 1}, 1, 0},
		"late behind a late": {[]uint32{5, 6, 7, 0}, 1, 5},
	} {
		t.Run(name, func(t *testing.T) {
			var tr Tracer
			tr.inquiry.pairing = newPairing()
			for i, seq := range test.seqs {
				if i > 0 && i == test.unmuted {
					tr.unmuted.Store(true)
				}
				tr.count(&seq)
			}
			if got := tr.Lost(); got != test.lost {
				t.Errorf("%d events were lost, want %d", got, test.lost)
			}
		})
	}
}
