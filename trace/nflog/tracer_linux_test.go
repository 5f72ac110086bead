package nflog_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/nflog"
)

// filtered is a node that talks to itself through rules of many kinds.
func filtered() lab.Topology {
	return lab.Topology{
		Nodes: []lab.Node{{
			Name: "host", Kind: lab.Host,
			Rules: []string{
				"iptables -N WEB",
				"iptables -N UNUSED",
				"iptables -A INPUT -p tcp --dport 80 -m comment --comment \"to the shop\" -j WEB",
				"iptables -A WEB -m limit --limit 1000/sec -j RETURN",
				"iptables -A WEB -j DROP",
				"iptables -A WEB -m limit --limit 1/hour -m comment --comment packetwalk:fake:1: -j LOG",
				"iptables -A INPUT -p udp --dport 53 -j ACCEPT",
				"iptables -t nat -A OUTPUT -p udp --dport 5353 -j DNAT --to-destination 127.0.0.1:53",
			},
		}},
		Services: []lab.Service{{Node: "host", Protocol: lab.UDPEcho, Listen: netip.MustParseAddrPort("127.0.0.1:53")}},
		Clients:  []lab.Client{{Name: "ask", Node: "host", Protocol: lab.UDPEcho, To: netip.MustParseAddrPort("127.0.0.1:5353")}},
	}
}

// eachVariant runs a test with a lab of every variant of iptables.
func eachVariant(t *testing.T, topology lab.Topology, test func(t *testing.T, l *lab.Lab, command lab.Commands)) {
	for _, variant := range []string{"nft", "legacy"} {
		t.Run(variant, func(t *testing.T) {
			labtest.NeedIptables(t, variant)
			l := labtest.Build(t, topology, variant)
			test(t, l, lab.Command(variant))
		})
	}
}

// command runs a command in the node and returns what it printed.
func command(t testing.TB, n *lab.Namespace, name string, args ...string) string {
	t.Helper()
	var out string
	err := n.Do(func() (err error) {
		out, err = output(name, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func output(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %v: %w: %s", name, args, err, errs.String())
	}
	return string(out), nil
}

var emptyTable = regexp.MustCompile(`(?m)^\*\w+\n(:\w+ ACCEPT \[\d+:\d+\]\n)+COMMIT\n`)

// save is iptables-save without comments. The kernel cannot give a legacy table
// back that was once asked for, so empty ones are left out there.
func save(t testing.TB, n *lab.Namespace, c lab.Commands, args ...string) string {
	t.Helper()
	text := regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(command(t, n, c.Save, args...), "")
	if strings.HasSuffix(c.Iptables, "legacy") {
		text = emptyTable.ReplaceAllString(text, "")
	}
	return text
}

// uncounted is a listing whose policies have counted nothing.
func uncounted(listing string) string {
	return regexp.MustCompile(`(?m)^(:.*) \[\d+:\d+\]$`).ReplaceAllString(listing, "$1 [0:0]")
}

// recorder keeps events for a test to look at.
type recorder struct {
	mu     sync.Mutex
	events []trace.Event
	more   chan struct{}
}

func newRecorder() *recorder { return &recorder{more: make(chan struct{}, 1)} }

func (r *recorder) receive(e trace.Event) {
	r.mu.Lock()
	r.events = append(r.events, e)
	r.mu.Unlock()
	select {
	case r.more <- struct{}{}:
	default:
	}
}

// forget drops the events that came so far.
func (r *recorder) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = nil
}

// await waits for an event that fits, and returns all that came until then.
func (r *recorder) await(t *testing.T, fits func(trace.Event) bool) []trace.Event {
	t.Helper()
	for {
		r.mu.Lock()
		events := slices.Clone(r.events)
		r.mu.Unlock()
		if slices.ContainsFunc(events, fits) {
			return events
		}
		select {
		case <-r.more:
		case <-time.After(5 * time.Second):
			t.Fatalf("the event did not come; there were %d others", len(events))
		}
	}
}

func attach(t *testing.T, l *lab.Lab, c lab.Commands, receive func(trace.Event)) *nflog.Tracer {
	t.Helper()
	tr, err := nflog.Attach(t.Context(), nflog.Target{
		Node: "host", Namespace: l.Node("host"), Backends: []nflog.Backend{{Family: trace.IPv4, Command: c.Iptables}}, Tables: trace.Tables(),
	}, nflog.Options{}, receive)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Detach(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return tr
}

// attachWatching attaches a tracer that follows what others change, until the
// test detaches it.
func attachWatching(t *testing.T, l *lab.Lab, c lab.Commands, receive func(trace.Event)) *nflog.Tracer {
	t.Helper()
	tr, err := nflog.Attach(t.Context(), nflog.Target{
		Node: "host", Namespace: l.Node("host"), Backends: []nflog.Backend{{Family: trace.IPv4, Command: c.Iptables}}, Tables: trace.Tables(),
	}, nflog.Options{Report: func(err error) { t.Error(err) }}, receive)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestDetachLeavesTheRulesetAsItWas(t *testing.T) {
	eachVariant(t, filtered(), func(t *testing.T, l *lab.Lab, c lab.Commands) {
		host := l.Node("host")
		before := save(t, host, c)
		tr := attach(t, l, c, func(trace.Event) {})
		during := save(t, host, c)
		if diff := cmp.Diff(5, strings.Count(during, "COMMIT")); diff != "" {
			t.Errorf("tables while tracing (-want +got):\n%s", diff)
		}
		// A rule that appears while we trace, and one that goes, must not be disturbed.
		command(t, host, c.Iptables, "-w", "-A", "INPUT", "-s", "192.0.2.1", "-j", "DROP")
		command(t, host, c.Iptables, "-w", "-D", "INPUT", "-p", "udp", "--dport", "53", "-j", "ACCEPT")
		if err := tr.Detach(t.Context()); err != nil {
			t.Fatal(err)
		}
		command(t, host, c.Iptables, "-w", "-D", "INPUT", "-s", "192.0.2.1", "-j", "DROP")
		command(t, host, c.Iptables, "-w", "-A", "INPUT", "-p", "udp", "--dport", "53", "-j", "ACCEPT")
		if diff := cmp.Diff(before, save(t, host, c)); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
		if err := tr.Detach(t.Context()); err != nil {
			t.Errorf("detaching twice: %v", err)
		}
	})
}

func TestCountersOfOthersStay(t *testing.T) {
	eachVariant(t, filtered(), func(t *testing.T, l *lab.Lab, c lab.Commands) {
		host := l.Node("host")
		if _, err := l.Send(t.Context(), "ask"); err != nil {
			t.Fatal(err)
		}
		before := save(t, host, c, "-c")
		tr := attach(t, l, c, func(trace.Event) {})
		if err := tr.Detach(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, save(t, host, c, "-c")); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
	})
}

func TestEventsTellTheWay(t *testing.T) {
	eachVariant(t, filtered(), func(t *testing.T, l *lab.Lab, c lab.Commands) {
		r := newRecorder()
		tr := attach(t, l, c, r.receive)
		if _, err := l.Send(t.Context(), "ask"); err != nil {
			t.Fatal(err)
		}
		events := r.await(t, func(e trace.Event) bool { return e.Hook == trace.Input && e.Packet.Src.Port() == 5353 })
		var got []string
		for _, e := range events {
			if e.Packet.Dst.Port() != 5353 && e.Packet.Dst.Port() != 53 {
				continue
			}
			got = append(got, fmt.Sprintf("%s %s/%s %s %d %s %s", e.Hook, e.Probe.Table, e.Probe.Chain, e.Probe.Kind, e.Probe.Rule, e.Probe.CTState, e.Packet.Dst))
		}
		input := []string{
			"INPUT mangle/INPUT enter 0  127.0.0.1:53", "INPUT filter/INPUT enter 0  127.0.0.1:53",
			"INPUT filter/INPUT match 2  127.0.0.1:53",
			// Source NAT was settled at POSTROUTING: the nat table is not asked again.
			"INPUT security/INPUT enter 0  127.0.0.1:53",
		}
		want := append([]string{
			"OUTPUT raw/OUTPUT enter 0  127.0.0.1:5353",
			"OUTPUT mangle/OUTPUT enter 0 NEW 127.0.0.1:5353",
			"OUTPUT nat/OUTPUT enter 0  127.0.0.1:5353",
			"OUTPUT nat/OUTPUT match 1  127.0.0.1:5353",
			"OUTPUT filter/OUTPUT enter 0  127.0.0.1:53",
			"OUTPUT security/OUTPUT enter 0  127.0.0.1:53",
			"POSTROUTING mangle/POSTROUTING enter 0  127.0.0.1:53",
			"POSTROUTING nat/POSTROUTING enter 0  127.0.0.1:53",
			"PREROUTING raw/PREROUTING enter 0  127.0.0.1:53",
			"PREROUTING mangle/PREROUTING enter 0 NEW 127.0.0.1:53",
		}, input...)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for _, e := range events {
			if e.In != "lo" && e.Out != "lo" {
				t.Errorf("an event names interfaces %q and %q, want lo", e.In, e.Out)
				break
			}
		}
		if tr.Lost() != 0 {
			t.Errorf("%d events were lost", tr.Lost())
		}
	})
}

func TestEventsArriveAtOnce(t *testing.T) {
	eachVariant(t, filtered(), func(t *testing.T, l *lab.Lab, c lab.Commands) {
		var mu sync.Mutex
		var worst time.Duration
		r := newRecorder()
		attach(t, l, c, func(e trace.Event) {
			if e.KernelTime {
				mu.Lock()
				worst = max(worst, time.Since(e.Time))
				mu.Unlock()
			}
			r.receive(e)
		})
		if _, err := l.Send(t.Context(), "ask"); err != nil {
			t.Fatal(err)
		}
		r.await(t, func(e trace.Event) bool { return e.Hook == trace.Input && e.Packet.Src.Port() == 5353 })
		mu.Lock()
		defer mu.Unlock()
		// A queue that waits to fill up holds an event for a second; this is far
		// below that, and far above what a busy machine adds.
		if worst > 500*time.Millisecond {
			t.Errorf("an event took %v from the packet to us", worst)
		}
		t.Logf("the slowest event took %v", worst)
	})
}

func TestTwoTracersDoNotDisturbEachOther(t *testing.T) {
	eachVariant(t, filtered(), func(t *testing.T, l *lab.Lab, c lab.Commands) {
		host := l.Node("host")
		before := save(t, host, c)
		first, second := newRecorder(), newRecorder()
		one := attach(t, l, c, first.receive)
		two := attach(t, l, c, second.receive)
		if _, err := l.Send(t.Context(), "ask"); err != nil {
			t.Fatal(err)
		}
		atInput := func(e trace.Event) bool { return e.Hook == trace.Input && e.Packet.Src.Port() == 5353 }
		first.await(t, atInput)
		rule := func(e trace.Event) bool { return e.Probe.Chain == "INPUT" && e.Probe.Rule > 0 }
		for _, e := range second.await(t, atInput) {
			if rule(e) && e.Probe.Rule != 2 {
				t.Errorf("the second tracer counts the first one's probes: %+v", e.Probe)
			}
		}
		if diff := cmp.Diff(visibleRules(one), visibleRules(two)); diff != "" {
			t.Errorf("rules (-first +second):\n%s", diff)
		}
		if err := one.Detach(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := two.Detach(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(uncounted(before), uncounted(save(t, host, c))); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
	})
}

// visibleRules lists the rules a tracer has found, whatever the order of the
// tables, and their counters.
func visibleRules(t *nflog.Tracer) []string {
	var rules []string
	for _, table := range t.Rules(trace.IPv4).Tables {
		for _, c := range table.Chains {
			for _, r := range c.Rules {
				rules = append(rules, string(table.Name)+" "+r.Text)
			}
		}
	}
	slices.Sort(rules)
	return rules
}

// A restore that fails half-way has already probed the tables before that one.
func TestFailedAttachLeavesNothing(t *testing.T) {
	eachVariant(t, filtered(), func(t *testing.T, l *lab.Lab, c lab.Commands) {
		host := l.Node("host")
		before := save(t, host, c)
		_, err := nflog.Attach(t.Context(), nflog.Target{
			Node: "host", Namespace: host, Tables: trace.Tables(),
			Backends: []nflog.Backend{nflog.Backend{Family: trace.IPv4, Command: brokenRestore(t, c)}.ByCommand()},
		}, nflog.Options{}, func(trace.Event) {})
		if err == nil || !strings.Contains(err.Error(), "out of order today") {
			t.Fatalf("Attach = %v, want what the command said", err)
		}
		if diff := cmp.Diff(before, save(t, host, c)); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
	})
}

// brokenRestore makes an iptables whose restore carries out the first tables
// and then fails, until it is asked to delete.
func brokenRestore(t *testing.T, c lab.Commands) string {
	t.Helper()
	return withRestore(t, c.Iptables, `input=$(cat)
		case $input in *-D\ *) echo "$input" | exec `+c.Restore+` "$@";; esac
		echo "$input" | sed -n '1,/^COMMIT/p' | `+c.Restore+` "$@"
		echo out of order today >&2
		exit 1`)
}
