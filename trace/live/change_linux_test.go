package live_test

import (
	"context"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/assemble"
	"packetwalk/trace/live"
	"packetwalk/trace/nflog"
)

// bridged is a host with two containers on a bridge, and a third node without a wire.
func bridged() lab.Topology {
	prefix := func(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }
	return lab.Topology{
		Nodes: []lab.Node{
			{Name: "host", Kind: lab.Host, Bridges: []lab.Bridge{{Name: "br0", Addresses: prefix("172.18.0.1/16")}}},
			{Name: "c1", Kind: lab.Container}, {Name: "c2", Kind: lab.Container}, {Name: "far", Kind: lab.Machine},
		},
		Links: []lab.Link{
			{Ends: [2]lab.End{{Node: "host", Interface: "veth1", Bridge: "br0"}, {Node: "c1", Interface: "eth0", Addresses: prefix("172.18.0.2/16")}}},
			{Ends: [2]lab.End{{Node: "host", Interface: "veth2", Bridge: "br0"}, {Node: "c2", Interface: "eth0", Addresses: prefix("172.18.0.3/16")}}},
		},
		Clients: []lab.Client{
			{Name: "across", Node: "c1", Protocol: lab.Ping, To: netip.MustParseAddrPort("172.18.0.3:0")},
			{Name: "far", Node: "host", Protocol: lab.Ping, To: netip.MustParseAddrPort("10.5.0.2:0")},
		},
	}
}

// Two containers on one bridge: where bridge netfilter is on the host's FORWARD
// sees the packet, and where it is off the host has nothing to say.
func TestAcrossBridge(t *testing.T) {
	for _, variant := range []string{"nft", "legacy"} {
		for value, want := range map[string][]string{"0": {"c1", "c2"}, "1": {"c1", "host", "c2"}} {
			t.Run(variant+" "+value, func(t *testing.T) {
				labtest.NeedIptables(t, variant)
				topology := bridged()
				topology.Nodes[0].Sysctls = []lab.Sysctl{{Name: "net.bridge.bridge-nf-call-iptables", Value: value}}
				l := labtest.Build(t, topology, variant)
				walks := collect(t, l, start(t, l, topology, variant), "across")
				if len(walks) != 2 {
					for _, w := range walks {
						t.Log(w.Packet.Summary(), w.Outcome, "\n"+describe(w))
					}
					t.Fatalf("%d walks, want a request and its reply", len(walks))
				}
				for i, w := range walks {
					want := want
					if w.Direction == trace.Reply { // on a busy machine it may be handed out first
						want = reversed(want)
					}
					if diff := cmp.Diff(want, nodes(w)); diff != "" || w.Outcome != trace.Delivered {
						t.Errorf("walk %d is %s; nodes (-want +got):\n%s\n%s", i+1, w.Outcome, diff, describe(w))
					}
				}
			})
		}
	}
}

func reversed(all []string) []string {
	out := make([]string, len(all))
	for i, v := range all {
		out[len(all)-1-i] = v
	}
	return out
}

// nodes lists the nodes of a walk in their order.
func nodes(w trace.Walk) []string {
	var all []string
	for _, s := range w.Steps {
		if len(all) == 0 || all[len(all)-1] != s.Node {
			all = append(all, s.Node)
		}
	}
	return all
}

// run runs commands in a node, one a line.
func run(t testing.TB, l *lab.Lab, node, commands string) {
	t.Helper()
	for line := range strings.Lines(strings.TrimSpace(commands)) {
		words := strings.Fields(line)
		err := l.Node(node).Do(func() error { return exec.Command(words[0], words[1:]...).Run() })
		if err != nil {
			t.Fatalf("%s: %s: %v", node, strings.TrimSpace(line), err)
		}
	}
}

// rewire tells a trace of the lab's wires as they are now.
func rewire(t testing.TB, l *lab.Lab, tr *live.Trace) {
	t.Helper()
	topology, err := l.Observe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	segments := map[assemble.Port]int{}
	for port, segment := range topology.Segments() {
		segments[assemble.Port(port)] = segment
	}
	tr.Rewire(segments)
}

// A veth pair that somebody makes while the trace runs carries walks, and one
// of the same name in its place does too.
func TestRewire(t *testing.T) {
	labtest.NeedIptables(t, "")
	l := labtest.Build(t, bridged(), "")
	tr := start(t, l, bridged(), "")
	run(t, l, "host", `
		ip link add new0 type veth peer name new1 netns far
		ip link del new0
		ip link add new0 type veth peer name new1 netns far
		ip addr add 10.5.0.1/24 dev new0
		ip link set new0 up`)
	run(t, l, "far", "ip addr add 10.5.0.2/24 dev new1\nip link set new1 up")
	rewire(t, l, tr)
	walks := collect(t, l, tr, "far")
	if len(walks) != 2 {
		t.Fatalf("%d walks, want a request and its reply", len(walks))
	}
	if diff := cmp.Diff([]string{"host", "far"}, nodes(walks[0])); diff != "" || walks[0].Outcome != trace.Delivered {
		t.Errorf("the request is %s; nodes (-want +got):\n%s", walks[0].Outcome, diff)
	}
}

// walksOf keeps the walks of a trace until it is closed.
func walksOf(tr *live.Trace) (walks func() []trace.Walk) {
	done := make(chan []trace.Walk, 1)
	go func() {
		var all []trace.Walk
		for w := range tr.Walks() {
			all = append(all, w)
		}
		done <- all
	}()
	return func() []trace.Walk { return <-done }
}

// A paused node has the user's own rules and no others, and nothing of it is
// seen; what was seen before is kept, and what comes later is seen with the
// rules as they are then.
func TestPause(t *testing.T) {
	for _, variant := range []string{"nft", "legacy"} {
		t.Run(variant, func(t *testing.T) {
			labtest.NeedIptables(t, variant)
			topology := bridged()
			topology.Nodes[0].Rules = []string{"iptables -A OUTPUT -p icmp -j ACCEPT"}
			topology.Clients[1].To = netip.MustParseAddrPort("172.18.0.2:0")
			l := labtest.Build(t, topology, variant)
			before := saveAll(t, l, topology, variant)
			changed := make(chan string, 100)
			c := live.Config{Segments: map[assemble.Port]int{}, Finished: true, Changed: func(node string) { changed <- node }}
			c.Options.Report = func(err error) { t.Error(err) }
			c.Targets = []nflog.Target{{Node: "host", Namespace: l.Node("host"), Backends: backends(variant), Tables: trace.Tables()}}
			tr, err := live.Start(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			walks := walksOf(tr)
			ping(t, l)
			pause, resume := step(t, tr.Pause), step(t, tr.Resume)
			pause()
			pause()
			ping(t, l)
			resume()
			time.Sleep(600 * time.Millisecond) // longer than two looks of the watch
			if diff := cmp.Diff(before, saveAll(t, l, topology, variant)); diff != "" {
				t.Errorf("rules while the trace is paused (-want +got):\n%s", diff)
			}
			run(t, l, "host", lab.Command(variant).Iptables+" -D OUTPUT 1\n"+lab.Command(variant).Iptables+" -A OUTPUT -p icmp -j LOG")
			if len(changed) > 0 {
				t.Error("a change was told of during the pause")
			}
			resume()
			if len(changed) != 1 {
				t.Errorf("%d changes were told of, want one", len(changed))
			}
			ping(t, l)
			if err := tr.Resume(t.Context(), "host"); err == nil {
				t.Error("what is not paused can be resumed")
			}
			if err := tr.Pause(t.Context(), "nowhere"); err == nil {
				t.Error("a node that is not there can be paused")
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if err := tr.Quiet(ctx, 50*time.Millisecond); err != nil {
				t.Error(err)
			}
			if err := tr.Close(t.Context()); err != nil {
				t.Error(err)
			}
			var got []string
			for _, w := range walks() {
				for _, s := range w.Steps {
					if s.Rule > 0 {
						got = append(got, string(s.Verdict)+" "+s.Target)
					}
				}
			}
			if diff := cmp.Diff([]string{"ACCEPT ", "CONTINUE LOG"}, got); diff != "" {
				t.Errorf("rules that matched (-want +got):\n%s", diff)
			}
		})
	}
}

func ping(t *testing.T, l *lab.Lab) {
	t.Helper()
	if _, err := l.Send(t.Context(), "far"); err != nil {
		t.Error(err)
	}
}

// step does something with the node host.
func step(t *testing.T, do func(context.Context, string) error) func() {
	return func() {
		t.Helper()
		if err := do(t.Context(), "host"); err != nil {
			t.Fatal(err)
		}
	}
}

// Changes by any means are told of where the ruleset is watched, and a pause by
// itself is none.
func TestChanged(t *testing.T) {
	for _, variant := range []string{"nft", "legacy"} {
		t.Run(variant, func(t *testing.T) {
			labtest.NeedIptables(t, variant)
			topology := bridged()
			l := labtest.Build(t, topology, variant)
			changed := make(chan string, 100)
			c := live.Config{Changed: func(node string) { changed <- node }}
			c.Options.Report = func(err error) { t.Error(err) }
			for _, n := range topology.Nodes {
				c.Targets = append(c.Targets, nflog.Target{Node: n.Name, Namespace: l.Node(n.Name), Backends: backends(variant), Tables: trace.Tables()})
			}
			tr, err := live.Start(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := tr.Abandon(context.WithoutCancel(t.Context())); err != nil {
					t.Error(err)
				}
			}()
			step(t, tr.Pause)()
			step(t, tr.Resume)()
			time.Sleep(600 * time.Millisecond)
			if len(changed) > 0 {
				t.Errorf("%d changes, and there was none", len(changed))
			}
			run(t, l, "c1", lab.Command(variant).Iptables+" -P INPUT DROP")
			select {
			case node := <-changed:
				if node != "c1" {
					t.Errorf("node %s has changed, want c1", node)
				}
			case <-time.After(5 * time.Second):
				t.Error("nothing was told")
			}
		})
	}
}
