package vantage_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/host"
	"packetwalk/trace/nflog"
	"packetwalk/trace/why/vantage"
	"packetwalk/trace/why/vantage/vantagetest"
)

func TestMain(m *testing.M) { vantagetest.Main(m) }

// topology is a host that publishes a container's port, and forwards.
func topology() lab.Topology {
	prefix := func(p string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(p)} }
	sysctls := []lab.Sysctl{
		{Name: "net.ipv4.conf.all.rp_filter", Value: "1"}, {Name: "net.ipv4.ip_forward", Value: "1"}, {Name: "net.ipv6.conf.all.forwarding", Value: "1"},
	}
	return lab.Topology{
		Nodes: []lab.Node{
			{Name: "host", Kind: lab.Host, Sysctls: sysctls, Bridges: []lab.Bridge{{Name: "docker0", Addresses: append(prefix("172.17.0.1/16"), prefix("fd00:17::1/64")...)}}, Rules: []string{
				"iptables -t nat -A PREROUTING -p tcp --dport 8080 -m addrtype --dst-type LOCAL -j DNAT --to-destination 172.17.0.2:80",
				"iptables -A FORWARD -i pw-+ -s 203.0.113.0/30 -j DROP", // a network to stay away from
			}},
			{Name: "c1", Kind: lab.Container, Routes: []lab.Route{
				{Via: netip.MustParseAddr("172.17.0.1")}, {Via: netip.MustParseAddr("fd00:17::1")},
			}},
		},
		Links: []lab.Link{{Ends: [2]lab.End{
			{Node: "host", Interface: "veth1", Bridge: "docker0"}, {Node: "c1", Interface: "eth0", Addresses: append(prefix("172.17.0.2/16"), prefix("fd00:17::2/64")...)},
		}}},
		Services: []lab.Service{
			{Node: "c1", Protocol: lab.HTTP, Listen: netip.MustParseAddrPort("0.0.0.0:80"), Reply: "hello"},
			{Node: "c1", Protocol: lab.HTTP, Listen: netip.MustParseAddrPort("[::]:80"), Reply: "hello"},
		},
	}
}

// outside makes a client outside of a lab's host.
func outside(t *testing.T, l *lab.Lab, family trace.Family) *vantage.Outside {
	t.Helper()
	backends := []nflog.Backend{{Family: trace.IPv4, Command: lab.Command("").Iptables}}
	rules, err := nflog.Rulesets(t.Context(), l.Node("host"), backends)
	if err != nil {
		t.Fatal(err)
	}
	o, err := vantage.NewOutside(t.Context(), host.Place{Name: "host", Namespace: l.Node("host")}, family, rules)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	return o
}

func TestOutsideReachesWhatIsPublished(t *testing.T) {
	labtest.NeedIptables(t, "")
	l := labtest.Build(t, topology(), "")
	before := vantagetest.Settled(t, l.Node("host"))
	for target, family := range map[string]trace.Family{"": trace.IPv4, "172.17.0.2:80": trace.IPv4, "[fd00:17::2]:80": trace.IPv6} {
		t.Run(target, func(t *testing.T) {
			o := outside(t, l, family)
			if o.Address.String() == "203.0.113.2" {
				t.Error("the client has an address that a rule names")
			}
			to := netip.AddrPortFrom(o.Gateway, 8080) // any address of the host
			if target != "" {
				to = netip.MustParseAddrPort(target)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			r, err := lab.Request(ctx, o, lab.Client{Node: "outside", Protocol: lab.HTTP, To: to})
			if err != nil || string(r.Body) != "hello" || r.Local.Addr() != o.Address {
				t.Errorf("the answer is %q, to %v: %v", r.Body, r.Local, err)
			}
			for range 2 {
				if err := o.Close(); err != nil {
					t.Error(err)
				}
			}
			if diff := cmp.Diff(before, vantagetest.Dump(t, l.Node("host"))); diff != "" {
				t.Errorf("the host (-before +after):\n%s", diff)
			}
			s, err := host.Read(t.Context(), host.Place{Name: "host", Namespace: l.Node("host")}, nil, host.Options{Addresses: []netip.Addr{o.Address}})
			if err != nil || len(s.Connections) > 0 {
				t.Errorf("connections of the client are left: %v, %v", s.Connections, err)
			}
			if err := o.Do(func() error { return nil }); err == nil {
				t.Error("the client that was removed can still be entered")
			}
		})
	}
}

func TestTwoOutside(t *testing.T) {
	labtest.NeedIptables(t, "")
	l := labtest.Build(t, topology(), "")
	a, b := outside(t, l, trace.IPv4), outside(t, l, trace.IPv4)
	if a.Address == b.Address || a.Interface == b.Interface {
		t.Errorf("both clients are %v", a.Client)
	}
}

// The kernel takes everything away when the process that made it is killed.
func TestKilled(t *testing.T) {
	for name, role := range map[string]vantagetest.Role{
		"holding a client": {}, "tracing a request": {Origin: vantage.Origin{Kind: vantage.FromOutside}, Target: "172.17.0.2:80"},
	} {
		t.Run(name, func(t *testing.T) {
			labtest.NeedIptables(t, "")
			l := labtest.Build(t, topology(), "")
			n := l.Node("host")
			before := vantagetest.Settled(t, n)
			for range 2 {
				word, kill := role.Start(t, n)
				if during := strings.Join(vantagetest.Dump(t, n), "\n"); !strings.Contains(during, word) {
					t.Errorf("there is no %s:\n%s", word, during)
				}
				kill()
				vantagetest.Unchanged(t, n, before)
			}
		})
	}
}
