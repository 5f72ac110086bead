package host_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/host"
)

func TestConnections(t *testing.T) {
	labtest.NeedIptables(t, "")
	topology := bridged()
	topology.Services = []lab.Service{{Node: "c1", Protocol: lab.TCPEcho, Listen: netip.MustParseAddrPort("10.0.0.2:80")}}
	topology.Nodes[0].Rules = []string{
		"iptables -t nat -A OUTPUT -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.2:80",
		"iptables -t mangle -A OUTPUT -p tcp -j CONNMARK --set-mark 5",
	}
	l := labtest.Build(t, topology, "")
	ap := netip.MustParseAddrPort
	tcp := send(t, l, "host", "tcp4", "", "10.0.0.1:8080")
	if _, err := tcp.Read(make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	from := ap(tcp.LocalAddr().String())
	send(t, l, "host", "udp4", "10.0.0.1:5000", "10.0.0.2:9")   // nobody listens there
	send(t, l, "host", "udp4", "10.0.0.1:5001", "10.0.0.200:9") // not asked for
	want := []host.Connection{
		{
			Proto: trace.TCP, State: "ESTABLISHED", Mark: 5,
			Original: host.Tuple{Src: from, Dst: ap("10.0.0.1:8080")},
			Reply:    host.Tuple{Src: ap("10.0.0.2:80"), Dst: from},
		},
		{
			Proto: trace.UDP, Unreplied: true,
			Original: host.Tuple{Src: ap("10.0.0.1:5000"), Dst: ap("10.0.0.2:9")},
			Reply:    host.Tuple{Src: ap("10.0.0.2:9"), Dst: ap("10.0.0.1:5000")},
		},
	}
	have := read(t, l, "host").Connections
	byProtocol := cmpopts.SortSlices(func(a, b host.Connection) bool { return a.Proto < b.Proto })
	diff(t, "connections", want, have, byProtocol, cmpopts.IgnoreFields(host.Connection{}, "Timeout"))
	for _, c := range have {
		if c.Timeout <= 0 || c.Timeout > 6*24*time.Hour {
			t.Errorf("a timeout of %s: %+v", c.Timeout, c)
		}
	}
	s, err := host.Read(t.Context(), places(l, "host")[0], nil, host.Options{})
	if err != nil || len(s.Connections) > 0 {
		t.Errorf("without addresses: %v, %v", s.Connections, err)
	}
}
