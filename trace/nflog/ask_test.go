package nflog

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"packetwalk/trace"
	"packetwalk/trace/filter"
)

// Only where neither the packet's way nor its mark tells for certain is the
// kernel asked, directly in front of the rule, and never with the rule's own comment.
func TestAskProbes(t *testing.T) {
	f := &filterTable{t: t, ask: true, names: []string{"EMPTY", "WEB"}, chains: map[string][]string{"INPUT": {
		`-p udp -m limit --limit 1/sec -m comment --comment "packetwalk:fake:1:" -j LOG`,
		`-p tcp -m statistic --mode nth --every 2 -j DROP`,
		`-m quota --quota 10 -j MARK --set-xmark 0x1/0xffffffff`,
		`-m connlimit --connlimit-above 1 -j SYNPROXY`,
		`-m recent --name x --set -j LOG`,
	}}}
	plan := f.plan(nil)
	if diff := cmp.Diff([]string{
		"enter 0", "reach 1 CONTINUE LOG", "ask 1 CONTINUE LOG", "rule",
		"reach 2 DROP", "rule", "passed 2 DROP",
		"reach 3 CONTINUE MARK", "ask 3 CONTINUE MARK", "rule", "passed 3 CONTINUE MARK",
		"reach 4 SYNPROXY", "ask 4 SYNPROXY", "rule", "passed 4 SYNPROXY",
		"match 5 CONTINUE LOG", "rule", "end 0",
	}, f.probed(plan, "INPUT")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if want, got := `-p udp -m comment --comment packetwalk:run:`, f.chains["INPUT"][2]; len(got) < len(want) || got[:len(want)] != want {
		t.Errorf("the first question is %q", got)
	}
	if !plan.asks() || plan.Probes[probeOf(t, f.chains["INPUT"][1])].Asked != true {
		t.Error("a plan that asks does not say so")
	}
	if again := f.plan(plan); !again.Empty() {
		t.Errorf("a plan for what is in place already:\n%s", again.Script())
	}
}

func probeOf(t *testing.T, rule string) int {
	t.Helper()
	p, ok := probePrefix(parseRule(t, rule))
	if !ok {
		t.Fatalf("%q is no probe", rule)
	}
	return p.Probe
}

// A filter's alternatives stand in front of both probes, so that both or none
// of them meet a packet.
func TestAskProbesAreFiltered(t *testing.T) {
	chosen, err := filter.Parse("tcp port 80")
	if err != nil {
		t.Fatal(err)
	}
	f := &filterTable{t: t, ask: true, filter: chosen, chains: map[string][]string{"INPUT": {`-m limit --limit 1/sec -j LOG`}}}
	plan := f.plan(nil)
	matches := map[trace.ProbeKind][]string{}
	for _, rule := range f.chains["INPUT"] {
		if p, ok := probePrefix(parseRule(t, rule)); ok {
			kind := plan.Probes[p.Probe].Kind
			matches[kind] = append(matches[kind], plan.Matches[p.Probe])
		}
	}
	if len(matches[trace.Ask]) < 2 {
		t.Errorf("%d questions, want one for every alternative", len(matches[trace.Ask]))
	}
	if diff := cmp.Diff(matches[trace.Reach], matches[trace.Ask]); diff != "" {
		t.Errorf("matches (-reach +ask):\n%s", diff)
	}
}

func TestNothingIsAskedWhereItCannotBe(t *testing.T) {
	f := &filterTable{t: t, chains: map[string][]string{"INPUT": {`-m limit --limit 1/sec -j LOG`}}}
	plan := f.plan(nil)
	if diff := cmp.Diff([]string{"enter 0", "reach 1 CONTINUE LOG", "rule", "end 0"}, f.probed(plan, "INPUT")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if plan.asks() {
		t.Error("the plan says that it asks")
	}
	for _, p := range plan.Probes {
		if p.Asked {
			t.Errorf("%+v waits for an answer", p)
		}
	}
}
