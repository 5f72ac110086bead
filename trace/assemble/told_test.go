package assemble

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packetwalk/trace"
)

// toldWay is the way of a packet into the host, and what it shows in front of
// the rules of filter/INPUT.
const toldWay = "host PREROUTING raw/PREROUTING empty in=wan\nhost INPUT filter/INPUT enter\n"

var toldSteps = []string{"host raw/PREROUTING 0 ACCEPT (policy)", "host filter/INPUT 0 CONTINUE"}

func toldScript(t *testing.T) *script {
	s := newScript(t)
	s.packet(1, trace.ACK, "192.168.23.1:4000", "192.168.23.149:80")
	return s
}

// The kernel's word comes at any time behind the event that it is on.
func TestTold(t *testing.T) {
	const log, limited = "host INPUT filter/INPUT asked:1:CONTINUE:LOG\n", "host INPUT filter/INPUT asked:2:FUTURE\n"
	const end = "host INPUT filter/INPUT=DROP end\n"
	const logMatched, logUnmatched = "host INPUT filter/INPUT matched:1:CONTINUE:LOG\n", "host INPUT filter/INPUT unmatched:1:CONTINUE:LOG\n"
	const futureMatched, futureUnmatched = "host INPUT filter/INPUT matched:2:FUTURE\n", "host INPUT filter/INPUT unmatched:2:FUTURE\n"
	const passed = "host INPUT filter/INPUT passed:2:FUTURE\n"
	for name, c := range map[string]struct {
		events string
		want   []string
	}{
		"matched, at once":      {log + logMatched + end, []string{"host filter/INPUT 1 CONTINUE LOG"}},
		"matched, afterwards":   {log + end + logMatched, []string{"host filter/INPUT 1 CONTINUE LOG"}},
		"unmatched, at once":    {log + logUnmatched + end, nil},
		"unmatched, afterwards": {log + end + logUnmatched, nil},
		"both orders": {log + limited + passed + futureUnmatched + end + logMatched,
			[]string{"host filter/INPUT 1 CONTINUE LOG"}},
		"unknown target, passed, matched":           {limited + passed + futureMatched + end, []string{"host filter/INPUT 2 FUTURE"}},
		"unknown target, matched, passed":           {limited + futureMatched + passed + end, []string{"host filter/INPUT 2 FUTURE"}},
		"unknown target, passed, unmatched":         {limited + passed + end + futureUnmatched, nil},
		"unknown target, seen to have matched":      {limited + end + futureMatched, []string{"host filter/INPUT 2 FUTURE"}},
		"two visits, told in their order":           {log + log + end + logUnmatched + logMatched, []string{"host filter/INPUT 1 CONTINUE LOG"}},
		"a word on a rule that was not reached":     {limited + passed + logMatched + end + futureUnmatched, nil},
		"a word too many":                           {log + end + logUnmatched + logMatched, nil},
		"a mark that tells, and the word behind it": {"host INPUT filter/INPUT asked:3:CONTINUE:MARK\n" + end + "host INPUT filter/INPUT matched:3:CONTINUE:MARK", []string{"host filter/INPUT 3 CONTINUE MARK"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := toldScript(t)
			s.events(toldWay + c.events)
			s.wait(5 * time.Millisecond)
			want := append(append([]string{"walk 1 flow 1: dropped"}, toldSteps...), c.want...)
			s.expect(append(want, "host filter/INPUT 0 DROP (policy)")...)
		})
	}
}

// A walk waits for the kernel's word, not for ever; what was handed out as it is
// known then does not change any more.
func TestTheWordDoesNotCome(t *testing.T) {
	s := toldScript(t)
	s.events(toldWay + "host INPUT filter/INPUT asked:1:CONTINUE:LOG\nhost INPUT filter/INPUT=DROP end")
	s.wait(200 * time.Millisecond)
	s.expect()
	s.wait(60 * time.Millisecond)
	want := append(append([]string{"walk 1 flow 1: dropped"}, toldSteps...), "host filter/INPUT 1 REACHED LOG", "host filter/INPUT 0 DROP (policy)")
	s.expect(want...)
	s.events("host INPUT filter/INPUT matched:1:CONTINUE:LOG")
	s.wait(60 * time.Millisecond)
	s.expect()
}

func TestFinishDoesNotWaitForTheWord(t *testing.T) {
	s := toldScript(t)
	s.events(toldWay + "host INPUT filter/INPUT asked:1:CONTINUE:LOG\nhost INPUT filter/INPUT=DROP end")
	s.a.Finish()
	s.expect(append(append([]string{"walk 1 flow 1: dropped"}, toldSteps...), "host filter/INPUT 1 REACHED LOG", "host filter/INPUT 0 DROP (policy)")...)
}

// Steps that are handed out while the packet is under way stay: what comes
// behind a rule that is not decided yet is held back until it is.
func TestUndecidedStepsAreHeldBack(t *testing.T) {
	s := toldScript(t)
	s.events(toldWay + "host INPUT filter/INPUT asked:1:CONTINUE:LOG\nhost INPUT filter/INPUT 2:CONTINUE:MARK\nhost INPUT filter/INPUT asked:3:CONTINUE:LOG\n" +
		"host INPUT filter/INPUT 4:CONTINUE:MARK")
	shown := func() []string {
		s.wait(30 * time.Millisecond)
		var steps []string
		for _, w := range s.a.Take(s.now, false) {
			for _, step := range w.Steps {
				steps = append(steps, stepText(step))
			}
		}
		return steps
	}
	want := toldSteps
	if diff := cmp.Diff(want, shown()); diff != "" {
		t.Errorf("nothing told (-want +got):\n%s", diff)
	}
	s.events("host INPUT filter/INPUT unmatched:1:CONTINUE:LOG")
	want = append(want[:len(want):len(want)], "host filter/INPUT 2 CONTINUE MARK")
	if diff := cmp.Diff(want, shown()); diff != "" {
		t.Errorf("the first told (-want +got):\n%s", diff)
	}
	s.wait(250 * time.Millisecond)
	want = append(want, "host filter/INPUT 3 REACHED LOG", "host filter/INPUT 4 CONTINUE MARK")
	if diff := cmp.Diff(want, shown()); diff != "" {
		t.Errorf("waited for the second (-want +got):\n%s", diff)
	}
	s.events("host INPUT filter/INPUT matched:3:CONTINUE:LOG\nhost INPUT filter/INPUT=DROP end")
	if diff := cmp.Diff(append(want, "host filter/INPUT 0 DROP (policy)"), shown()); diff != "" {
		t.Errorf("told too late (-want +got):\n%s", diff)
	}
}

// Two packets of one kind are at the rule at once: each has its own word.
func TestToldOfRepeatedPackets(t *testing.T) {
	s := toldScript(t)
	const way = toldWay + "host INPUT filter/INPUT asked:1:CONTINUE:LOG\nhost INPUT filter/INPUT=DROP end\n"
	s.events(way + way + "host INPUT filter/INPUT unmatched:1:CONTINUE:LOG\nhost INPUT filter/INPUT matched:1:CONTINUE:LOG")
	s.wait(60 * time.Millisecond)
	want := append(append([]string{"walk 1 flow 1: dropped"}, toldSteps...), "host filter/INPUT 0 DROP (policy)")
	want = append(append(want, "walk 2 flow 1: dropped"), toldSteps...)
	s.expect(append(want, "host filter/INPUT 1 CONTINUE LOG", "host filter/INPUT 0 DROP (policy)")...)
}
