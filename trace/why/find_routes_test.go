package why

import (
	"net/netip"
	"slices"
	"testing"

	"packetwalk/trace"
	"packetwalk/trace/host"
)

// A packet that is not seen behind PREROUTING can have been lost for many reasons.
func TestLostInside(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(world)
		cause   Name
		culprit string
		fix     string
	}{
		{"nothing wrong that was read", func(world) {}, Unknown, "", ""},
		{"forwarding off", func(w world) {
			w.set("host", "net.ipv4.ip_forward=0", "net.ipv4.conf.ens33.forwarding=0")
		}, "forwarding-off", "host: net.ipv4.ip_forward = 0", "sysctl -w net.ipv4.ip_forward=1"},
		{"forwarding off on one interface", func(w world) { w.set("host", "net.ipv4.conf.ens33.forwarding=0") },
			"forwarding-off", "host: net.ipv4.conf.ens33.forwarding = 0", "sysctl -w net.ipv4.conf.ens33.forwarding=1"},
		{"forwarding off on the other one", func(w world) { w.set("host", "net.ipv4.conf.docker0.forwarding=0") }, Unknown, "", ""},
		{"no route, and no forwarding either", func(w world) {
			w.unroute("host", "172.17")
			w.set("host", "net.ipv4.conf.ens33.forwarding=0")
		}, "no-route", "host: no route to 172.17.0.2", "ip route add 172.17.0.2 dev docker0"},
		{"no route, as the link is down", func(w world) {
			w.unroute("host", "172.17")
			w.link("host", "docker0").Up = false
		}, "link-down", "host: docker0", "ip link set docker0 up"},
		{"no route, and another link is down", func(w world) {
			w.unroute("host", "172.17")
			w.add("host eth9 10.0.0.1/8").Up = false
		}, "no-route", "host: no route to 172.17.0.2", "ip route add 172.17.0.2 dev docker0"},
		{"a blackhole that is longer", func(w world) { w.route("host", "blackhole 172.17.0.0/24") },
			"blackhole-route", "host: blackhole 172.17.0.0/24", "ip route add 172.17.0.2 dev docker0"},
		{"a blackhole that is shorter", func(w world) { w.route("host", "blackhole 172.16.0.0/12") }, Unknown, "", ""},
		{"a prohibition of the address", func(w world) { w.route("host", "prohibit 172.17.0.2/32") },
			"prohibit-route", "host: prohibit 172.17.0.2", "ip route del prohibit 172.17.0.2"},
		{"a rule to a table that is empty", func(w world) {
			w.rule("host", host.Choice{Priority: 100, Table: 7, Type: host.Unicast})
		}, Unknown, "", ""},
		{"a rule to a blackhole", func(w world) {
			w.rule("host", host.Choice{Priority: 100, Table: 7, Type: host.Unicast, In: "ens33"})
			w.route("host", "blackhole 0.0.0.0/0 table 7")
		}, "policy-route", "host: 100: from all iif ens33 lookup 7", "ip rule add pref 99 from 192.168.23.1 to 172.17.0.2 lookup main"},
		{"a rule for others", func(w world) {
			w.rule("host", host.Choice{Priority: 100, Type: host.Prohibit, In: "eth9"})
		}, Unknown, "", ""},
		{"a strict filter, and the way back is another", func(w world) {
			w.wire("host ens34 10.9.0.2/24", "client eth1 10.9.0.1/24")
			w.route("host", "192.168.23.0/28 via 10.9.0.1 dev ens34")
			w.set("host", "net.ipv4.conf.all.rp_filter=1")
		}, "reverse-path-filter", "host: net.ipv4.conf.all.rp_filter = 1", "sysctl -w net.ipv4.conf.ens33.rp_filter=2"},
		{"a loose filter, and the way back is another", func(w world) {
			w.wire("host ens34 10.9.0.2/24", "client eth1 10.9.0.1/24")
			w.route("host", "192.168.23.0/28 via 10.9.0.1 dev ens34")
			w.set("host", "net.ipv4.conf.all.rp_filter=1", "net.ipv4.conf.ens33.rp_filter=2")
		}, Unknown, "", ""},
		{"a strict filter, and the way back is the same", func(w world) { w.set("host", "net.ipv4.conf.all.rp_filter=1") }, Unknown, "", ""},
		{"a strict filter on another interface", func(w world) {
			w.wire("host ens34 10.9.0.2/24", "client eth1 10.9.0.1/24")
			w.route("host", "192.168.23.0/28 via 10.9.0.1 dev ens34")
			w.set("host", "net.ipv4.conf.ens34.rp_filter=1")
		}, Unknown, "", ""},
		{"a strict filter, and the way back leads nowhere", func(w world) {
			w.route("host", "192.168.23.0/28 dev docker0")
			w.set("host", "net.ipv4.conf.all.rp_filter=1")
		}, "wrong-route", "host: 192.168.23.0/28 dev docker0", "ip route add 192.168.23.1 dev ens33"},
		{"the sender's address twice", func(w world) { w.add("host dummy0 192.168.23.1/32") }, "duplicate-address", "host: dummy0", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := docker()
			c.change(w)
			a := expect(t, w.evidence(Silent, packet(fromClient, toHost, "client >eth0", "host ens33> = "+toC1)), c.cause, c.culprit)
			if want := words(c.fix); !slices.Equal(a.Fix.Commands, want) {
				t.Errorf("fix %q, want %q", a.Fix.Commands, want)
			}
		})
	}
}

// ip-route(8) takes an IPv6 gateway of an IPv4 route only with its family.
func TestOverWay(t *testing.T) {
	c := newCase(docker().evidence(Silent))
	d := decision{node: "host", query: host.Query{Dst: netip.MustParseAddr("172.17.0.2")}}
	for want, hop := range map[string]host.NextHop{
		"ip route add 172.17.0.2 dev docker0":                 {Interface: "docker0"},
		"ip route add 172.17.0.2 via 10.0.0.1 dev ens33":      {Via: netip.MustParseAddr("10.0.0.1"), Interface: "ens33"},
		"ip route add 172.17.0.2 via inet6 fe80::1 dev ens33": {Via: netip.MustParseAddr("fe80::1"), Interface: "ens33"},
	} {
		if got := c.overWay(d, hop).Commands; !slices.Equal(got, []string{want}) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// An address that two nodes have is told with the names of both.
func TestDuplicateAddress(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(world)
		walk   trace.Walk
		title  string
		facts  []string
	}{
		{
			"of the sender", func(w world) { w.add("host dummy0 192.168.23.1/32") },
			packet(fromClient, toHost, "client >eth0", "host ens33> = "+toC1),
			"host has the address 192.168.23.1 of client, too", []string{"client has the address 192.168.23.1 dev eth0", "host has the address 192.168.23.1 dev dummy0"},
		},
		{
			"of the router that asks for the receiver", func(w world) {
				l := w.link("c1", "eth0")
				l.Addresses = append(l.Addresses, netip.MustParsePrefix("172.17.0.1/16"))
				w.neighbor("host", "docker0", "172.17.0.2", "failed", "")
			},
			packet(fromClient, toHost, "client >eth0", "host ens33>docker0 = "+toC1),
			"c1 has the address 172.17.0.1 of host, too", []string{"host has the address 172.17.0.1 dev docker0", "c1 has the address 172.17.0.1 dev eth0"},
		},
		{
			"of a sender that was not looked at", func(w world) {
				w.add("host dummy0 192.168.23.1/32")
				w.link("client", "eth0").Addresses = nil
			},
			packet(fromClient, toHost, "client >eth0", "host ens33> = "+toC1),
			"host has the address 192.168.23.1 of client, too", []string{"client has the address 192.168.23.1", "host has the address 192.168.23.1 dev dummy0"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := docker()
			c.change(w)
			a := Explain(w.evidence(Silent, c.walk))
			var facts []string
			for _, f := range a.Evidence {
				if f.Kind == HasAddress {
					facts = append(facts, f.Text("en"))
				}
			}
			if got := a.Text("en").Title; got != c.title || !slices.Equal(facts, c.facts) {
				t.Errorf("%q, by %q; want %q, by %q", got, facts, c.title, c.facts)
			}
		})
	}
}

func words(fix string) []string {
	if fix == "" {
		return nil
	}
	return []string{fix}
}

// The kernel's own decision outweighs what was worked out.
func TestKernelDisagrees(t *testing.T) {
	w := docker()
	w.unroute("host", "172.17")
	q := host.Query{Src: netip.MustParseAddr("192.168.23.1"), Dst: netip.MustParseAddr("172.17.0.2"), In: "ens33"}
	w["host"].Look = host.Answers{q: {Type: host.Unicast, Interface: "docker0", Table: 254}}
	walk := packet(fromClient, toHost, "client >eth0", "host ens33> = "+toC1)
	expect(t, w.evidence(Silent, walk), Unknown, "")
	w["host"].Look = host.Answers{q: {Err: "ENETUNREACH"}}
	expect(t, w.evidence(Silent, walk), "no-route", "host: no route to 172.17.0.2")
}

func TestMartians(t *testing.T) {
	w := docker()
	w.set("host", "net.ipv4.conf.ens33.route_localnet=0", "net.ipv4.conf.all.route_localnet=0")
	walk := packet(fromClient, toHost, "client >eth0", "host ens33> = 127.0.0.1:80")
	expect(t, w.evidence(Silent, walk), "martian-destination", "host: net.ipv4.conf.ens33.route_localnet = 0")
	w.set("host", "net.ipv4.conf.all.route_localnet=1")
	expect(t, w.evidence(Silent, walk), Unknown, "")

	w = docker()
	e := w.evidence(Silent, packet("127.0.0.1:40000", "127.0.0.1:8080", "host >docker0 = "+toC1, "c1 eth0>"))
	e.Question.From, e.Question.Target.Addr = "host", netip.MustParseAddrPort("127.0.0.1:8080")
	a := expect(t, e, "martian-source", "host: no MASQUERADE or SNAT from 127.0.0.1 to 172.17.0.2")
	if want := []string{"iptables -t nat -I POSTROUTING 1 -s 127.0.0.1 -d 172.17.0.2 -j MASQUERADE"}; !slices.Equal(a.Fix.Commands, want) {
		t.Errorf("fix %q, want %q", a.Fix.Commands, want)
	}
}

// A packet that went a wrong way is lost somewhere else, where nothing is to blame.
func TestSentTheWrongWay(t *testing.T) {
	astray := packet(fromClient, toHost, "client >eth0", "host ens33>ens33 = "+toC1, "client eth0>")
	back := host.Choice{Priority: 100, Table: 7, Type: host.Unicast, Destination: netip.MustParsePrefix("172.17.0.0/16")}
	for _, c := range []struct {
		name    string
		change  func(world)
		walk    trace.Walk
		cause   Name
		culprit string
	}{
		{"by a rule", func(w world) {
			w.rule("host", back)
			w.route("host", "default via 192.168.23.1 dev ens33 table 7")
		}, astray, "policy-route", "host: 100: from all to 172.17.0.0/16 lookup 7"},
		{"by a rule for a mark that was not seen", func(w world) {
			w.rule("host", host.Choice{Priority: 100, Table: 7, Type: host.Unicast, Mark: 1, Mask: 1})
			w.route("host", "default via 192.168.23.1 dev ens33 table 7")
		}, astray, "policy-route", "host: 100: from all fwmark 0x1/0x1 lookup 7"},
		{"by a longer route", func(w world) { w.route("host", "172.17.0.0/24 via 192.168.23.1 dev ens33") },
			astray, "wrong-route", "host: 172.17.0.0/24 via 192.168.23.1 dev ens33"},
		{"by the default route, as the link is down", func(w world) {
			w.route("host", "default via 192.168.23.1 dev ens33")
			w.unroute("host", "172.17")
			w.link("host", "docker0").Up = false
		}, astray, "link-down", "host: docker0"},
		{"by another route for the network", func(w world) {
			w.add("host br-old 172.17.0.1/16").Kind = "bridge"
			w.neighbor("host", "br-old", "172.17.0.2", "failed", "")
			n := len(w["host"].Routes)
			w["host"].Routes = append(w["host"].Routes[n-1:], w["host"].Routes[:n-1]...)
		}, packet(fromClient, toHost, "client >eth0", "host ens33>br-old = "+toC1), "duplicate-route", "host: 172.17.0.0/16 dev br-old proto kernel scope link src 172.17.0.1"},
		{"dropped by a policy that is for other ways", func(w world) {
			w.route("host", "172.17.0.0/24 via 192.168.23.1 dev ens33")
		}, func() trace.Walk {
			walk := packet(fromClient, toHost, "client >eth0", "host ens33>ens33 = "+toC1)
			walk.Steps = walk.Steps[:len(walk.Steps)-1]
			walk.End = len(walk.Steps) - 1
			walk.Steps[walk.End].Verdict, walk.Outcome = trace.Drop, trace.Dropped
			return walk
		}(), "wrong-route", "host: 172.17.0.0/24 via 192.168.23.1 dev ens33"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := docker()
			c.change(w)
			expect(t, w.evidence(Silent, c.walk), c.cause, c.culprit)
		})
	}
}

// Where a request arrived and no answer was seen, the way back can be missing.
func TestNoWayBack(t *testing.T) {
	walk := packet(fromClient, toHost, "client >eth0", "host ens33>docker0 = "+toC1, "c1 eth0>!")
	w := docker()
	w.unroute("c1", "default")
	a := expect(t, w.evidence(Silent, walk), "no-return-route", "c1: no route to 192.168.23.1")
	if want := []string{"ip route add 192.168.23.1 via 172.17.0.1 dev eth0"}; !slices.Equal(a.Fix.Commands, want) {
		t.Errorf("fix %q, want %q", a.Fix.Commands, want)
	}
	w = docker()
	w.route("c1", "unreachable 192.168.23.0/24")
	expect(t, w.evidence(Silent, walk), "unreachable-route", "c1: unreachable 192.168.23.0/24")
	w = docker()
	w.unroute("host", "192.168.23")
	reply := packet(toC1, fromClient, "c1 >eth0", "host docker0>")
	expect(t, w.evidence(Silent, walk, reply), "no-return-route", "host: no route to 192.168.23.1")
}

// Where nothing was sent, only the sender's own kernel can be to blame.
func TestNothingSent(t *testing.T) {
	w := docker()
	w.unroute("client", "192")
	w.unroute("client", "default")
	expect(t, w.evidence(Unreachable), "no-route", "client: no route to 192.168.23.149")
	w.link("client", "eth0").Up = false
	expect(t, w.evidence(Unreachable), "link-down", "client: eth0")
	w = docker()
	w.route("client", "prohibit 192.168.23.128/25")
	expect(t, w.evidence(Unreachable), "prohibit-route", "client: prohibit 192.168.23.128/25")
	expect(t, docker().evidence(Unreachable), Unknown, "")
}

func TestTTL(t *testing.T) {
	w := docker()
	w.set("client", "net.ipv4.ip_default_ttl=1")
	walk := packet(fromClient, toHost, "client >eth0", "host ens33> = "+toC1)
	expect(t, w.evidence(Silent, walk), Unknown, "") // it has 64
	walk.Packet.TTL = 1
	expect(t, w.evidence(Silent, walk), "ttl-expired", "client: net.ipv4.ip_default_ttl = 1")
	walk.Packet.TTL = 2
	expect(t, w.evidence(Silent, walk), Unknown, "")

	w = docker()
	w.unroute("host", "172.17")
	w.route("host", "default via 192.168.23.1 dev ens33")
	w.route("client", "172.17.0.0/16 via 192.168.23.149 dev eth0")
	round := packet(fromClient, toHost, "client >eth0", "host ens33>ens33 = "+toC1, "client eth0>eth0", "host ens33>ens33", "client eth0>")
	round.Packet.TTL = 4
	expect(t, w.evidence(Silent, round), "routing-loop", "host: default via 192.168.23.1 dev ens33")
}

// What is not known can be looked for.
func TestWhatWouldShowMore(t *testing.T) {
	command := func(a Answer) string {
		t.Helper()
		if len(a.Unseen) != 1 || a.Unseen[0].Kind != WouldShow {
			t.Fatalf("unseen is %v", a.Unseen)
		}
		return a.Unseen[0].Values["node"] + ": " + a.Unseen[0].Values["command"]
	}
	for _, c := range []struct {
		want string
		e    Evidence
	}{
		{"client: ip route get 192.168.23.149", docker().evidence(Unreachable)},
		{"host: ip route get 172.17.0.2 from 192.168.23.1 iif ens33", docker().evidence(Silent, packet(fromClient, toHost, "client >eth0", "host ens33> = "+toC1))},
		{"host: tcpdump -eni docker0 host 172.17.0.2 or arp", docker().evidence(Silent, packet(fromClient, toHost, "client >eth0", "host ens33>docker0 = "+toC1))},
	} {
		if got := command(expect(t, c.e, Unknown, "")); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

// The kernel's word that is missing is what could not be seen.
func TestKernelNotHeard(t *testing.T) {
	for want, hear := range map[FactKind]func(*Evidence){
		KernelDeaf:   func(e *Evidence) { e.Deaf = "it takes root" },
		KernelMissed: func(e *Evidence) { e.DropsLost = true },
	} {
		e := docker().evidence(Unreachable)
		hear(&e)
		if a := expect(t, e, Unknown, ""); len(a.Unseen) != 2 || a.Unseen[0].Kind != want {
			t.Errorf("unseen is %v, want %s first", a.Unseen, want)
		}
	}
}
