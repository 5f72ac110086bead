package why

import (
	"slices"
	"strings"
	"testing"

	"packetwalk/trace/host"
)

// otherWayBack is a host that would answer the client by another interface than
// its request came in by.
func otherWayBack(settings ...string) world {
	w := docker()
	w.wire("host ens34 10.9.0.2/24", "client eth1 10.9.0.1/24")
	w.route("host", "192.168.23.0/28 via 10.9.0.1 dev ens34")
	w.set("host", settings...)
	return w
}

// TestWhichFilterCounts tells why the setting of one interface mends what that of
// all does.
func TestWhichFilterCounts(t *testing.T) {
	for setting, want := range map[string]struct{ en, zh string }{
		"net.ipv4.conf.all.rp_filter":   {"the larger value counts: 2 for ens33 outweighs the 1 for all, there and nowhere else.", "把 ens33 设为 2 就会盖过 all 的 1"},
		"net.ipv4.conf.ens33.rp_filter": {"Of the settings for all and for ens33 itself the larger value counts.", "取较大的值。"},
	} {
		w := otherWayBack(setting + "=1")
		a := expect(t, w.evidence(Silent, packet(fromClient, toHost, "client >eth0", "host ens33> = "+toC1)), "reverse-path-filter", "host: "+setting+" = 1")
		if en, zh := a.Text("en").Because, a.Text("zh").Because; !strings.HasSuffix(en, want.en) || !strings.Contains(zh, want.zh) {
			t.Errorf("%s: %s\n%s", setting, en, zh)
		}
	}
}

// TestWhatARouteIs says of each route in the evidence what it is there.
func TestWhatARouteIs(t *testing.T) {
	for name, test := range map[string]struct {
		w      world
		en, zh string
	}{
		"the way back": {
			otherWayBack("net.ipv4.conf.all.rp_filter=1"),
			"host: the way back to 192.168.23.1 is: 192.168.23.0/28 via 10.9.0.1 dev ens34", "host：返回 192.168.23.1 的路由是：192.168.23.0/28 via 10.9.0.1 dev ens34",
		},
		"the way on": {
			otherWayBack("net.ipv4.ip_forward=0", "net.ipv4.conf.ens33.forwarding=0"),
			"host: the way to 172.17.0.2 is: 172.17.0.0/16 dev docker0", "host：到 172.17.0.2 的路由是：172.17.0.0/16 dev docker0",
		},
		"an address that two have": {
			func() world {
				w := docker()
				w["host"].Links = append(w["host"].Links, host.Link{Name: "dummy0", Up: true, Addresses: prefixes("192.168.23.1/32")})
				return w
			}(),
			"host has the address 192.168.23.1 dev dummy0", "host 拥有地址 192.168.23.1 dev dummy0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := Explain(test.w.evidence(Silent, packet(fromClient, toHost, "client >eth0", "host ens33> = "+toC1)))
			for lang, want := range map[string]string{"en": test.en, "zh": test.zh} {
				if !slices.ContainsFunc(a.Evidence, func(f Fact) bool { return strings.HasPrefix(f.Text(lang), want) }) {
					t.Errorf("%s: it is not in the evidence: %s", a.Cause, want)
				}
			}
			for _, f := range a.Evidence {
				if strings.ContainsAny(f.Text("en")+f.Text("zh"), "{}") {
					t.Errorf("a brace is left in %s", f.Text("en"))
				}
			}
		})
	}
}
