package live_test

import (
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

// What a native nft chain does to a packet is not put down to a rule of iptables,
// and what a rule of iptables does is.
func TestNativeChains(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil {
		labtest.Skip(t, "nft is missing: apt-get install nftables")
	}
	for name, test := range map[string]struct {
		chain string // a native one, at PREROUTING
		to    string // where the packet is sent
		// the steps at PREROUTING and behind that rewrite, as TABLE/CHAIN RULE DST
		want []string
	}{
		"NAT before iptables": {
			"type nat hook prerouting priority -110; udp dport 5000 dnat to 192.168.23.150:7", "192.168.23.149:5000",
			[]string{"conntrack/ 0 192.168.23.150:7"},
		},
		"NAT behind iptables": {
			"type nat hook prerouting priority -90; udp dport 6000 dnat to 192.168.23.150:7", "192.168.23.149:6000",
			[]string{"conntrack/ 0 192.168.23.150:7"},
		},
		"NAT behind a rule that has done it": {
			"type nat hook prerouting priority -90; dnat to 192.168.23.150", "192.168.23.149:5000",
			[]string{"nat/PREROUTING 1 192.168.23.149:7"},
		},
		"another rewriting behind a rule": {
			"type filter hook prerouting priority -50; udp dport 7 ip daddr set 192.168.23.150", "192.168.23.149:5000",
			[]string{"nat/PREROUTING 1 192.168.23.149:7", "conntrack/ 0 192.168.23.150:7"},
		},
	} {
		for _, variant := range []string{"nft", "legacy"} {
			t.Run(name+" "+variant, func(t *testing.T) {
				labtest.NeedIptables(t, variant)
				topology := flooded()
				topology.Links[0].Ends[1].Addresses = append(topology.Links[0].Ends[1].Addresses, netip.MustParsePrefix("192.168.23.150/24"))
				l := labtest.Build(t, topology, variant)
				native(t, l.Node("host"), test.chain)
				tr := startLimited(t, l, variant, "udp", 0)
				blast(t, l.Node("client"), test.to, func() bool { return true })
				await(t, "the walk", func() bool { return tr.seen(func(trace.Walk) bool { return true }) })
				walks := tr.close(t)
				var got []string
				before := walks[0].Packet.Dst
				for _, s := range walks[0].Steps {
					if s.Dst != before {
						got = append(got, fmt.Sprintf("%s/%s %d %s", s.Table, s.Chain, s.Rule, s.Dst))
					}
					before = s.Dst
				}
				if strings.Join(got, ", ") != strings.Join(test.want, ", ") || walks[0].Outcome != trace.Dropped {
					t.Errorf("what rewrites is %q, want %q; the packet is %s:\n%s", got, test.want, walks[0].Outcome, describe(walks[0]))
				}
			})
		}
	}
}

// TestFilterSurvivesOthersNAT holds that a filter follows a packet through NAT of
// which the traced rules know nothing: that of a native chain, or of the other
// implementation of iptables. No rule of those that are traced tracks connections.
func TestFilterSurvivesOthersNAT(t *testing.T) {
	for name, test := range map[string]struct {
		traced  []string // variants of iptables
		rewrite func(*testing.T, *lab.Namespace)
		later   bool // than the trace began
	}{
		"native, nft":           {[]string{"nft"}, nativeNAT, false},
		"native, legacy":        {[]string{"legacy"}, nativeNAT, false},
		"native, later, nft":    {[]string{"nft"}, nativeNAT, true},
		"native, later, legacy": {[]string{"legacy"}, nativeNAT, true},
		"legacy, both":          {[]string{"nft", "legacy"}, func(t *testing.T, n *lab.Namespace) { iptablesNAT(t, n, "legacy") }, false},
		"nft, both":             {[]string{"nft", "legacy"}, func(t *testing.T, n *lab.Namespace) { iptablesNAT(t, n, "nft") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variant := range []string{"nft", "legacy"} {
				labtest.NeedIptables(t, variant)
			}
			topology := flooded()
			topology.Nodes[1].Rules = nil
			l := labtest.Build(t, topology, test.traced[0])
			if !test.later {
				test.rewrite(t, l.Node("host"))
			}
			var traced []nflog.Backend
			for _, v := range test.traced {
				traced = append(traced, backends(v)...)
			}
			tr := startOn(t, l, traced, "udp port 5000", 0)
			if test.later {
				blast(t, l.Node("client"), "192.168.23.149:5000", func() bool { return true })
				await(t, "the walk before", func() bool { return tr.seen(func(trace.Walk) bool { return true }) })
				time.Sleep(time.Second) // until the tracer has looked at what it did itself
				test.rewrite(t, l.Node("host"))
			}
			through := func(w trace.Walk) bool {
				return w.Outcome == trace.Delivered && w.Steps[len(w.Steps)-1].Dst.Port() == 7
			}
			await(t, "the walk", func() bool {
				blast(t, l.Node("client"), "192.168.23.149:5000", func() bool { return true })
				return tr.seen(func(w trace.Walk) bool { return !test.later || through(w) })
			})
			walks := slices.DeleteFunc(tr.close(t), func(w trace.Walk) bool { return test.later && !through(w) })
			seen := map[trace.Variant]bool{}
			for _, s := range walks[0].Steps {
				if s.Hook == trace.Input && s.Table == trace.Filter && s.Dst.Port() == 7 {
					seen[s.Variant] = true
				}
			}
			if walks[0].Outcome != trace.Delivered || len(seen) != len(test.traced) {
				t.Errorf("the packet is %s:\n%s", walks[0].Outcome, describe(walks[0]))
			}
		})
	}
}

// nativeNAT leads port 5000 to port 7 by a table that iptables does not show.
func nativeNAT(t *testing.T, n *lab.Namespace) {
	t.Helper()
	if _, err := exec.LookPath("nft"); err != nil {
		labtest.Skip(t, "nft is missing: apt-get install nftables")
	}
	native(t, n, "type nat hook prerouting priority -100; udp dport 5000 dnat to 192.168.23.149:7")
}

// iptablesNAT does so by a variant of iptables.
func iptablesNAT(t *testing.T, n *lab.Namespace, variant string) {
	t.Helper()
	err := n.Do(func() error {
		return exec.Command(lab.Command(variant).Iptables, "-t", "nat", "-A", "PREROUTING", "-p", "udp", "--dport", "5000",
			"-j", "DNAT", "--to-destination", "192.168.23.149:7").Run()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// native adds a base chain of nf_tables that is not one of iptables.
func native(t *testing.T, n *lab.Namespace, chain string) {
	t.Helper()
	head, rule, _ := strings.Cut(chain, "; ")
	err := n.Do(func() error {
		cmd := exec.Command("nft", "-f", "-")
		cmd.Stdin = strings.NewReader(fmt.Sprintf("table ip theirs {\n chain pre {\n %s;\n %s\n }\n}\n", head, rule))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("nft: %w: %s", err, out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
