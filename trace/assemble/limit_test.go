package assemble

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packetwalk/trace"
)

// limitedScript is a host that may begin so many walks.
func limitedScript(t testing.TB, most int) *script {
	s := newScript(t)
	s.a.config.Limit = most
	return s
}

// arrive is a packet that comes from outside, as far as the host's station.
func (s *script) arrive(identity int, stations string) {
	s.packet(identity, trace.ACK, "192.0.2.1:4000", "192.168.23.149:80")
	s.events(stations)
}

const (
	comesIn = "host PREROUTING raw/PREROUTING empty in=wan\nhost PREROUTING mangle/PREROUTING empty ct=ESTABLISHED\n"
	dropped = "host INPUT filter/INPUT 1:DROP in=wan"
)

var droppedWalk = []string{"host raw/PREROUTING 0 ACCEPT (policy)", "host mangle/PREROUTING 0 ACCEPT (policy)", "host filter/INPUT 1 DROP"}

// walk is the text of a walk that comes in and is dropped.
func walkText(header string) []string { return append([]string{header}, droppedWalk...) }

func TestFullFollowsWhatHasBegun(t *testing.T) {
	s := limitedScript(t, 1)
	s.arrive(1, comesIn)
	if !s.a.Full() {
		t.Fatal("one walk of one has begun, and there is room")
	}
	s.arrive(2, comesIn+dropped)
	s.arrive(1, dropped)
	s.wait(10 * time.Millisecond)
	s.expect(walkText("walk 1 flow 1: dropped")...)
	s.a.Reopen(s.now)
	s.arrive(3, comesIn+dropped)
	s.wait(10 * time.Millisecond)
	s.expect(walkText("walk 2 flow 1: dropped")...)
}

// What became of a packet when nobody listened is not guessed.
func TestCutLeavesOutWhatIsUnderWay(t *testing.T) {
	s := limitedScript(t, 3)
	s.arrive(1, comesIn+dropped)
	s.arrive(2, comesIn)
	s.a.Cut(s.now)
	s.wait(10 * time.Second)
	s.expect(walkText("walk 1 flow 1: dropped")...)
	s.a.Reopen(s.now)
	// The rest of a packet that nobody heard coming, then one that is new.
	s.arrive(2, dropped)
	s.arrive(4, dropped)
	s.arrive(5, "host PREROUTING mangle/PREROUTING empty in=wan ct=ESTABLISHED\n"+dropped)
	s.arrive(6, comesIn+dropped)
	s.wait(10 * time.Millisecond)
	s.expect(walkText("walk 2 flow 1: dropped")...)
	s.wait(20 * time.Minute)
	if !s.a.Empty() || len(s.a.legs) != 0 {
		t.Errorf("%d packets are kept", len(s.a.legs))
	}
}

// A packet that was silent for long enough before nobody listened any more is lost.
func TestCutDecidesWhatIsClear(t *testing.T) {
	for _, test := range []struct {
		silent  time.Duration
		drained bool
		want    []string
	}{
		{time.Second, true, []string{"walk 1 flow 1: lost", droppedWalk[0], droppedWalk[1]}},
		{900 * time.Millisecond, true, nil},
		{time.Second, false, nil},
	} {
		s := limitedScript(t, 3)
		s.arrive(1, comesIn)
		at := s.now.Add(test.silent)
		if !test.drained {
			at = time.Time{}
		}
		s.a.Cut(at)
		s.now = s.now.Add(time.Minute)
		if diff := cmp.Diff(test.want, s.walks()); diff != "" {
			t.Errorf("silent for %v (-want +got):\n%s", test.silent, diff)
		}
	}
}

// Where walks are handed out under way, one that is not followed any more ends.
func TestCutEndsWhatWasHandedOut(t *testing.T) {
	s := limitedScript(t, 1)
	s.arrive(1, comesIn)
	s.now = s.now.Add(30 * time.Millisecond)
	if w := s.a.Take(s.now, false); len(w) != 1 || w[0].Done() {
		t.Fatalf("%+v, want one walk under way", w)
	}
	s.a.Cut(s.now)
	if w := s.a.Take(s.now.Add(time.Second), false); len(w) != 1 || w[0].Outcome != trace.Unfinished {
		t.Errorf("%+v, want that it is unfinished", w)
	}
}

// With a filter, a reply that NAT will turn back is first seen behind connection
// tracking: there its walk begins. Another packet's would have begun before.
func TestBeginningBehindConnectionTracking(t *testing.T) {
	s := limitedScript(t, 5)
	s.a.config.Early = func(p trace.Packet) bool { return p.Src.Port() == 4000 }
	s.a.Cut(s.now)
	s.a.Reopen(s.now)
	late := "host PREROUTING mangle/PREROUTING empty in=wan ct=ESTABLISHED\n" + dropped
	s.arrive(1, late)
	s.packet(2, trace.ACK, "172.17.0.2:80", "192.0.2.1:4000")
	s.events(late)
	s.wait(10 * time.Millisecond)
	s.expect("walk 1 flow 1: dropped", droppedWalk[1], droppedWalk[2])
}

// A reset is not said to answer a packet where the one that it answers may not
// have been followed.
func TestNoAnswerAcrossPacketsThatWereNotFollowed(t *testing.T) {
	for _, full := range []bool{false, true} {
		s := limitedScript(t, 1)
		if !full {
			s.a.config.Limit = 2
		}
		add := func(line string, direction trace.Direction) {
			e := s.event(strings.Fields(line))
			e.Probe.Direction = direction
			s.now = s.now.Add(time.Millisecond)
			s.a.Add(e, s.now)
		}
		s.packet(1, trace.SYN, "192.0.2.1:4000", "192.168.23.149:80")
		add("host INPUT filter/INPUT 1:DROP in=wan ct=NEW", trace.Original)
		s.a.Reopen(s.now)
		s.packet(2, trace.RST|trace.ACK, "192.168.23.149:80", "192.0.2.1:4000")
		add("host OUTPUT mangle/OUTPUT 1:DROP out=wan ct=ESTABLISHED", trace.Reply)
		s.wait(10 * time.Millisecond)
		walks := s.a.Take(s.now, true)
		if len(walks) != 2 {
			t.Fatalf("%d walks, want 2", len(walks))
		}
		if want := map[bool]int{false: 1}[full]; walks[1].Answers != want {
			t.Errorf("after a full second: %t: the reset answers walk %d, want %d", full, walks[1].Answers, want)
		}
	}
}

// Every packet that was counted is accounted for by a walk or not at all.
func TestFollowedCountsPackets(t *testing.T) {
	s := limitedScript(t, 2)
	begins := func(identity int, rest string) {
		s.packet(identity, trace.ACK, "192.0.2.1:4000", "192.168.23.149:80")
		e := s.event([]string{"host", "PREROUTING", "raw/PREROUTING", "empty", "in=wan"})
		e.Probe.Counts = 1
		s.a.Add(e, s.now)
		if rest != "" {
			s.events(rest)
		}
	}
	begins(1, dropped)
	begins(2, "")
	begins(3, dropped)
	if got := s.a.Followed(); got != 2 {
		t.Errorf("%d packets are followed, want 2", got)
	}
	s.a.Cut(s.now)
	if got := s.a.Followed(); got != 1 {
		t.Errorf("after the cut %d packets are accounted for, want 1", got)
	}
}
