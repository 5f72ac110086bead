package assemble

import (
	"testing"
	"time"

	"packetwalk/trace"
)

func TestReachedRules(t *testing.T) {
	const enter = "host PREROUTING raw/PREROUTING empty in=wan\nhost INPUT filter/INPUT enter\n"
	const end = "\nhost INPUT filter/INPUT=DROP end"
	for name, c := range map[string]struct {
		events string
		want   []string // behind the entering of filter/INPUT
	}{
		"goes on, cannot tell": {"host INPUT filter/INPUT reach:1:CONTINUE:LOG" + end, []string{"host filter/INPUT 1 REACHED LOG"}},
		"goes on, no target":   {"host INPUT filter/INPUT reach:1:CONTINUE" + end, []string{"host filter/INPUT 1 REACHED"}},
		"unknown target, passed": {"host INPUT filter/INPUT reach:1:FUTURE\nhost INPUT filter/INPUT passed:1:FUTURE" + end,
			[]string{"host filter/INPUT 1 REACHED FUTURE"}},
		"unknown target, not passed": {"host INPUT filter/INPUT reach:1:FUTURE" + end, []string{"host filter/INPUT 1 FUTURE"}},
		"changed by its target":      {"host INPUT filter/INPUT reach:1:CONTINUE:MARK" + end, []string{"host filter/INPUT 1 CONTINUE MARK"}},
		"two in a row": {"host INPUT filter/INPUT reach:1:CONTINUE:LOG\nhost INPUT filter/INPUT reach:2:RETURN\nhost INPUT filter/INPUT passed:2:RETURN" + end,
			[]string{"host filter/INPUT 1 REACHED LOG"}},
		"jump, not entered": {"host INPUT filter/INPUT reach:1:JUMP:X\nhost INPUT filter/INPUT passed:1:JUMP:X" + end, nil},
		"jump, entered and back": {"host INPUT filter/INPUT reach:1:JUMP:X\nhost INPUT filter/X empty\nhost INPUT filter/INPUT passed:1:JUMP:X" + end,
			[]string{"host filter/INPUT 1 JUMP X", "host filter/X 0 RETURN"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.packet(1, trace.ACK, "192.168.23.1:4000", "192.168.23.149:80")
			s.events(enter + c.events)
			s.wait(5 * time.Millisecond)
			want := append([]string{"walk 1 flow 1: dropped", "host raw/PREROUTING 0 ACCEPT (policy)", "host filter/INPUT 0 CONTINUE"}, c.want...)
			s.expect(append(want, "host filter/INPUT 0 DROP (policy)")...)
		})
	}
}

// Whether a rule of the way out matched is decided though the packet is already
// on its way in again.
func TestReachedBeforeTheNextLeg(t *testing.T) {
	for name, finish := range map[string]func(*script){
		"settled":  func(s *script) { s.wait(150 * time.Millisecond) },
		"finished": func(s *script) { s.a.Finish() },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.packet(1, trace.ACK, "127.0.0.1:4000", "127.0.0.1:80")
			s.events(`
				host OUTPUT raw/OUTPUT empty out=lo
				host OUTPUT mangle/OUTPUT empty ct=ESTABLISHED
				host POSTROUTING mangle/POSTROUTING enter
				host POSTROUTING mangle/POSTROUTING reach:1:ACCEPT
				host PREROUTING raw/PREROUTING empty in=lo
				host PREROUTING mangle/PREROUTING empty ct=ESTABLISHED
				host INPUT filter/INPUT=DROP empty`)
			finish(s)
			s.expect("walk 1 flow 1: dropped",
				"host raw/OUTPUT 0 ACCEPT (policy)", "host mangle/OUTPUT 0 ACCEPT (policy)",
				"host mangle/POSTROUTING 0 CONTINUE", "host mangle/POSTROUTING 1 ACCEPT",
				"host raw/PREROUTING 0 ACCEPT (policy)", "host mangle/PREROUTING 0 ACCEPT (policy)", "host filter/INPUT 0 DROP (policy)")
		})
	}
}

func TestMarkTells(t *testing.T) {
	for _, c := range []struct {
		option        string
		before, after uint32
		want          finding
	}{
		{"--set-xmark 0x1/0xffffffff", 0, 1, matched},
		{"--set-xmark 0x1/0xffffffff", 0, 0, notMatched},
		{"--set-xmark 0x1/0xffffffff", 1, 1, unknown},
		{"--set-xmark 0x2/0xf", 0x52, 0x52, unknown},
		{"--set-xmark 0x2/0xf", 0x53, 0x53, notMatched},
		{"--set-xmark 0x0/0x1", 2, 2, unknown},
		{"--set-xmark 0x4/0x0", 4, 4, notMatched},
		{"--set-xmark 0x1", 0, 0, unknown},
		{"--set-xmark many/0x1", 0, 0, unknown},
		{"--future 0x1/0x1", 0, 0, unknown},
	} {
		probe := trace.Probe{Kind: trace.Reach, Rule: 3, Text: "-A X -m limit --limit 1/sec -j MARK " + c.option, Verdict: trace.Continue, Target: "MARK"}
		before, after := trace.Event{Probe: probe, Mark: c.before}, trace.Event{Probe: probe, Mark: c.after}
		after.Probe.Kind = trace.Passed
		if got := findingOf(before, &after); got != c.want {
			t.Errorf("%s on mark %#x, then %#x: finding %d, want %d", c.option, c.before, c.after, got, c.want)
		}
	}
}
