package lab_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
)

// TestOwnPort sends from the client's own port: twice, where the first
// connection does not leave it in TIME_WAIT.
func TestOwnPort(t *testing.T) {
	labtest.Need(t)
	to := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port) }
	l := labtest.Build(t, lab.Topology{
		Nodes: []lab.Node{{Name: "a", Kind: lab.Host}},
		Services: []lab.Service{
			{Node: "a", Protocol: lab.HTTP, Listen: to(80)}, {Node: "a", Protocol: lab.TCPEcho, Listen: to(7)}, {Node: "a", Protocol: lab.UDPEcho, Listen: to(53)},
		},
		Clients: []lab.Client{
			{Name: "http", Node: "a", Protocol: lab.HTTP, To: to(80), From: 5353},
			{Name: "tcp", Node: "a", Protocol: lab.TCPEcho, To: to(7), From: 5353},
			{Name: "udp", Node: "a", Protocol: lab.UDPEcho, To: to(53), From: 5353},
		},
	}, "")
	for _, client := range []string{"http", "http", "tcp", "udp", "udp"} {
		r, err := l.Send(t.Context(), client)
		if err != nil || r.Local.Port() != 5353 {
			t.Errorf("Send(%s) from port %d: %v", client, r.Local.Port(), err)
		}
	}
}

// TestWait sees a client give up after its own time, whatever its context allows.
func TestWait(t *testing.T) {
	labtest.NeedIptables(t, "")
	l := labtest.Build(t, lab.Topology{
		Nodes: []lab.Node{{Name: "a", Kind: lab.Host, Rules: []string{"iptables -A INPUT -j DROP"}}},
		Clients: []lab.Client{
			{Name: "ask", Node: "a", Protocol: lab.Ping, To: netip.MustParseAddrPort("127.0.0.1:0"), Wait: 50 * time.Millisecond},
		},
	}, "")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := l.Send(ctx, "ask")
	if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		t.Errorf("Send = %v; its own time should have ended it", err)
	}
}

// TestBothVariants builds a node with rules in both implementations of
// iptables, each of which holds its own.
func TestBothVariants(t *testing.T) {
	labtest.NeedIptables(t, "nft")
	labtest.NeedIptables(t, "legacy")
	l := labtest.Build(t, lab.Topology{Nodes: []lab.Node{{Name: "a", Kind: lab.Host, Rules: []string{
		"iptables -N OURS", "iptables-legacy -N THEIRS", "iptables-legacy -A THEIRS -j DROP", "iptables -A OURS -j ACCEPT",
		"iptables-legacy -A FORWARD -j THEIRS", "iptables-nft -A FORWARD -j OURS", "ip6tables-legacy -P FORWARD DROP",
	}}}}, "nft")
	if err := l.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	faults, err := lab.TryRules(t.Context(), "nft", []lab.Trial{{Path: "theirs", Node: "a", Command: "iptables -C FORWARD -j THEIRS", Fails: true}})
	if err != nil || len(faults) > 0 {
		t.Error(faults, err)
	}
}

// here is the machine itself as a place to send from.
type here struct{}

func (here) Do(f func() error) error { return f() }

// TestPath asks a server for more than its first page.
func TestPath(t *testing.T) {
	asked := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.RequestURI
		http.NotFound(w, r)
	}))
	defer srv.Close()
	to := netip.MustParseAddrPort(srv.Listener.Addr().String())
	for path, want := range map[string]string{"": "/", "/a%20b?c=d": "/a%20b?c=d", "//x": "//x"} {
		r, err := lab.Request(t.Context(), here{}, lab.Client{Protocol: lab.HTTP, To: to, Path: path})
		if err != nil || r.Status != http.StatusNotFound || string(r.Body) != "404 page not found\n" {
			t.Fatalf("%q: %v, %d, %q", path, err, r.Status, r.Body)
		}
		if got := <-asked; got != want {
			t.Errorf("%q: asked for %q", path, got)
		}
	}
	if _, err := lab.Request(t.Context(), here{}, lab.Client{Protocol: lab.HTTP, To: to, Path: "/a b"}); err == nil {
		t.Error("a path with a blank was sent")
	}
}
