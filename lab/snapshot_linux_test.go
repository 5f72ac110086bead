package lab_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
)

// snapshot is the state of a lab.
func snapshot(t testing.TB, l *lab.Lab) lab.Snapshot {
	t.Helper()
	s, err := l.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// a change is what somebody could do to the lab odd, with the node to do it in.
type change struct{ node, commands string }

var changes = map[string]change{
	"veth deleted":      {"host", "ip link del ens33"},
	"port deleted":      {"c1", "ip link del eth0"},
	"pair in a node":    {"host", "ip link del v1"},
	"bridge added":      {"host", "ip link add br7 type bridge\nip addr add 10.7.0.1/24 dev br7\nip link set br7 up"},
	"bridge deleted":    {"host", "ip link del docker0"},
	"port moved":        {"host", "ip link set veth0 nomaster"},
	"port down":         {"host", "ip link set veth0 down"},
	"hairpin":           {"host", "bridge link set dev veth0 hairpin on"},
	"up":                {"host", "ip link set veth1 up"},
	"renamed":           {"c2", "ip link set eth0 name other0"},
	"moved":             {"host", "ip link set v0 netns client"},
	"veth added":        {"host", "ip link add n0 type veth peer name n1 netns c1\nip link set n0 up master docker0"},
	"mtu":               {"c1", "ip link set eth0 mtu 1300"},
	"mac":               {"c1", "ip link set eth0 address 02:00:00:00:00:07"},
	"loopback up":       {"c2", "ip link set lo up"},
	"loopback down":     {"c1", "ip link set lo down"},
	"addresses flushed": {"host", "ip addr flush dev docker0"},
	"address added":     {"host", "ip addr add 172.17.0.9/16 dev docker0\nip addr add 10.1.1.1/32 dev lo"},
	"address replaced":  {"client", "ip addr del 192.168.23.1/24 dev eth0\nip addr add 192.168.23.2/24 dev eth0"},
	"IPv6 address":      {"host", "ip addr del fd08::1/64 dev v1\nip addr add fd09::1/64 dev v1"},
	"default deleted":   {"c1", "ip route del default"},
	"connected deleted": {"host", "ip route del 172.17.0.0/16 dev docker0"},
	"routes added":      {"host", "ip route add 10.3.0.0/16 via 192.168.23.1\nip route add blackhole 10.4.0.0/16\nip -6 route add fd33::/64 dev v1"},
	"other table":       {"host", "ip route add default via 192.168.23.1 table 100\nip rule add fwmark 7 table 100\nip -6 rule add from fd08::/64 table 100"},
	"neighbour":         {"host", "ip neigh replace 172.17.0.2 lladdr 02:00:00:00:00:01 dev docker0"},
	"forwarding off":    {"host", "sysctl -qw net.ipv4.ip_forward=0"},
	"rp_filter":         {"host", "sysctl -qw net.ipv4.conf.all.rp_filter=1\nsysctl -qw net.ipv4.conf.docker0.rp_filter=2"},
	"localnet":          {"host", "sysctl -qw net.ipv4.conf.docker0.route_localnet=1"},
	"IPv6 off":          {"host", "sysctl -qw net.ipv6.conf.all.disable_ipv6=1"},
	"IPv6 forwarding":   {"host", "sysctl -qw net.ipv6.conf.all.forwarding=1"},
	"flushed":           {"host", "iptables-nft -t nat -F"},
	"policy":            {"host", "iptables-nft -P INPUT DROP\nip6tables-nft -P FORWARD DROP"},
	"chains":            {"host", "iptables-nft -N MINE\niptables-nft -A MINE -p tcp -m multiport --dports 1,2 -m comment --comment mine -j DROP\niptables-nft -I INPUT -j MINE"},
	"chain renamed":     {"host", "iptables-nft -E DOCKER-USER USER"},
	"rule replaced":     {"host", "iptables-nft -R FORWARD 1 -j ACCEPT"},
	"legacy rules":      {"host", "iptables-legacy -t nat -N OLD\niptables-legacy -P OUTPUT DROP\niptables-legacy -A FORWARD -j DROP"},
	"IPv6 rules":        {"c1", "ip6tables-nft -t mangle -A INPUT -j MARK --set-mark 3\nip6tables-legacy -A INPUT -p icmpv6 -j ACCEPT"},
	"native":            {"c1", "nft add table inet mine\nnft add chain inet mine in { type filter hook input priority 0 ; }\nnft add rule inet mine in tcp dport 99 counter drop"},
	"namespace":         {"host", "ip netns add foo\nip link add f0 type veth peer name f1 netns foo\nip netns exec foo ip addr add 10.6.0.1/24 dev f1"},
}

func TestRestore(t *testing.T) {
	labtest.NeedIptables(t, "nft")
	labtest.NeedIptables(t, "legacy")
	l := labtest.Build(t, odd(), "nft")
	before := snapshot(t, l)
	for name, c := range changes {
		t.Run(name, func(t *testing.T) {
			in(t, l, c.node, c.commands)
			if snapshot(t, l).Equal(before) != (name == "neighbour") {
				t.Errorf("the change shows: %v", name == "neighbour")
			}
			restore(t, l, before)
		})
	}
}

// restore puts the lab back and sees that it is as before, and that it works.
func restore(t *testing.T, l *lab.Lab, s lab.Snapshot) {
	t.Helper()
	if err := l.Restore(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if !snapshot(t, l).Equal(s) {
		t.Error("the state is another one than before")
	}
	if err := l.Check(t.Context()); err != nil {
		t.Error(err)
	}
	for _, c := range l.Topology().Clients {
		if r, err := l.Send(t.Context(), c.Name); err != nil {
			t.Error(err)
		} else if r.RTT.Seconds() > 0.9 {
			t.Errorf("%s took %s: a packet was lost and sent again", c.Name, r.RTT)
		}
	}
}

// Several changes at a time, whichever come together.
func TestRestoreMany(t *testing.T) {
	labtest.NeedIptables(t, "nft")
	labtest.NeedIptables(t, "legacy")
	names := make([]string, 0, len(changes))
	for name := range changes {
		names = append(names, name)
	}
	l := labtest.Build(t, odd(), "nft")
	before := snapshot(t, l)
	for range 5 {
		var done []string
		for _, i := range rand.Perm(len(names))[:6] {
			c := changes[names[i]]
			for line := range strings.Lines(c.commands) {
				if try(l, c.node, line) != nil {
					break // an earlier change has taken away what this one needs
				}
			}
			done = append(done, names[i])
		}
		t.Log(done)
		restore(t, l, before)
	}
}
