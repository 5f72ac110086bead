package nflog_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/nflog"
)

// Rules of other people that look like probes at first sight are not taken for
// some, and those of a dead run that log nothing are.
func TestAskProbesAndTheirLookalikes(t *testing.T) {
	labtest.NeedIptables(t, "nft")
	c := lab.Command("nft")
	topology := filtered()
	topology.Nodes[0].Rules = append(topology.Nodes[0].Rules,
		"iptables -A INPUT -m comment --comment packetwalk:mine:1: -j ACCEPT",
		"iptables -A INPUT -m comment --comment packetwalk:mine:2: -m limit --limit 1/hour -j LOG",
		"iptables -A INPUT -s 192.0.2.1 -m comment --comment mine -j TRACE",
		"iptables -A INPUT -s 192.0.2.1 -j TRACE",
	)
	l := labtest.Build(t, topology, "nft")
	host := l.Node("host")
	before := save(t, host, c)
	backends := []nflog.Backend{{Family: trace.IPv4, Command: c.Iptables}}
	tr, err := nflog.Attach(t.Context(), nflog.Target{Node: "host", Namespace: host, Backends: backends, Tables: trace.Tables()},
		nflog.Options{Run: "mine"}, func(trace.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	if during := save(t, host, c); strings.Count(during, "-j TRACE") != 4 {
		t.Errorf("while tracing, want a question before each rule that limits and logs, and the two TRACE rules:\n%s", during)
	}
	command(t, host, c.Iptables, "-A", "OUTPUT", "-m", "comment", "--comment", "packetwalk:dead:1:", "-j", "TRACE")
	dead, err := nflog.Leftovers(t.Context(), host, backends)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]nflog.Leftover{{Run: "dead", Probes: 1}}, dead); diff != "" {
		t.Errorf("leftovers (-want +got):\n%s", diff)
	}
	if err := nflog.Clean(t.Context(), host, backends, dead); err != nil {
		t.Fatal(err)
	}
	if err := tr.Detach(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, save(t, host, c)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

// Legacy tables would write every rule that a traced packet matches into the
// kernel's log: where there are any, nothing is asked.
func TestNothingIsAskedBesideLegacyTables(t *testing.T) {
	labtest.NeedIptables(t, "nft")
	labtest.NeedIptables(t, "legacy")
	c := lab.Command("nft")
	l := labtest.Build(t, filtered(), "nft")
	host := l.Node("host")
	asks := func() bool {
		tr := attach(t, l, c, func(trace.Event) {})
		during := save(t, host, c)
		if err := tr.Detach(t.Context()); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(during, "TRACE")
	}
	if !asks() {
		t.Error("without legacy tables, nothing is asked either")
	}
	command(t, host, lab.Command("legacy").Iptables, "-t", "raw", "-n", "-L")
	if asks() {
		t.Error("beside a legacy table, the kernel is asked")
	}
}

// The question moves with its rule, and what the kernel says is understood after
// others have changed the rules.
func TestQuestionsFollowChanges(t *testing.T) {
	labtest.NeedIptables(t, "nft")
	c := lab.Command("nft")
	topology := talking()
	topology.Nodes[0].Rules = []string{"iptables -A INPUT -p udp -m statistic --mode nth --every 2 --packet 0 -j LOG"}
	l := labtest.Build(t, topology, "nft")
	host := l.Node("host")
	r := newRecorder()
	tr := attachWatching(t, l, c, r.receive)
	// toldOf says whether both answers have come for a rule of INPUT.
	toldOf := func(rule int, text string) func() bool {
		return func() bool {
			if _, err := l.Send(t.Context(), "ask"); err != nil {
				t.Fatal(err)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			told := func(k trace.ProbeKind) bool {
				return slices.ContainsFunc(r.events, func(e trace.Event) bool {
					return e.Probe.Kind == k && e.Probe.Rule == rule && strings.Contains(e.Probe.Text, text)
				})
			}
			return told(trace.Matched) && told(trace.Unmatched)
		}
	}
	await(t, "what the kernel says of rule 1", toldOf(1, "LOG"))
	command(t, host, c.Iptables, "-I", "INPUT", "1", "-s", "192.0.2.1", "-j", "DROP")
	await(t, "what the kernel says of the rule as rule 2", toldOf(2, "LOG"))
	command(t, host, c.Iptables, "-D", "INPUT", "-p", "udp", "-m", "statistic", "--mode", "nth", "--every", "2", "--packet", "0", "-j", "LOG")
	command(t, host, c.Iptables, "-A", "INPUT", "-p", "udp", "-m", "statistic", "--mode", "random", "--probability", "0.5", "-j", "CONNMARK", "--set-mark", "1")
	await(t, "what the kernel says of the rule that came instead", toldOf(2, "CONNMARK"))
	if err := tr.Detach(t.Context()); err != nil {
		t.Fatal(err)
	}
	if tr.Lost() != 0 {
		t.Errorf("%d events were lost", tr.Lost())
	}
}
