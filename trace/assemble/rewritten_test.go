package assemble

import (
	"strings"
	"testing"
	"time"

	"packetwalk/trace"
)

// A rule is not said to have done what its text rules out.
func TestRuleDidWhatItSays(t *testing.T) {
	for _, test := range []struct {
		says, seen    string // what the rule says, what the packet has afterwards
		dst           string // after the rule's step
		somethingElse bool
	}{
		{"--to-destination 172.17.0.2:80", "172.17.0.2:80", "172.17.0.2:80", false},
		{"--to-destination 172.17.0.2", "172.17.0.2:8080", "172.17.0.2:8080", false},
		{"--to-destination 172.17.0.2-172.17.0.9:80-90", "172.17.0.3:81", "172.17.0.3:81", false},
		{"--to-destination 172.17.0.2:80", "10.0.0.9:80", "172.17.0.2:80", true},
		{"--to-destination 172.17.0.2", "10.0.0.9:9", "172.17.0.2:8080", true},
	} {
		s := newScript(t)
		s.packet(1, trace.SYN, "192.0.2.1:4000", "192.168.23.149:8080")
		e := s.event(strings.Fields("host PREROUTING nat/PREROUTING 1:DNAT in=wan"))
		e.Probe.Text = "-A PREROUTING -j DNAT " + test.says
		s.a.Add(e, s.now)
		s.events("host FORWARD filter/FORWARD 1:DROP dst=" + test.seen)
		s.wait(10 * time.Millisecond)
		steps := s.a.Take(s.now, true)[0].Steps
		if got := trace.Address(steps[0].Dst); got != test.dst {
			t.Errorf("%s, seen %s: after the rule it is %s, want %s", test.says, test.seen, got, test.dst)
		}
		if got := trace.Address(steps[len(steps)-1].Dst); got != test.seen {
			t.Errorf("%s, seen %s: in the end it is %s", test.says, test.seen, got)
		}
		if got := steps[1].Table == trace.ConntrackTable && steps[1].Remembered == nil; got != test.somethingElse {
			t.Errorf("%s, seen %s: a step without a rule: %t", test.says, test.seen, got)
		}
	}
}

// On a wire that is not traced nothing shows which address MASQUERADE took.
func TestUnseenResult(t *testing.T) {
	for text, unseen := range map[string]bool{
		"MASQUERADE": true, "SNAT --to-source 10.0.0.1-10.0.0.9": true, "SNAT --to-source 10.0.0.1": false,
	} {
		s := newScript(t)
		s.packet(1, trace.SYN, "172.17.0.2:4000", "192.0.2.1:80")
		verdict, _, _ := strings.Cut(text, " ")
		e := s.event(strings.Fields("host POSTROUTING nat/POSTROUTING 1:" + verdict + " out=wan ct=NEW"))
		e.Probe.Text = "-A POSTROUTING -j " + text
		s.a.Add(e, s.now)
		s.wait(time.Second)
		walks := s.a.Take(s.now, true)
		if len(walks) != 1 || walks[0].Steps[0].Unseen != unseen {
			t.Errorf("%s: %+v, want unseen %t", text, walks, unseen)
		}
	}
}
