package control

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseRequest(t *testing.T) {
	for _, test := range []struct{ text, fault string }{
		{`{"version":1,"do":"describe"}`, ""},
		{`{"version":1,"do":"pause","netns":4026531840}`, ""},
		{`{"version":1,"do":"run","node":"c1","program":{"args":["bHM="]}}`, ""},
		{`{"version":1,"do":"serve","service":{"protocol":"http","listen":"0.0.0.0:80"}}`, ""},
		{`{"version":2,"do":"describe"}`, "version 2"},
		{`{"do":"describe"}`, "version 0"},
		{`{"version":1,"do":"sing"}`, `"sing"`},
		{`{"version":1,"do":"run"}`, "no program"},
		{`{"version":1,"do":"run","program":{"args":[""]}}`, "no name"},
		{`{"version":1,"do":"run","program":{"args":["AGE="]}}`, "zero byte"},
		{`{"version":1,"do":"run","program":{"env":["PWE="]}}`, "no environment variable"},
		{`{"version":1,"do":"signal","signal":65}`, "no signal 65"},
		{`{"version":1,"do":"serve","service":{"protocol":"ftp","listen":"0.0.0.0:80"}}`, "http, tcp or udp"},
		{`{"version":1,"do":"serve","service":{"protocol":"udp","listen":"0.0.0.0:0"}}`, "a port"},
		{`{"version":1,"do":"serve","service":{"protocol":"udp","listen":"name:9"}}`, "reading a request"},
		{`[]`, "reading a request"},
		{``, "reading a request"},
		{strings.Repeat("x", MaxMessage+1), "longer than"},
	} {
		_, err := ParseRequest([]byte(test.text))
		if (err == nil) != (test.fault == "") || err != nil && !strings.Contains(err.Error(), test.fault) {
			t.Errorf("%.60s: %v, want %q", test.text, err, test.fault)
		}
	}
}

func TestParseAnswer(t *testing.T) {
	for _, test := range []struct{ text, fault string }{
		{`{"version":1,"exit":{"code":3}}`, ""},
		{`{"version":1,"error":"no","fault":"no-node"}`, "no"},
		{`{"version":7}`, "version 7"},
		{`nonsense`, "reading the lab's answer"},
	} {
		_, err := parseAnswer([]byte(test.text))
		if (err == nil) != (test.fault == "") || err != nil && !strings.Contains(err.Error(), test.fault) {
			t.Errorf("%s: %v, want %q", test.text, err, test.fault)
		}
	}
}

func TestStatus(t *testing.T) {
	for _, test := range []struct {
		exit Exit
		want int
	}{{Exit{}, 0}, {Exit{Code: 7}, 7}, {Exit{Signal: 2}, 130}, {Exit{Code: -1, Signal: 9}, 137}} {
		if got := test.exit.Status(); got != test.want {
			t.Errorf("%+v: %d, want %d", test.exit, got, test.want)
		}
	}
}

func TestTooLong(t *testing.T) {
	p := &Program{Args: [][]byte{[]byte("echo"), make([]byte, MaxMessage)}}
	if _, err := encode(Request{Do: Run, Program: p}); err == nil || !strings.Contains(err.Error(), "shorter arguments") {
		t.Errorf("a message that no packet holds: %v", err)
	}
}

// FuzzParseRequest sees that what is accepted means the same when it is written
// and read again.
func FuzzParseRequest(f *testing.F) {
	reply := "hello"
	for _, r := range []Request{
		{Version: Version, Do: Describe},
		{Version: Version, Do: Run, Node: "host", Program: &Program{Args: [][]byte{[]byte("ls"), {0xff}}, Env: [][]byte{[]byte("A=b")}, Terminal: true}},
		{Version: Version, Do: Serve, Netns: 1 << 40, Service: &Service{Protocol: "udp", Listen: netip.MustParseAddrPort("[::1]:9"), Reply: &reply}},
		{Version: Version, Do: Signal, Signal: 64},
	} {
		data, err := encode(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseRequest(data)
		if err != nil {
			return
		}
		written, err := encode(r)
		if err == errTooLong {
			return // base64 without its line breaks may be longer, as may escapes
		}
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseRequest(written)
		if err != nil {
			t.Fatalf("%q was accepted, and %q is not: %v", data, written, err)
		}
		if diff := cmp.Diff(r, again, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Errorf("%q changed: %s", data, diff)
		}
	})
}
