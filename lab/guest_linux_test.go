package lab_test

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
)

// guestLink is a link between a host and its guest.
func guestLink(name string) lab.Link {
	end := func(node, name, address string) lab.End {
		return lab.End{Node: node, Interface: name, Addresses: []netip.Prefix{netip.MustParsePrefix(address)}}
	}
	return lab.Link{Ends: [2]lab.End{end("host", name, "203.0.113.1/30"), end("guest", "eth0", "203.0.113.2/30")}}
}

// interfaces lists those of a node.
func interfaces(t *testing.T, n *lab.Namespace) string {
	t.Helper()
	var out []byte
	err := n.Do(func() (err error) {
		out, err = exec.Command("ip", "-brief", "link").Output()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestGuest(t *testing.T) {
	labtest.Need(t)
	l := labtest.Build(t, lab.Topology{Nodes: []lab.Node{{Name: "host", Kind: lab.Host, Bridges: []lab.Bridge{{Name: "br0"}}}}}, "")
	host, gateway := l.Node("host"), netip.MustParseAddr("203.0.113.1")
	before := interfaces(t, host)
	g, err := lab.NewGuest(t.Context(), host, guestLink("guest0"), gateway)
	if err != nil {
		t.Fatal(err)
	}
	if during := interfaces(t, host); !strings.Contains(during, "guest0") {
		t.Errorf("the host has:\n%s", during)
	}
	r, err := lab.Request(t.Context(), g, lab.Client{Node: "guest", Protocol: lab.Ping, To: netip.AddrPortFrom(gateway, 0)})
	if err != nil {
		t.Errorf("the guest does not reach the host: %v, %v", r, err)
	}
	for range 2 {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}
	if after := interfaces(t, host); after != before {
		t.Errorf("the host has:\n%snot\n%s", after, before)
	}
}

// A guest that cannot be made leaves nothing either.
func TestGuestFails(t *testing.T) {
	labtest.Need(t)
	l := labtest.Build(t, lab.Topology{Nodes: []lab.Node{{Name: "host", Kind: lab.Host, Bridges: []lab.Bridge{{Name: "br0"}}}}}, "")
	host := l.Node("host")
	before := interfaces(t, host)
	for what, c := range map[string]struct {
		link    lab.Link
		gateway string
	}{
		"a name that is taken":       {guestLink("br0"), "203.0.113.1"},
		"a gateway out of reach":     {guestLink("guest0"), "198.51.100.1"},
		"a name that is none at all": {guestLink("no/name"), "203.0.113.1"},
	} {
		g, err := lab.NewGuest(t.Context(), host, c.link, netip.MustParseAddr(c.gateway))
		if err == nil {
			t.Errorf("%s: a guest was made", what)
			g.Close()
		}
		if after := interfaces(t, host); after != before {
			t.Errorf("%s: the host has:\n%snot\n%s", what, after, before)
		}
	}
}
