package scenarios

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packetwalk/lab"
)

func TestList(t *testing.T) {
	all := List()
	if len(all) == 0 {
		t.Fatal("the catalogue is empty")
	}
	for i, name := range names() {
		s := all[i]
		if s.Name != name {
			t.Errorf("the scenario in %s.yaml is called %s", name, s.Name)
		}
		for _, lang := range []string{"en", "zh"} {
			if s.Title[lang] == "" || s.Summary[lang] == "" {
				t.Errorf("%s has no title or no summary in %s", name, lang)
			}
		}
		if len(s.Topology.Clients) == 0 {
			t.Errorf("%s has no client", name)
		}
	}
}

func TestLoadUnknown(t *testing.T) {
	_, err := Load("nothing")
	var unknown *UnknownError
	if !errors.As(err, &unknown) || !strings.Contains(err.Error(), "publish-port") {
		t.Errorf("Load = %v", err)
	}
}

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
title: Everything
summary:
  en: |
    Two lines
    of text.
nodes:
  - name: a
    kind: host
    bridges:
      - {name: br0, addresses: [10.1.0.1/24, "fd00::1/64"]}
    sysctls:
      net.ipv4.ip_forward: 1
      net.ipv4.ip_local_port_range: 1024 65000
    rules: ["iptables -P FORWARD DROP"]
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
  - {name: ask, node: b, protocol: udp, to: "10.1.0.1:53"}
  - {name: ping, node: b, protocol: ping, to: 10.1.0.1}
`

func TestParse(t *testing.T) {
	got, err := Parse("dir/mine.yaml", []byte(complete))
	if err != nil {
		t.Fatal(err)
	}
	addr, at, prefix := netip.MustParseAddr, netip.MustParseAddrPort, netip.MustParsePrefix
	want := Scenario{
		Name: "mine", Title: Text{"en": "Everything"}, Summary: Text{"en": "Two lines\nof text.\n"},
		Topology: lab.Topology{
			Nodes: []lab.Node{
				{
					Name: "a", Kind: lab.Host,
					Bridges: []lab.Bridge{{Name: "br0", Addresses: []netip.Prefix{prefix("10.1.0.1/24"), prefix("fd00::1/64")}}},
					Sysctls: []lab.Sysctl{{Name: "net.ipv4.ip_forward", Value: "1"}, {Name: "net.ipv4.ip_local_port_range", Value: "1024 65000"}},
					Rules:   []string{"iptables -P FORWARD DROP"},
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
				{Name: "ask", Node: "b", Protocol: lab.UDPEcho, To: at("10.1.0.1:53")},
				{Name: "ping", Node: "b", Protocol: lab.Ping, To: at("10.1.0.1:0")},
			},
		},
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
			want, err := os.ReadFile(strings.TrimSuffix(file, ".yaml") + ".faults")
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse(filepath.Base(file), data)
			if err == nil {
				t.Fatal("Parse found no fault")
			}
			if diff := cmp.Diff(strings.TrimSpace(string(want)), err.Error()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
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
	for _, pattern := range []string{"*.yaml", "testdata/faults/*.yaml"} {
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
			if err := s.Topology.Validate(); err != nil {
				t.Fatalf("Parse let a faulty topology pass: %v", err)
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
