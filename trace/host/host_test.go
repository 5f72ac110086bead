package host

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packetwalk/trace"
)

func TestTakes(t *testing.T) {
	at := netip.MustParseAddrPort
	for _, c := range []struct {
		local string
		only6 bool
		to    string
		want  bool
	}{
		{"0.0.0.0:80", false, "10.0.0.1:80", true},
		{"0.0.0.0:80", false, "10.0.0.1:81", false},
		{"0.0.0.0:80", false, "[fd00::1]:80", false},
		{"127.0.0.1:80", false, "10.0.0.1:80", false},
		{"127.0.0.1:80", false, "[::ffff:127.0.0.1]:80", true},
		{"[::]:80", false, "10.0.0.1:80", true},
		{"[::]:80", true, "10.0.0.1:80", false},
		{"[::]:80", true, "[fd00::1]:80", true},
		{"[fd00::2]:80", false, "[fd00::1]:80", false},
	} {
		s := Socket{Proto: trace.TCP, Local: at(c.local), Only6: c.only6}
		if got := s.Takes(trace.TCP, at(c.to)); got != c.want {
			t.Errorf("%+v takes %s: %t", s, c.to, got)
		}
		if s.Takes(trace.UDP, at(c.to)) {
			t.Errorf("%+v takes UDP", s)
		}
	}
}

func TestAnswers(t *testing.T) {
	q := Query{Dst: netip.MustParseAddr("10.0.0.1"), In: "eth0"}
	d := Decision{Type: Unicast, Interface: "br0", Table: 254}
	var look Looker = Answers{q: d}
	if got := look.Route(q); got != d {
		t.Errorf("got %+v, want %+v", got, d)
	}
	q.Mark = 1
	if got := look.Route(q); got != (Decision{Err: "ENETUNREACH"}) {
		t.Errorf("of what is not known: %+v", got)
	}
}

func TestSysctlNames(t *testing.T) {
	name := LinkSysctl("net.ipv4.conf.%s.rp_filter", "eth0.100")
	if want := "net.ipv4.conf.eth0/100.rp_filter"; name != want {
		t.Errorf("got %s, want %s", name, want)
	}
	if path, want := SysctlPath(name), "net/ipv4/conf/eth0.100/rp_filter"; path != want {
		t.Errorf("got %s, want %s", path, want)
	}
}

// Names are those of "nft -a list chain", from nftables 1.0.6.
func TestRuleTexts(t *testing.T) {
	got := ruleTexts(`table inet my {
	chain in { # handle 1
		comment "of the house"
		type filter hook input priority filter; policy accept;
		tcp dport vmap { 22 : accept, 23 : drop } # handle 6
		ip saddr {
			10.0.0.1,
			10.0.0.2
		} drop # handle 7
		tcp dport 81 drop comment "# handle 9" # handle 8
	}
}
`)
	want := map[uint64]string{
		6: "tcp dport vmap { 22 : accept, 23 : drop }",
		7: "ip saddr { 10.0.0.1, 10.0.0.2 } drop",
		8: `tcp dport 81 drop comment "# handle 9"`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func FuzzRuleTexts(f *testing.F) {
	f.Add("table ip t {\n\tchain c { # handle 1\n\t\tdrop # handle 2\n\t}\n}\n")
	f.Fuzz(func(t *testing.T, listing string) {
		for handle, text := range ruleTexts(listing) {
			if len(text) > len(listing) {
				t.Errorf("rule %d is longer than the listing: %q", handle, text)
			}
		}
	})
}

func TestJoined(t *testing.T) {
	got := Joined([][2]string{{"a", "b"}, {"c", "d"}, {"e", "f"}, {"d", "a"}})
	for _, same := range [][2]string{{"a", "b"}, {"a", "c"}, {"a", "d"}, {"e", "f"}} {
		if got[same[0]] != got[same[1]] {
			t.Errorf("%v are apart: %v", same, got)
		}
	}
	if got["a"] == got["e"] {
		t.Errorf("a and e are joined: %v", got)
	}
}
