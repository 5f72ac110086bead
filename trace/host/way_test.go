package host

import (
	"net/netip"
	"testing"

	"packetwalk/trace"
)

func TestWay(t *testing.T) {
	prefix, addr := netip.MustParsePrefix, netip.MustParseAddr
	route := func(table int, typ RouteType, to, dev string, metric int) Route {
		r := Route{Family: trace.IPv4, Table: table, Type: typ, Interface: dev, Metric: metric}
		if to != "default" {
			r.Destination = prefix(to)
		}
		return r
	}
	s := State{
		Routes: []Route{
			route(255, Local, "10.0.0.1/32", "eth0", 0),
			route(254, Unicast, "default", "eth0", 0),
			route(254, Unicast, "10.0.0.0/24", "eth0", 0),
			route(254, Unicast, "10.1.0.0/16", "eth1", 100),
			route(254, Unicast, "10.1.0.0/16", "eth2", 50),
			route(254, Blackhole, "10.2.0.0/16", "", 0),
			route(254, Unicast, "10.2.3.0/24", "eth3", 0),
			route(100, Throw, "10.3.0.0/16", "", 0),
			route(100, Unicast, "default", "tun0", 0),
		},
		Choices: []Choice{
			{Family: trace.IPv4, Priority: 0, Table: 255, Type: Unicast},
			{Family: trace.IPv4, Priority: 90, Type: Prohibit, Source: prefix("10.9.0.0/16"), In: "eth1"},
			{Family: trace.IPv4, Priority: 100, Table: 100, Type: Unicast, Mark: 1, Mask: 0xff},
			{Family: trace.IPv4, Priority: 110, Table: 100, Type: Unicast, Source: prefix("10.9.0.0/16"), Not: true, In: "eth9"},
			{Family: trace.IPv4, Priority: 120, Table: 100, Type: Unicast, More: true},
			{Family: trace.IPv4, Priority: 32766, Table: 254, Type: Unicast},
		},
	}
	in := func(dst, src, dev string, mark uint32) Query {
		return Query{Dst: addr(dst), Src: addr(src), In: dev, Mark: mark}
	}
	for _, c := range []struct {
		name     string
		query    Query
		dev, err string
		priority int
	}{
		{"to the host itself", in("10.0.0.1", "10.0.0.2", "eth0", 0), "eth0", "", 0},
		{"longest prefix", in("10.0.0.2", "10.0.0.1", "", 0), "eth0", "", 32766},
		{"smallest metric", in("10.1.0.2", "10.0.0.1", "", 0), "eth2", "", 32766},
		{"blackhole", in("10.2.0.2", "10.0.0.1", "", 0), "", "EINVAL", 32766},
		{"longer than the blackhole", in("10.2.3.2", "10.0.0.1", "", 0), "eth3", "", 32766},
		{"by mark", in("10.1.0.2", "10.0.0.1", "", 0x101), "tun0", "", 100},
		{"another mark", in("10.1.0.2", "10.0.0.1", "", 2), "eth2", "", 32766},
		{"throw goes on", in("10.3.0.2", "10.0.0.1", "", 1), "eth0", "", 32766},
		{"a rule that prohibits", in("10.1.0.2", "10.9.0.1", "eth1", 0), "", "EACCES", 90},
		{"one for another interface", in("10.1.0.2", "10.9.0.1", "eth0", 0), "eth2", "", 32766},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Rule 110 is for everything but 10.9.0.0/16 on eth9.
			s := s
			s.Choices = append(append([]Choice{}, s.Choices[:3]...), s.Choices[4:]...)
			w := s.Way(c.query)
			if w.Err != c.err || w.Choice == nil || w.Choice.Priority != c.priority || w.Route != nil && w.Route.Interface != c.dev {
				t.Errorf("way is %v by %v, %q; want by %d and %s, %q", w.Route, w.Choice, w.Err, c.priority, c.dev, c.err)
			}
		})
	}
	t.Run("a rule turned round", func(t *testing.T) {
		if w := s.Way(in("10.1.0.2", "10.8.0.1", "eth0", 0)); w.Choice == nil || w.Choice.Priority != 110 {
			t.Errorf("decided by %v", w.Choice)
		}
		if w := s.Way(in("10.1.0.2", "10.9.0.1", "eth9", 0)); w.Choice == nil || w.Choice.Priority != 32766 {
			t.Errorf("decided by %v", w.Choice)
		}
	})
	t.Run("rules that were not read", func(t *testing.T) {
		s := s
		s.Choices = nil
		if w := s.Way(in("10.1.0.2", "10.8.0.1", "eth0", 0)); w.Route == nil || w.Route.Interface != "eth2" || !w.Choice.Usual() {
			t.Errorf("way is %v by %v", w.Route, w.Choice)
		}
	})
	t.Run("no route", func(t *testing.T) {
		if w := (State{}).Way(in("10.1.0.2", "10.8.0.1", "eth0", 0)); w.Err != "ENETUNREACH" || w.Route != nil || w.Choice != nil {
			t.Errorf("way is %v by %v, %q", w.Route, w.Choice, w.Err)
		}
	})
}

// The words are those of iproute2 6.1.
func TestWords(t *testing.T) {
	prefix, addr := netip.MustParsePrefix, netip.MustParseAddr
	for want, v := range map[string]interface{ String() string }{
		"blackhole 172.17.0.0/16":                                          Route{Type: Blackhole, Table: 254, Destination: prefix("172.17.0.0/16"), Scope: "global"},
		"default via 10.0.0.1 dev eth0":                                    Route{Type: Unicast, Table: 254, Via: addr("10.0.0.1"), Interface: "eth0"},
		"10.0.0.7 via 10.0.0.1 dev eth0 metric 9 onlink":                   Route{Type: Unicast, Table: 254, Destination: prefix("10.0.0.7/32"), Via: addr("10.0.0.1"), Interface: "eth0", Metric: 9, OnLink: true},
		"172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1": Route{Type: Unicast, Table: 254, Destination: prefix("172.17.0.0/16"), Interface: "docker0", Scope: "link", Kernel: true, Source: addr("172.17.0.1")},
		"10.0.0.0/8 dev eth0 table 100 scope link":                         Route{Type: Unicast, Table: 100, Destination: prefix("10.0.0.0/8"), Interface: "eth0", Scope: "link"},
		"10.1.0.0/16 nexthop dev ppp0 nexthop via 10.0.0.2 dev eth0": Route{
			Type: Unicast, Destination: prefix("10.1.0.0/16"), NextHop: []NextHop{{Interface: "ppp0"}, {Via: addr("10.0.0.2"), Interface: "eth0"}}},
		"10.2.0.0/16 via inet6 fe80::1 dev eth0": Route{Family: trace.IPv4, Type: Unicast, Destination: prefix("10.2.0.0/16"), Via: addr("fe80::1"), Interface: "eth0"},
		"default via fe80::1 dev eth0":           Route{Family: trace.IPv6, Type: Unicast, Via: addr("fe80::1"), Interface: "eth0"},
		"10.3.0.0/16 nexthop via inet6 fe80::1 dev eth0 nexthop via 10.0.0.2 dev eth0": Route{
			Family: trace.IPv4, Type: Unicast, Destination: prefix("10.3.0.0/16"),
			NextHop: []NextHop{{Via: addr("fe80::1"), Interface: "eth0"}, {Via: addr("10.0.0.2"), Interface: "eth0"}}},
		"0: from all lookup local": Choice{Type: Unicast, Table: 255},
		"100: not from 10.0.0.0/8 to 10.0.0.7 fwmark 0x1/0xff iif eth0 lookup 100": Choice{
			Priority: 100, Not: true, Source: prefix("10.0.0.0/8"), Destination: prefix("10.0.0.7/32"), Mark: 1, Mask: 255, In: "eth0", Type: Unicast, Table: 100},
		"5: from all fwmark 0x2 ipproto tcp dport 80 prohibit": Choice{Priority: 5, Mark: 2, Mask: 1<<32 - 1, Protocol: trace.TCP, Port: 80, Type: Prohibit},
		"6: from all fwmark 0x0/0xffffffff lookup 7":           Choice{Priority: 6, Mask: 1<<32 - 1, Type: Unicast, Table: 7},
		"172.17.0.9 dev docker0 FAILED":                        Neighbor{Addr: addr("172.17.0.9"), Interface: "docker0", State: "failed"},
		"172.17.0.2 dev docker0 lladdr 02:42:ac:11:00:02 PERMANENT": Neighbor{
			Addr: addr("172.17.0.2"), Interface: "docker0", State: "permanent", MAC: "02:42:ac:11:00:02"},
	} {
		if got := v.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestKey(t *testing.T) {
	r := Route{Family: trace.IPv4, Type: Unicast, Via: netip.MustParseAddr("fe80::1"), Interface: "eth0", Metric: 9, Scope: "link", Kernel: true}
	if got, want := r.Key(), "default via inet6 fe80::1 dev eth0 metric 9"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
