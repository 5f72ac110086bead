package nflog

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packetwalk/trace"
)

// Each step is "reach PACKET" or "yes PACKET" or "no PACKET", "lose", "resume" or "wait";
// what is told is the number of the reach event and whether its rule matched.
func TestPairing(t *testing.T) {
	for steps, want := range map[string][]string{
		"reach a; yes a":                              {"1 matched"},
		"no a; reach a":                               {"1 unmatched"},
		"reach a; reach b; yes b; no a":               {"2 matched", "1 unmatched"},
		"yes b; no a; reach a; reach b":               {"1 unmatched", "2 matched"},
		"reach a; reach a; no a; yes a":               {"1 unmatched", "2 matched"},
		"no a; yes a; reach a; reach a":               {"1 unmatched", "2 matched"},
		"reach a; yes b":                              nil,
		"reach a; wait; wait; yes a; reach a":         {"2 matched"},
		"yes a; wait; wait; reach a":                  nil,
		"reach a; lose; yes a; resume; reach a; no a": {"2 unmatched"},
		"yes a; lose; resume; reach a; no a":          {"1 unmatched"},
		"lose; reach a; resume; yes a; reach a":       {"2 matched"},
	} {
		p, now := newPairing(), time.Unix(1000, 0)
		probe := trace.Probe{Kind: trace.Reach, Asked: true, Rule: 1}
		count, got := 0, []string(nil)
		for step := range strings.SplitSeq(steps, "; ") {
			what, packet, _ := strings.Cut(step, " ")
			h := headers{identity: trace.Identity(len(packet))}
			if packet == "b" {
				h.identity = 77
			}
			var told trace.Event
			ok := false
			switch what {
			case "reach":
				count++
				told, ok = p.reach(trace.Event{Probe: probe, Node: fmt.Sprint(count)}, h, now)
			case "yes", "no":
				told, ok = p.answer(as(probe, trace.Ask), h, what == "yes", now)
			case "lose":
				p.lose()
			case "resume":
				p.resume()
			case "wait":
				now = now.Add(pairTime)
			}
			if ok {
				got = append(got, told.Node+" "+told.Probe.Kind.String())
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", steps, diff)
		}
	}
}

// Rules that differ in anything are no pair.
func TestPairingTellsRulesApart(t *testing.T) {
	p, now := newPairing(), time.Unix(1000, 0)
	one, other := trace.Probe{Kind: trace.Reach, Asked: true, Rule: 1}, trace.Probe{Kind: trace.Ask, Asked: true, Rule: 2}
	p.reach(trace.Event{Probe: one}, headers{}, now)
	if told, ok := p.answer(other, headers{}, true, now); ok {
		t.Errorf("the answer of rule 2 was taken for %+v", told)
	}
}

// What waits for nothing any more is dropped.
func TestPairingForgets(t *testing.T) {
	p, now := newPairing(), time.Unix(1000, 0)
	for i := range 3000 {
		p.reach(trace.Event{}, headers{identity: trace.Identity(i)}, now)
		p.answer(trace.Probe{Rule: 1}, headers{identity: trace.Identity(i)}, true, now)
		now = now.Add(10 * time.Millisecond)
	}
	if n, m := len(p.events), len(p.answers); n > 1050 || m > 1050 {
		t.Errorf("%d events and %d answers wait, want what came within ten seconds", n, m)
	}
}
