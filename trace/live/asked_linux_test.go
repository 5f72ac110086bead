package live_test

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/filter"
	"packetwalk/trace/live"
	"packetwalk/trace/nflog"
	"packetwalk/trace/ruleset"
)

// counting is a host whose rules count packets, and let them go on whether or
// not they count them, and a client that asks it something.
func counting() lab.Topology {
	server := netip.MustParseAddrPort("10.0.1.1:53")
	return lab.Topology{
		Nodes: []lab.Node{
			{Name: "client", Kind: lab.Machine},
			{Name: "host", Kind: lab.Host, Rules: []string{
				"iptables -N COUNTED",
				"iptables -t mangle -A PREROUTING -p udp -m statistic --mode random --probability 0.5 -j TTL --ttl-inc 1",
				"iptables -t mangle -A PREROUTING -p udp -m statistic --mode random --probability 0.5 -j MARK --set-xmark 0x0/0x1",
				"iptables -A INPUT -p udp -m limit --limit 1/hour --limit-burst 5 -j LOG",
				"iptables -A INPUT -p udp -j COUNTED",
				"iptables -A COUNTED -m statistic --mode nth --every 3 --packet 0 -j CONNMARK --set-xmark 0x1/0xffffffff",
				"iptables -A COUNTED -m recent --name seen --update --hitcount 3",
				"iptables -A COUNTED -m recent --name seen --set",
				"iptables -A OUTPUT -p udp -m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 7 --hashlimit-name few -j LOG",
				"iptables -A OUTPUT -p udp -m statistic --mode random --probability 0.5 -j LOG",
			}},
		},
		Links: []lab.Link{{Ends: [2]lab.End{
			{Node: "client", Interface: "eth0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.1.2/24")}},
			{Node: "host", Interface: "c0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.1.1/24")}},
		}}},
		Services: []lab.Service{{Node: "host", Protocol: lab.UDPEcho, Listen: server}},
		Clients:  []lab.Client{{Name: "ask", Node: "client", Protocol: lab.UDPEcho, To: server}},
	}
}

// matches counts how often each rule matched: as the kernel does, and as walks say.
type matches map[string]uint64

// counted reads the kernel's counters of a node's rules.
func counted(t *testing.T, n *lab.Namespace, command string) matches {
	t.Helper()
	var text []byte
	err := n.Do(func() (err error) {
		text, err = exec.Command(command, "-c").Output()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	rules, err := ruleset.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	m := matches{}
	for _, table := range nflog.Visible(rules).Tables {
		for _, c := range table.Chains {
			for i, r := range c.Rules {
				if r.Packets > 0 {
					m[fmt.Sprintf("%s/%s %d", table.Name, c.Name, i+1)] = r.Packets
				}
			}
		}
	}
	return m
}

// told counts the matches that walks tell of, and fails where one does not know.
func told(t *testing.T, walks []trace.Walk) matches {
	t.Helper()
	m := matches{}
	for _, w := range walks {
		for _, s := range w.Steps {
			if s.Verdict == trace.Reached {
				t.Errorf("walk %d does not know what this rule did: %s/%s %d", w.ID, s.Table, s.Chain, s.Rule)
			}
			if s.Node == "host" && s.Rule > 0 {
				m[fmt.Sprintf("%s/%s %d", s.Table, s.Chain, s.Rule)]++
			}
		}
	}
	return m
}

func ask(t *testing.T, l *lab.Lab, times int) {
	t.Helper()
	for range times {
		if _, err := l.Send(t.Context(), "ask"); err != nil {
			t.Error(err)
		}
	}
}

// askMuch sends requests, some side by side.
func askMuch(t *testing.T, l *lab.Lab) {
	t.Helper()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { ask(t, l, 25) })
	}
	all.Wait()
}

// gathered is a trace with the walks that it has delivered.
type gathered struct {
	trace *live.Trace
	ended sync.WaitGroup
	mu    sync.Mutex // guards walks
	walks []trace.Walk
}

// gather traces the host and reads the walks until the trace is closed.
func gather(t *testing.T, l *lab.Lab, variant string, f filter.Filter) *gathered {
	t.Helper()
	tr, err := live.Start(t.Context(), live.Config{Finished: true,
		Targets: []nflog.Target{{Node: "host", Namespace: l.Node("host"), Backends: backends(variant), Tables: trace.Tables(), Filter: f}},
		Options: nflog.Options{Report: func(err error) { t.Error(err) }},
	})
	if err != nil {
		t.Fatal(err)
	}
	g := &gathered{trace: tr}
	g.ended.Go(func() {
		for w := range tr.Walks() {
			g.mu.Lock()
			g.walks = append(g.walks, w)
			g.mu.Unlock()
		}
	})
	return g
}

// quiet waits until every walk has come to its end.
func (g *gathered) quiet(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := g.trace.Quiet(ctx, 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
}

// knows says whether the newest walk knows of all its rules what they did.
func (g *gathered) knows() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.walks) > 0 && !slices.ContainsFunc(g.walks[len(g.walks)-1].Steps, func(s trace.Step) bool { return s.Verdict == trace.Reached })
}

// finish closes the trace and returns the walks that began after a time.
func (g *gathered) finish(t *testing.T, after time.Time) []trace.Walk {
	t.Helper()
	g.quiet(t)
	if err := g.trace.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if g.trace.Lost() != 0 {
		t.Errorf("%d events were lost", g.trace.Lost())
	}
	g.ended.Wait()
	return slices.DeleteFunc(g.walks, func(w trace.Walk) bool { return w.Steps[0].Time.Before(after) })
}

// Walks know of every rule whether it matched, also where only the kernel can
// tell: as often as its own counter says.
func TestRulesThatCountPackets(t *testing.T) {
	labtest.NeedIptables(t, "nft")
	onlyDNS, err := filter.Parse("udp port 53")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		filter filter.Filter
		traces int
	}{"alone": {traces: 1}, "filtered": {onlyDNS, 1}, "beside others": {traces: 3}} {
		t.Run(name, func(t *testing.T) {
			topology := counting()
			l := labtest.Build(t, topology, "nft")
			host := l.Node("host")
			before := saveAll(t, l, topology, "nft")
			var traces []*gathered
			for range c.traces {
				traces = append(traces, gather(t, l, "nft", c.filter))
			}
			// Each has to see first what the others have changed.
			for end := time.Now().Add(20 * time.Second); slices.ContainsFunc(traces, func(g *gathered) bool { return !g.knows() }); {
				if time.Now().After(end) {
					t.Fatal("after 20 s there is a trace that does not know what rules do")
				}
				ask(t, l, 1)
				for _, g := range traces {
					g.quiet(t)
				}
			}
			began, already := time.Now(), counted(t, host, "iptables-nft-save")
			askMuch(t, l)
			for _, g := range traces {
				g.quiet(t)
			}
			want := counted(t, host, "iptables-nft-save")
			for rule, n := range already {
				if want[rule] -= n; want[rule] == 0 {
					delete(want, rule)
				}
			}
			for i, g := range traces {
				if diff := cmp.Diff(want, told(t, g.finish(t, began))); diff != "" {
					t.Errorf("trace %d: matches (-kernel +walks):\n%s", i+1, diff)
				}
			}
			if diff := cmp.Diff(before, saveAll(t, l, topology, "nft")); diff != "" {
				t.Errorf("rulesets (-before +after):\n%s", diff)
			}
		})
	}
}

// In the legacy variant nobody can be asked, and nothing is inserted that asks.
func TestLegacyRulesThatCountPackets(t *testing.T) {
	labtest.NeedIptables(t, "legacy")
	topology := counting()
	l := labtest.Build(t, topology, "legacy")
	g := gather(t, l, "legacy", filter.Filter{})
	if during := saveAll(t, l, topology, "legacy"); strings.Contains(during, "TRACE") {
		t.Errorf("a rule asks:\n%s", during)
	}
	askMuch(t, l)
	reached := 0
	for _, w := range g.finish(t, time.Time{}) {
		for _, s := range w.Steps {
			if s.Verdict == trace.Reached {
				reached++
			}
		}
	}
	if reached == 0 {
		t.Error("no walk says that a rule was reached")
	}
}
