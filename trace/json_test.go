package trace

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWalkJSON(t *testing.T) {
	at := netip.MustParseAddrPort
	w := Walk{
		ID: 2, Flow: 1, Direction: Reply, Outcome: Delivered, End: 1,
		Names: map[netip.Addr]string{netip.MustParseAddr("172.17.0.2"): "web"},
		Packet: Packet{
			Family: IPv4, Proto: TCP, Src: at("172.17.0.2:80"), Dst: at("192.168.23.1:46478"), Flags: SYN | ACK, Length: 60,
		},
		Steps: []Step{
			{
				Node: "host", Hook: Postrouting, Table: ConntrackTable, Verdict: DNAT, In: "docker0", Out: "ens33",
				Src: at("192.168.23.149:80"), Dst: at("192.168.23.1:46478"), CTState: Established,
				Time:       time.Date(2026, 1, 2, 15, 4, 5, 1, time.UTC),
				Remembered: &Remembered{Walk: 1, Node: "host", Table: NAT, Chain: "DOCKER", Rule: 2, Undone: true},
			},
			{
				Node: "client", Hook: Input, Table: Filter, Variant: NFTables, Chain: "INPUT", Rule: 1, Text: "-A INPUT -j WEB",
				Verdict: Jump, Target: "WEB", In: "eth0", Src: at("192.168.23.149:80"), Dst: at("192.168.23.1:46478"),
				Time: time.Date(2026, 1, 2, 15, 4, 5, 2, time.UTC),
			},
		},
	}
	const want = `{
  "type": "walk",
  "id": 2,
  "flow": 1,
  "direction": "reply",
  "packet": {
    "family": "ipv4",
    "proto": "tcp",
    "src": "172.17.0.2",
    "srcname": "web",
    "sport": 80,
    "dst": "192.168.23.1",
    "dport": 46478,
    "flags": "SA",
    "length": 60
  },
  "steps": [
    {
      "node": "host",
      "hook": "POSTROUTING",
      "table": "conntrack",
      "chain": "",
      "rule": 0,
      "text": "",
      "verdict": "DNAT",
      "in": "docker0",
      "out": "ens33",
      "src": "192.168.23.149:80",
      "dst": "192.168.23.1:46478",
      "ctstate": "ESTABLISHED",
      "remembered": {
        "walk": 1,
        "node": "host",
        "table": "nat",
        "chain": "DOCKER",
        "rule": 2,
        "undone": true
      },
      "time": "2026-01-02T15:04:05.000000001Z"
    },
    {
      "node": "client",
      "hook": "INPUT",
      "table": "filter",
      "variant": "nft",
      "chain": "INPUT",
      "rule": 1,
      "text": "-A INPUT -j WEB",
      "verdict": "JUMP",
      "target": "WEB",
      "in": "eth0",
      "out": "",
      "src": "192.168.23.149:80",
      "dst": "192.168.23.1:46478",
      "ctstate": "",
      "time": "2026-01-02T15:04:05.000000002Z"
    }
  ],
  "outcome": "delivered",
  "end": {
    "node": "client",
    "hook": "INPUT",
    "table": "filter",
    "chain": "INPUT",
    "rule": 1,
    "verdict": "JUMP"
  }
}`
	got, err := json.MarshalIndent(w, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The order of tables at each hook, as the kernel's priorities have it.
func TestTablesAt(t *testing.T) {
	for _, c := range []struct {
		v    Variant
		h    Hook
		want []Table
	}{
		{Legacy, Prerouting, []Table{Raw, Mangle, NAT}},
		{Legacy, Input, []Table{Mangle, Filter, Security, NAT}},
		{NFTables, Input, []Table{Mangle, Filter, NAT, Security}},
		{Legacy, Forward, []Table{Mangle, Filter, Security}},
		{NFTables, Output, []Table{Raw, Mangle, NAT, Filter, Security}},
		{Legacy, Postrouting, []Table{Mangle, NAT}},
	} {
		if diff := cmp.Diff(c.want, c.v.TablesAt(c.h)); diff != "" {
			t.Errorf("%v at %v (-want +got):\n%s", c.v, c.h, diff)
		}
	}
	if _, ok := Legacy.Priority(Forward, NAT); ok {
		t.Error("the nat table has no chain at FORWARD")
	}
}

func TestHookOf(t *testing.T) {
	for _, h := range Hooks() {
		if got, ok := HookOf(h.String()); !ok || got != h {
			t.Errorf("HookOf(%q) = %v, %v", h, got, ok)
		}
	}
	if _, ok := HookOf("DOCKER"); ok {
		t.Error("DOCKER is taken for a hook")
	}
}
