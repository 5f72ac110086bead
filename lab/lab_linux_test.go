package lab_test

import (
	"context"
	"errors"
	"net/netip"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// published is a host that publishes a container's port as Docker 20.10 does,
// with a client for every protocol.
func published() lab.Topology {
	prefix := func(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }
	at := netip.MustParseAddrPort
	return lab.Topology{
		Nodes: []lab.Node{
			{Name: "client", Kind: lab.Machine},
			{
				Name: "host", Kind: lab.Host,
				Bridges: []lab.Bridge{{Name: "docker0", Addresses: prefix("172.17.0.1/16")}},
				Sysctls: []lab.Sysctl{{Name: "net.ipv4.ip_forward", Value: "1"}},
				Rules: []string{
					"iptables -t nat -N DOCKER",
					"iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
					"iptables -t nat -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER",
					"iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
					"iptables -t nat -A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp --dport 80 -j MASQUERADE",
					"iptables -t nat -A DOCKER -i docker0 -j RETURN",
					"iptables -t nat -A DOCKER ! -i docker0 -p tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80",
					"iptables -P FORWARD DROP",
					"iptables -N DOCKER",
					"iptables -N DOCKER-USER",
					"iptables -A FORWARD -j DOCKER-USER",
					"iptables -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
					"iptables -A FORWARD -o docker0 -j DOCKER",
					"iptables -A FORWARD -i docker0 ! -o docker0 -j ACCEPT",
					"iptables -A DOCKER -d 172.17.0.2 ! -i docker0 -o docker0 -p tcp --dport 80 -j ACCEPT",
					"iptables -A DOCKER-USER -j RETURN",
				},
			},
			{
				Name: "c1", Kind: lab.Container,
				Routes: []lab.Route{{Via: netip.MustParseAddr("172.17.0.1")}},
			},
		},
		Links: []lab.Link{
			{Ends: [2]lab.End{
				{Node: "client", Interface: "eth0", Addresses: prefix("192.168.23.1/24")},
				{Node: "host", Interface: "ens33", Addresses: prefix("192.168.23.149/24")},
			}},
			{Ends: [2]lab.End{
				{Node: "host", Interface: "veth0", Bridge: "docker0"},
				{Node: "c1", Interface: "eth0", Addresses: prefix("172.17.0.2/16")},
			}},
		},
		Services: []lab.Service{
			{Node: "c1", Protocol: lab.HTTP, Listen: at("0.0.0.0:80"), Reply: "hello\n"},
			{Node: "c1", Protocol: lab.TCPEcho, Listen: at("0.0.0.0:7")},
			{Node: "c1", Protocol: lab.UDPEcho, Listen: at("0.0.0.0:7")},
		},
		Clients: []lab.Client{
			{Name: "request", Node: "client", Protocol: lab.HTTP, To: at("192.168.23.149:80")},
			{Name: "connect", Node: "host", Protocol: lab.TCPEcho, To: at("172.17.0.2:7")},
			{Name: "datagram", Node: "host", Protocol: lab.UDPEcho, To: at("172.17.0.2:7")},
			{Name: "ping", Node: "client", Protocol: lab.Ping, To: at("192.168.23.149:0")},
		},
	}
}

func TestClients(t *testing.T) {
	labtest.NeedIptables(t, "")
	l := labtest.Build(t, published(), "")
	for _, c := range l.Topology().Clients {
		t.Run(c.Name, func(t *testing.T) {
			r, err := l.Send(t.Context(), c.Name)
			if err != nil {
				t.Fatal(err)
			}
			if r.Remote != c.To {
				t.Errorf("Remote = %s, want %s", r.Remote, c.To)
			}
			if !r.Local.Addr().IsValid() || r.RTT <= 0 {
				t.Errorf("Local = %s, RTT = %s", r.Local, r.RTT)
			}
			if c.Protocol == lab.HTTP && (r.Status != 200 || string(r.Body) != "hello\n") {
				t.Errorf("got %d %q", r.Status, r.Body)
			}
		})
	}
}

// TestFirstPacket holds Build to its word that the lab is ready: a lost first
// packet would be repeated only after a second.
func TestFirstPacket(t *testing.T) {
	for _, variant := range []string{"nft", "legacy"} {
		t.Run(variant, func(t *testing.T) {
			labtest.NeedIptables(t, variant)
			for i := range 50 {
				l, err := lab.Build(t.Context(), published(), lab.Options{Iptables: variant})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
				if _, err = l.Send(ctx, "request"); err != nil {
					t.Errorf("lab %d: %v", i, err)
				}
				cancel()
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestLargerTopology has everything twice: two bridges, machines linked
// directly, whose interfaces the kernel would number alike, and IPv6.
func TestLargerTopology(t *testing.T) {
	labtest.NeedIptables(t, "")
	prefixes := func(all ...string) (p []netip.Prefix) {
		for _, s := range all {
			p = append(p, netip.MustParsePrefix(s))
		}
		return p
	}
	end := func(node, name, bridge string, addrs ...string) lab.End {
		return lab.End{Node: node, Interface: name, Bridge: bridge, Addresses: prefixes(addrs...)}
	}
	topology := lab.Topology{
		Nodes: []lab.Node{
			{
				Name: "host", Kind: lab.Host,
				Bridges: []lab.Bridge{{Name: "br0", Addresses: prefixes("10.1.0.1/24", "fd01::1/64")}, {Name: "br1", Addresses: prefixes("10.2.0.1/24")}, {Name: "empty"}},
				Sysctls: []lab.Sysctl{{Name: "net.ipv4.ip_forward", Value: "1"}},
				Rules:   []string{"ip6tables -A INPUT -p tcp --dport 81 -j REJECT", "iptables -A FORWARD -p tcp --dport 81 -j REJECT --reject-with tcp-reset", "iptables -A FORWARD -p udp --dport 9 -j DROP"},
			},
			{Name: "a", Kind: lab.Container, Routes: []lab.Route{{Via: netip.MustParseAddr("10.1.0.1")}}},
			{Name: "b", Kind: lab.Container, Routes: []lab.Route{{Via: netip.MustParseAddr("10.1.0.1"), Interface: "eth0"}}},
			{Name: "c", Kind: lab.Container, Routes: []lab.Route{{Via: netip.MustParseAddr("10.2.0.1")}}},
			{Name: "m", Kind: lab.Machine, Routes: []lab.Route{{Destination: netip.MustParsePrefix("10.7.0.0/16"), Interface: "eth0"}}},
		},
		Links: []lab.Link{
			{Ends: [2]lab.End{end("a", "eth0", "", "10.1.0.2/24", "fd01::2/64"), end("host", "va", "br0")}},
			{Ends: [2]lab.End{end("b", "eth0", "", "10.1.0.3/24"), end("host", "vb", "br0")}},
			{Ends: [2]lab.End{end("c", "eth0", "", "10.2.0.2/24"), end("host", "vc", "br1")}},
			{Ends: [2]lab.End{end("m", "eth0", "", "10.3.0.2/24"), end("a", "eth1", "", "10.3.0.1/24")}},
		},
		Services: []lab.Service{
			{Node: "c", Protocol: lab.HTTP, Listen: netip.MustParseAddrPort("10.2.0.2:80"), Reply: "c"},
			{Node: "a", Protocol: lab.HTTP, Listen: netip.MustParseAddrPort("[::]:80"), Reply: "a"},
		},
		Clients: []lab.Client{
			{Name: "across", Node: "a", Protocol: lab.HTTP, To: netip.MustParseAddrPort("10.2.0.2:80")},
			{Name: "beside", Node: "a", Protocol: lab.Ping, To: netip.MustParseAddrPort("10.1.0.3:0")},
			{Name: "direct", Node: "m", Protocol: lab.Ping, To: netip.MustParseAddrPort("10.3.0.1:0")},
			{Name: "six", Node: "host", Protocol: lab.HTTP, To: netip.MustParseAddrPort("[fd01::2]:80")},
			{Name: "ping6", Node: "host", Protocol: lab.Ping, To: netip.MustParseAddrPort("[fd01::2]:0")},
			{Name: "rejected", Node: "a", Protocol: lab.TCPEcho, To: netip.MustParseAddrPort("10.2.0.2:81")},
			{Name: "dropped", Node: "a", Protocol: lab.UDPEcho, To: netip.MustParseAddrPort("10.2.0.2:9")},
			{Name: "closed", Node: "a", Protocol: lab.UDPEcho, To: netip.MustParseAddrPort("10.2.0.2:10")},
			{Name: "nowhere", Node: "m", Protocol: lab.Ping, To: netip.MustParseAddrPort("10.9.0.1:0")},
		},
	}
	for range 10 {
		start := time.Now()
		l := labtest.Build(t, topology, "")
		if took := time.Since(start); took > 900*time.Millisecond {
			t.Errorf("Build took %s: it waited for the kernel's second", took)
		}
		for _, client := range []string{"across", "beside", "direct", "six", "ping6"} {
			ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
			if _, err := l.Send(ctx, client); err != nil {
				t.Error(err)
			}
			cancel()
		}
		failures := map[string]error{
			"rejected": unix.ECONNREFUSED, "dropped": context.DeadlineExceeded,
			"closed": unix.ECONNREFUSED, "nowhere": unix.ENETUNREACH,
		}
		for client, want := range failures {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			if _, err := l.Send(ctx, client); !errors.Is(err, want) {
				t.Errorf("Send(%s) = %v, want %v", client, err, want)
			}
			cancel()
		}
		if err := l.Check(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestSendUnknown(t *testing.T) {
	labtest.NeedIptables(t, "")
	l := labtest.Build(t, published(), "")
	if _, err := l.Send(t.Context(), "nobody"); err == nil {
		t.Error("Send found a client that is not there")
	}
}

func TestNamespace(t *testing.T) {
	labtest.NeedIptables(t, "")
	l := labtest.Build(t, published(), "")
	if l.Node("nobody") != nil {
		t.Error("there is a node that is not in the topology")
	}
	host := l.Node("host")
	if host.Name() != "host" {
		t.Errorf("Name = %q", host.Name())
	}
	var out []byte
	err := host.Do(func() (err error) {
		out, err = exec.Command("cat", "/proc/net/dev").Output()
		return err
	})
	if err != nil || !strings.Contains(string(out), "docker0") {
		t.Errorf("a program in the node: %v, sees:\n%s", err, out)
	}
	if err := host.Do(func() error { runtime.Goexit(); return nil }); err == nil {
		t.Error("a function that ended its goroutine seems to have succeeded")
	}
}

func BenchmarkBuild(b *testing.B) {
	for _, variant := range []string{"nft", "legacy"} {
		b.Run(variant, func(b *testing.B) {
			labtest.NeedIptables(b, variant)
			for b.Loop() {
				l, err := lab.Build(b.Context(), published(), lab.Options{Iptables: variant})
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				_ = l.Close()
				b.StartTimer()
			}
		})
	}
}

// TestRuleset builds a node whose rules come as a text, for both families, with
// an address of lo.
func TestRuleset(t *testing.T) {
	for _, variant := range []string{"nft", "legacy"} {
		t.Run(variant, func(t *testing.T) {
			labtest.NeedIptables(t, variant)
			l := labtest.Build(t, lab.Topology{Nodes: []lab.Node{{
				Name: "host", Kind: lab.Host,
				Devices: []lab.Device{{Name: "lo", Kind: "loopback", Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}}},
				Ruleset: lab.Ruleset{
					IPv4: "*nat\n:DOCKER - [0:0]\n-A DOCKER -j RETURN\nCOMMIT\n*filter\n:INPUT DROP [0:0]\n-A INPUT -s 10.0.0.1/32 -m comment --comment \"a b\" -j ACCEPT\nCOMMIT\n",
					IPv6: "*filter\n-A FORWARD -s fd00::/64 -j DROP\nCOMMIT\n",
				},
				Rules: []string{"iptables -A INPUT -j DROP"},
			}}}, variant)
			if err := l.Check(t.Context()); err != nil {
				t.Error(err)
			}
			names := lab.Command(variant)
			for command, want := range map[string]string{
				names.Iptables + " -t nat -S DOCKER": "-N DOCKER\n-A DOCKER -j RETURN\n",
				names.Iptables + " -S INPUT":         "-P INPUT DROP\n-A INPUT -s 10.0.0.1/32 -m comment --comment \"a b\" -j ACCEPT\n-A INPUT -j DROP\n",
				names.Iptables6 + " -S FORWARD":      "-P FORWARD ACCEPT\n-A FORWARD -s fd00::/64 -j DROP\n",
			} {
				if r, err := l.Run(t.Context(), "host", command); err != nil || string(r.Output) != want {
					t.Errorf("%s: %v\n%s, want\n%s", command, err, r.Output, want)
				}
			}
		})
	}
}

// TestRulesetRefused names what iptables-restore said.
func TestRulesetRefused(t *testing.T) {
	labtest.NeedIptables(t, "")
	_, err := lab.Build(t.Context(), lab.Topology{Nodes: []lab.Node{{
		Name: "host", Kind: lab.Host, Ruleset: lab.Ruleset{IPv4: "*filter\n-A INPUT -m nosuchmatch -j DROP\nCOMMIT\n"},
	}}}, lab.Options{})
	var refused *lab.RestoreError
	if !errors.As(err, &refused) || !strings.Contains(refused.Message, "nosuchmatch") || strings.Contains(refused.Message, "iptables-restore v") {
		t.Fatalf("Build = %v, want a *RestoreError about nosuchmatch", err)
	}
}
