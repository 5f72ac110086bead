package scenarios

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packetwalk/lab"
	"packetwalk/trace"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestTextIn(t *testing.T) {
	tests := []struct {
		text       Text
		lang, want string
	}{
		{Text{"en": "a", "zh": "甲"}, "zh", "甲"},
		{Text{"en": "a", "zh": "甲"}, "de", "a"},
		{Text{"zh": "甲", "de": "ah"}, "fr", "ah"},
		{nil, "en", ""},
	}
	for _, test := range tests {
		if got := test.text.In(test.lang); got != test.want {
			t.Errorf("%v in %s = %q, want %q", test.text, test.lang, got, test.want)
		}
	}
}

// complete uses every field there is.
const complete = `
title: {en: Everything, zh: 一切}
summary:
  en: |
    Two lines
    of text.
  zh: 两行
kind: lesson
iptables: both
nodes:
  - name: a
    kind: host
    bridges:
      - {name: br0, addresses: [10.1.0.1/24, "fd00::1/64"]}
    sysctls:
      net.ipv4.ip_forward: 1
      net.ipv4.ip_local_port_range: 1024 65000
    rules: ["iptables -P FORWARD DROP", ip6tables-legacy -N X]
    routes:
      - default via 10.1.0.9
      - 10.2.0.0/16 via 10.1.0.8 dev br0
      - 10.3.0.1 dev eth0
  - {name: b, kind: machine, loopback: down}
links:
  - ends:
      - {node: a, interface: eth0, bridge: br0}
      - {node: b, interface: eth0, addresses: [10.1.0.2/24]}
services:
  - {node: a, protocol: udp, listen: 53}
  - {node: a, protocol: http, listen: "[::]:80", reply: hello}
clients:
  - {name: ask, node: b, protocol: udp, to: "10.1.0.1:53", from: 5353, wait: 800ms}
  - {name: ping, node: b, protocol: ping, to: 10.1.0.1}
steps:
  - name: one
    title: {en: First, zh: 一}
    text: {en: "*Look*", zh: 看}
    run:
      - a: iptables -nvL FORWARD
      - {node: b, command: ping -c 1 10.9.9.9, fails: true}
    ask:
      text: {en: Where?, zh: 哪里？}
      choices:
        - {text: {en: Here, zh: 这里}, right: true, why: {en: So it is, zh: 对}}
        - {text: {en: There, zh: 那里}}
    send: [ask, ping]
    expect:
      - text: {en: It arrives., zh: 到达。}
        request: ask
        packet: reply
        answered: true
        outcome: delivered
        at: a
        end: a filter/INPUT policy ACCEPT
        through:
          - b filter/OUTPUT
          - {node: a, hook: INPUT, table: filter, chain: INPUT, rule: 2, policy: false, verdict: JUMP, target: X,
             in: eth0, out: eth1, state: NEW, src: 10.1.0.2, dst: "10.1.0.1:53"}
          - {chain: nat/DOCKER}
          - conntrack DNAT
        avoids: [filter/FORWARD 3]
        src: 10.1.0.2:5353
        dst: 10.1.0.1
      - {from: b, to: 10.1.0.1, protocol: tcp, packet: none}
    after: {en: Seen, zh: 看到了}
    goal:
      text: {en: Mend it., zh: 修好。}
      send: [ask]
      expect: [{request: ask, answered: false}]
      hints: [{en: Think, zh: 想}]
      solution: [a: iptables -P FORWARD ACCEPT]
`

func TestParse(t *testing.T) {
	got, err := Parse("dir/mine.yaml", []byte(complete))
	if err != nil {
		t.Fatal(err)
	}
	addr, at, prefix := netip.MustParseAddr, netip.MustParseAddrPort, netip.MustParsePrefix
	want := Scenario{
		Name: "mine", Title: Text{"en": "Everything", "zh": "一切"}, Summary: Text{"en": "Two lines\nof text.\n", "zh": "两行"},
		Kind: Lesson, Iptables: "both",
		Topology: lab.Topology{
			Nodes: []lab.Node{
				{
					Name: "a", Kind: lab.Host,
					Bridges: []lab.Bridge{{Name: "br0", Addresses: []netip.Prefix{prefix("10.1.0.1/24"), prefix("fd00::1/64")}}},
					Sysctls: []lab.Sysctl{{Name: "net.ipv4.ip_forward", Value: "1"}, {Name: "net.ipv4.ip_local_port_range", Value: "1024 65000"}},
					Rules:   []string{"iptables -P FORWARD DROP", "ip6tables-legacy -N X"},
					Routes: []lab.Route{
						{Via: addr("10.1.0.9")},
						{Destination: prefix("10.2.0.0/16"), Via: addr("10.1.0.8"), Interface: "br0"},
						{Destination: prefix("10.3.0.1/32"), Interface: "eth0"},
					},
				},
				{Name: "b", Kind: lab.Machine, LoopbackDown: true},
			},
			Links: []lab.Link{{Ends: [2]lab.End{
				{Node: "a", Interface: "eth0", Bridge: "br0"},
				{Node: "b", Interface: "eth0", Addresses: []netip.Prefix{prefix("10.1.0.2/24")}},
			}}},
			Services: []lab.Service{
				{Node: "a", Protocol: lab.UDPEcho, Listen: at("0.0.0.0:53")},
				{Node: "a", Protocol: lab.HTTP, Listen: at("[::]:80"), Reply: "hello"},
			},
			Clients: []lab.Client{
				{Name: "ask", Node: "b", Protocol: lab.UDPEcho, To: at("10.1.0.1:53"), From: 5353, Wait: 800 * time.Millisecond},
				{Name: "ping", Node: "b", Protocol: lab.Ping, To: at("10.1.0.1:0")},
			},
		},
		Steps: []Step{{
			Name: "one", Title: Text{"en": "First", "zh": "一"}, Text: Text{"en": "*Look*", "zh": "看"}, After: Text{"en": "Seen", "zh": "看到了"},
			Run: []Command{{Node: "a", Text: "iptables -nvL FORWARD"}, {Node: "b", Text: "ping -c 1 10.9.9.9", Fails: true}},
			Ask: &Question{Text{"en": "Where?", "zh": "哪里？"}, []Choice{
				{Text: Text{"en": "Here", "zh": "这里"}, Right: true, Why: Text{"en": "So it is", "zh": "对"}},
				{Text: Text{"en": "There", "zh": "那里"}},
			}},
			Send: []string{"ask", "ping"},
			Expect: []Expectation{
				{
					Text: Text{"en": "It arrives.", "zh": "到达。"}, Request: "ask", Packet: Reply, Answered: new(true),
					Outcome: trace.Delivered, At: "a",
					End: &Place{Node: "a", Table: trace.Filter, Chain: "INPUT", Policy: true, Verdict: trace.Accept},
					Through: []Place{
						{Node: "b", Table: trace.Filter, Chain: "OUTPUT"},
						{
							Node: "a", Hook: "INPUT", Table: trace.Filter, Chain: "INPUT", Rule: 2, Verdict: trace.Jump, Target: "X",
							In: "eth0", Out: "eth1", State: trace.New, Src: at("10.1.0.2:0"), Dst: at("10.1.0.1:53"),
						},
						{Table: trace.NAT, Chain: "DOCKER"},
						{Table: trace.ConntrackTable, Verdict: trace.DNAT},
					},
					Avoids: []Place{{Table: trace.Filter, Chain: "FORWARD", Rule: 3}},
					Src:    at("10.1.0.2:5353"), Dst: at("10.1.0.1:0"),
				},
				{From: "b", To: at("10.1.0.1:0"), Protocol: lab.TCPEcho, Packet: None},
			},
			Goal: &Goal{
				Text: Text{"en": "Mend it.", "zh": "修好。"}, Send: []string{"ask"},
				Expect: []Expectation{{Request: "ask", Answered: new(bool)}}, Hints: []Text{{"en": "Think", "zh": "想"}},
				Solution: []Command{{Node: "a", Text: "iptables -P FORWARD ACCEPT"}},
			},
		}},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestParseFaults reads every testdata/faults/*.yaml and compares the faults
// with the lines of the .faults file beside it.
func TestParseFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/faults/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no faulty files", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, faults := Parse(filepath.Base(file), data)
			if faults == nil {
				t.Fatal("Parse found no fault")
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".faults"
			if *update {
				if err := os.WriteFile(golden, []byte(faults.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimSpace(string(want)), faults.Error()); diff != "" {
				t.Errorf("-want +got, run with -update to accept:\n%s", diff)
			}
		})
	}
}

func TestParseBytes(t *testing.T) {
	tests := map[string]string{
		"":                             "x.yaml:1:1: the file is empty",
		"# only a comment\n":           "x.yaml:1:1: the file is empty",
		"title: \xff":                  "x.yaml:1:1: the file is not in UTF-8",
		"---\ntitle: a\n---\ntitle: b": "x.yaml:4:1: a second document begins; one file holds one scenario",
		strings.Repeat("#", maxSize+1): "x.yaml:1:1: the file is larger than 1048576 bytes",
	}
	for text, want := range tests {
		if _, err := Parse("x.yaml", []byte(text)); err == nil || err.Error() != want {
			t.Errorf("Parse(%.20q) = %v, want %s", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(complete))
	for _, pattern := range []string{"course/*.yaml", "challenges/*.yaml", "testdata/faults/*.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse("fuzz.yaml", data)
		if err == nil {
			if err := s.Validate(); err != nil {
				t.Fatalf("Parse let a faulty scenario pass: %v", err)
			}
			for _, trial := range Read("fuzz.yaml", data).Trials() {
				if _, err := lab.ParseCommand(trial.Command); err != nil || trial.Node == "" {
					t.Fatalf("a trial that cannot be tried: %+v, %v", trial, err)
				}
			}
			return
		}
		faults := Faults(err)
		if len(faults) == 0 {
			t.Fatalf("an error without faults: %v", err)
		}
		for _, fault := range faults {
			if fault.Line < 1 || fault.Column < 1 || fault.Problem == "" {
				t.Fatalf("a fault without a place or a problem: %#v", fault)
			}
		}
	})
}
