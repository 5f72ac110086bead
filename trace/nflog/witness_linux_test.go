package nflog

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"packetwalk/trace"
	"packetwalk/trace/nftrace"
)

// header4 is an IPv4 header with an ID of its own, and eight bytes of UDP.
func header4(id byte) []byte {
	h := make([]byte, 28)
	h[0], h[3], h[5], h[8], h[9] = 0x45, 28, id, 64, unix.IPPROTO_UDP
	return h
}

// The chain of the test: 1 is a rule, 2 asks about 4, 3 is a probe of somebody
// else, 4 the rule, 5 a probe of ours.
var witnessed = map[ruleKey]role{
	{trace.IPv4, "filter", 1}: {}, {trace.IPv4, "filter", 3}: {kind: foreign}, {trace.IPv4, "filter", 4}: {}, {trace.IPv4, "filter", 5}: {},
	{trace.IPv4, "filter", 2}: {kind: asking, ask: 42, about: ruleKey{trace.IPv4, "filter", 4}},
}

func TestWitness(t *testing.T) {
	type said struct {
		packet  byte // by its IP ID
		matched bool
	}
	// A step is a packet's name and the handle of a rule, 0 for the end of a chain;
	// with begins the headers of a packet come along.
	type step struct {
		id     uint32
		handle uint64
		begins byte
	}
	for name, c := range map[string]struct {
		steps []step
		want  []said
	}{
		"matched":                          {[]step{{1, 2, 7}, {1, 4, 0}, {1, 5, 0}}, []said{{7, true}}},
		"not matched":                      {[]step{{1, 2, 7}, {1, 5, 0}}, []said{{7, false}}},
		"not matched, end of the chain":    {[]step{{1, 2, 7}, {1, 0, 0}}, []said{{7, false}}},
		"traced before":                    {[]step{{1, 1, 7}, {1, 2, 0}, {1, 4, 0}}, []said{{7, true}}},
		"somebody else asks too":           {[]step{{1, 2, 7}, {1, 3, 0}, {1, 4, 0}}, []said{{7, true}}},
		"two packets":                      {[]step{{1, 2, 7}, {2, 2, 8}, {2, 5, 0}, {1, 4, 0}}, []said{{8, false}, {7, true}}},
		"asked twice":                      {[]step{{1, 2, 7}, {1, 5, 0}, {1, 2, 0}, {1, 4, 0}}, []said{{7, false}, {7, true}}},
		"asked right again":                {[]step{{1, 2, 7}, {1, 2, 0}, {1, 4, 0}}, []said{{7, false}, {7, true}}},
		"a rule that nobody knows":         {[]step{{1, 2, 7}, {1, 9, 0}, {1, 4, 0}}, nil},
		"a packet whose beginning is lost": {[]step{{1, 2, 0}, {1, 4, 0}}, nil},
		"the name's next packet":           {[]step{{1, 2, 7}, {1, 1, 8}, {1, 4, 0}}, nil},
		"nothing asked":                    {[]step{{1, 1, 7}, {1, 4, 0}, {1, 0, 0}}, nil},
	} {
		w := newWitness()
		var got []said
		for _, s := range c.steps {
			m := nftrace.Message{ID: s.id, Family: trace.IPv4, Table: "filter", Handle: s.handle}
			if s.begins != 0 {
				m.Headers = header4(s.begins)
			}
			heard, ok := w.take(m, witnessed)
			if !ok {
				continue
			}
			if heard.ask != 42 {
				t.Errorf("%s: probe %d has asked, want 42", name, heard.ask)
			}
			for id := byte(7); id <= 8; id++ {
				if h, _ := headersOf(header4(id)); h == heard.packet {
					got = append(got, said{id, heard.matched})
				}
			}
		}
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(said{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Handles of other tables and families are others.
func TestWitnessTellsTablesApart(t *testing.T) {
	w := newWitness()
	w.take(nftrace.Message{ID: 1, Family: trace.IPv4, Table: "filter", Handle: 2, Headers: header4(7)}, witnessed)
	for _, m := range []nftrace.Message{{ID: 1, Family: trace.IPv4, Table: "nat", Handle: 4}, {ID: 1, Family: trace.IPv6, Table: "filter", Handle: 4}} {
		if said, ok := w.take(m, witnessed); ok {
			t.Errorf("%+v settles the question: %+v", m, said)
		}
	}
}

// However many packets come by, a witness keeps no more of them than it needs.
func TestWitnessForgets(t *testing.T) {
	w := newWitness()
	for i := range uint32(10 * mostPackets) {
		w.take(nftrace.Message{ID: i, Family: trace.IPv4, Table: "filter", Handle: 2, Headers: header4(byte(i))}, witnessed)
	}
	if n := len(w.packets) + len(w.older) + len(w.open); n > 3*mostPackets {
		t.Errorf("%d entries are kept", n)
	}
	last := uint32(10*mostPackets - 1)
	if said, ok := w.take(nftrace.Message{ID: last, Family: trace.IPv4, Table: "filter", Handle: 4}, witnessed); !ok || !said.matched {
		t.Errorf("of the newest packet it says %+v, %v", said, ok)
	}
}
