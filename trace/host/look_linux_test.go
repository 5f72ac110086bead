package host_test

import (
	"net/netip"
	"testing"

	"packetwalk/lab/labtest"
	"packetwalk/trace/host"
)

// What the kernel says of packets, in a host as in the world: with the strict
// reverse path filter, and forwarding but for br1.
func TestLook(t *testing.T) {
	labtest.Need(t)
	l := labtest.Build(t, bridged(), "")
	in(t, l, "host", `
		ip link add br1 type bridge; ip addr add 10.1.0.1/24 dev br1; ip link set br1 up
		sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.br1.forwarding=0
		sysctl -qw net.ipv4.conf.all.rp_filter=1
		for f in "-4 10.9" "-6 fd9"; do set -- $f
			case $1 in -4) end=.0.0/24;; *) end=::/64;; esac
			ip $1 route add blackhole ${2}9$end; ip $1 route add unreachable ${2}8$end
			ip $1 route add prohibit ${2}7$end; ip $1 route add throw ${2}6$end
		done
		ip route add 198.51.100.0/24 via 10.0.0.2
		ip route add 203.0.113.0/24 via 10.1.0.2
		ip rule add prio 5 fwmark 7 lookup 100; ip route add default via 10.0.0.7 table 100
		ip rule add prio 6 to 192.0.2.1 prohibit`)
	look := read(t, l, "host").Look
	via := func(gateway, link string, table int) host.Decision {
		d := host.Decision{Type: host.Unicast, Interface: link, Table: table}
		if gateway != "" {
			d.Via = netip.MustParseAddr(gateway)
		}
		return d
	}
	local := host.Decision{Type: host.Local, Interface: "lo", Table: 255}
	refused := func(errno string) host.Decision { return host.Decision{Err: errno} }
	for _, c := range []struct {
		in, src, dst string
		mark         uint32
		want         host.Decision
	}{
		{"", "", "10.0.0.2", 0, via("", "br0", 254)},
		{"", "10.1.0.1", "198.51.100.1", 0, via("10.0.0.2", "br0", 254)},
		{"", "", "198.51.100.1", 7, via("10.0.0.7", "br0", 100)},
		{"", "", "10.0.0.1", 0, local},
		{"", "", "10.99.0.1", 0, refused("EINVAL")},
		{"", "", "10.98.0.1", 0, refused("EHOSTUNREACH")},
		{"", "", "10.97.0.1", 0, refused("EACCES")},
		{"", "", "10.96.0.1", 0, refused("ENETUNREACH")},
		{"", "", "192.0.2.1", 0, refused("EACCES")},
		{"", "", "192.0.2.2", 0, refused("ENETUNREACH")},
		{"", "192.0.2.9", "10.0.0.2", 0, refused("ENETUNREACH")}, // not an address of the host

		{"br0", "10.0.0.2", "203.0.113.1", 0, via("10.1.0.2", "br1", 254)},
		{"br0", "10.0.0.2", "10.1.0.1", 0, local},
		{"br0", "10.0.0.2", "10.99.0.1", 0, refused("EINVAL")},
		{"br0", "10.0.0.2", "10.98.0.1", 0, refused("EHOSTUNREACH")},
		{"br0", "10.0.0.2", "10.97.0.1", 0, refused("EACCES")},
		{"br0", "10.0.0.2", "192.0.2.2", 0, refused("ENETUNREACH")},
		{"br0", "10.0.0.2", "127.0.0.1", 0, refused("EINVAL")},      // martian destination
		{"br0", "127.0.0.1", "10.1.0.1", 0, refused("EINVAL")},      // martian source
		{"br0", "10.0.0.1", "10.1.0.1", 0, refused("EINVAL")},       // its own
		{"br1", "10.1.0.2", "10.0.0.2", 0, refused("EHOSTUNREACH")}, // no forwarding
		{"br1", "10.1.0.2", "10.0.0.1", 0, local},
		{"gone", "10.1.0.2", "10.0.0.1", 0, refused("ENODEV")},

		{"", "", "fd00::2", 0, via("", "br0", 254)},
		{"", "", "fd00::1", 0, local},
		{"", "", "fe80::2%br0", 0, via("", "br0", 254)},
		{"", "", "fd99::1", 0, refused("EINVAL")},
		{"", "", "fd98::1", 0, refused("EHOSTUNREACH")},
		{"", "", "fd97::1", 0, refused("EACCES")},
		{"", "", "2001:db8::1", 0, refused("ENETUNREACH")},
		{"br0", "fd00::2", "fd99::1", 0, refused("EINVAL")},
		{"br0", "fd00::2", "fd98::1", 0, refused("EHOSTUNREACH")},
		{"br0", "fd00::2", "fd97::1", 0, refused("EACCES")},
		{"br0", "fd00::2", "2001:db8::1", 0, refused("ENETUNREACH")},
		{"br0", "10.0.0.2", "fd00::1", 0, refused("EAFNOSUPPORT")},
	} {
		q := host.Query{In: c.in, Dst: netip.MustParseAddr(c.dst), Mark: c.mark}
		if c.src != "" {
			q.Src = netip.MustParseAddr(c.src)
		}
		if got := look.Route(q); got != c.want {
			t.Errorf("%+v: got %+v, want %+v", q, got, c.want)
		}
	}
	// The reverse path filter: how it is told depends on the kernel.
	q := host.Query{In: "br0", Src: netip.MustParseAddr("203.0.113.1"), Dst: netip.MustParseAddr("10.0.0.1")}
	if got := look.Route(q); got != refused("EINVAL") && got != refused("EXDEV") {
		t.Errorf("%+v: got %+v, want the reverse path filter's refusal", q, got)
	}
}
