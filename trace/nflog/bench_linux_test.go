package nflog_test

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/nflog"
)

// manyRules is a filter table for iptables-restore whose INPUT chain has n
// rules of the kinds that long chains are made of. None of them matches what
// the lab's client asks, but the last.
func manyRules(n int) string {
	var b strings.Builder
	b.WriteString("*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n")
	for i := range n - 1 {
		source := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1})
		switch i % 4 {
		case 0:
			fmt.Fprintf(&b, "-A INPUT -s %s/32 -j DROP\n", source)
		case 1:
			fmt.Fprintf(&b, "-A INPUT -s %s/32 -p tcp -m tcp --dport %d -j ACCEPT\n", source, 1024+i)
		case 2:
			fmt.Fprintf(&b, "-A INPUT -s %s/32 -p udp -m udp --dport %d -j ACCEPT\n", source, 1024+i)
		case 3:
			fmt.Fprintf(&b, "-A INPUT ! -i lo -p tcp -m tcp --dport %d -j REJECT --reject-with icmp-port-unreachable\n", 1024+i)
		}
	}
	b.WriteString("-A INPUT -i lo -j ACCEPT\nCOMMIT\n")
	return b.String()
}

// restore runs the variant's iptables-restore in a node.
func restore(t testing.TB, n *lab.Namespace, c lab.Commands, text string, args ...string) {
	t.Helper()
	err := n.Do(func() error {
		cmd := exec.Command(c.Restore, append(args, "--wait")...)
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", c.Restore, err, out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// talking is a node without rules that can ask itself.
func talking() lab.Topology {
	topology := filtered()
	topology.Nodes[0].Rules = nil
	topology.Clients[0].To = topology.Services[0].Listen
	return topology
}

// BenchmarkLongChain takes, by turns, the time that iptables-restore needs to
// load 5,000 rules into a chain, and that of attaching to them and detaching
// again. The ratios should be 4 and 2 at most. They are those of the shortest
// times: what else the machine does only ever adds.
func BenchmarkLongChain(b *testing.B) {
	const rules = 5000
	for _, variant := range []string{"nft", "legacy"} {
		b.Run(variant, func(b *testing.B) {
			labtest.NeedIptables(b, variant)
			l, err := lab.Build(b.Context(), talking(), lab.Options{Iptables: variant})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			benchmarkRules(b, l.Node("host"), lab.Command(variant), manyRules(rules))
		})
	}
}

func benchmarkRules(b *testing.B, host *lab.Namespace, c lab.Commands, rules string) {
	var load, attach, detach []time.Duration
	for b.Loop() {
		restore(b, host, c, manyRules(1)) // so that loading has nothing to clear away
		begin := time.Now()
		restore(b, host, c, rules)
		load = append(load, time.Since(begin))

		begin = time.Now()
		tr, err := nflog.Attach(b.Context(), nflog.Target{
			Node: "host", Namespace: host, Backends: []nflog.Backend{{Family: trace.IPv4, Command: c.Iptables}}, Tables: trace.Tables(), Careful: true,
		}, nflog.Options{Report: func(err error) { b.Error(err) }}, func(trace.Event) {})
		if err != nil {
			b.Fatal(err)
		}
		attach = append(attach, time.Since(begin))

		begin = time.Now()
		if err := tr.Detach(context.Background()); err != nil {
			b.Fatal(err)
		}
		detach = append(detach, time.Since(begin))
	}
	ms := func(d time.Duration) float64 { return d.Seconds() * 1000 }
	loaded := slices.Min(load)
	b.ReportMetric(ms(loaded), "load-ms")
	for what, took := range map[string]time.Duration{"attach": slices.Min(attach), "detach": slices.Min(detach)} {
		b.ReportMetric(ms(took), what+"-ms")
		b.ReportMetric(float64(took)/float64(loaded), what+"-ratio")
	}
}

// What a packet costs does not depend on how many rules it passes over.
func TestEventsDoNotDependOnTheNumberOfRules(t *testing.T) {
	eachVariant(t, talking(), func(t *testing.T, l *lab.Lab, c lab.Commands) {
		few, many := eventsThrough(t, l, c, 500), eventsThrough(t, l, c, 5000)
		if few != many {
			t.Errorf("a datagram costs %d events with 500 rules and %d with 5000", few, many)
		}
		t.Logf("a datagram costs %d events", many)
	})
}

// inPieces is a script that loads a table in transactions small enough for the
// socket of an ordinary user (net.core.wmem_max): the first one flushes, the
// others add.
func inPieces(script string) []string {
	const most = 200
	head, tail, _ := strings.Cut(script, "-A ")
	rules := strings.Split(strings.TrimSuffix("-A "+tail, "COMMIT\n"), "\n")
	var all []string
	for piece := range slices.Chunk(rules, most) {
		all = append(all, head+strings.Join(piece, "\n")+"\nCOMMIT\n")
		head = "*filter\n"
	}
	return all
}

// eventsThrough counts the events of the client's datagram with this many rules.
func eventsThrough(t *testing.T, l *lab.Lab, c lab.Commands, rules int) int {
	t.Helper()
	for i, piece := range inPieces(manyRules(rules)) {
		if i == 0 {
			restore(t, l.Node("host"), c, piece)
			continue
		}
		restore(t, l.Node("host"), c, piece, "--noflush")
	}
	r := newRecorder()
	tr := attach(t, l, c, r.receive)
	if _, err := l.Send(t.Context(), "ask"); err != nil {
		t.Fatal(err)
	}
	question := func(e trace.Event) bool { return e.Packet.Dst.Port() == 53 }
	r.await(t, func(e trace.Event) bool {
		return question(e) && e.Hook == trace.Input && e.Probe.Table == trace.Security
	})
	if err := tr.Detach(t.Context()); err != nil {
		t.Fatal(err)
	}
	if tr.Lost() != 0 {
		t.Errorf("%d events were lost", tr.Lost())
	}
	count := 0
	for _, e := range r.events {
		if question(e) {
			count++
			if e.Probe.Rule != 0 && e.Probe.Rule != rules {
				t.Errorf("the datagram matched rule %d of %d", e.Probe.Rule, rules)
			}
		}
	}
	return count
}
