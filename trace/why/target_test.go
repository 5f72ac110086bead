package why

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"packetwalk/trace"
)

func TestParseTarget(t *testing.T) {
	for text, want := range map[string]Wanted{
		"192.168.23.149:80":        {Proto: trace.TCP, Host: "192.168.23.149", Port: 80},
		"tcp/192.168.23.149:80":    {Proto: trace.TCP, Host: "192.168.23.149", Port: 80},
		"udp/192.0.2.1:53":         {Proto: trace.UDP, Host: "192.0.2.1", Port: 53},
		"192.0.2.1:udp/53":         {Proto: trace.UDP, Host: "192.0.2.1", Port: 53},
		"192.0.2.1:53/udp":         {Proto: trace.UDP, Host: "192.0.2.1", Port: 53},
		"udp/53":                   {Proto: trace.UDP, Port: 53},
		"53/udp":                   {Proto: trace.UDP, Port: 53},
		"80":                       {Proto: trace.TCP, Port: 80},
		"icmp":                     {Proto: trace.ICMP},
		"icmp/192.0.2.1":           {Proto: trace.ICMP, Host: "192.0.2.1"},
		"192.0.2.1:icmp":           {Proto: trace.ICMP, Host: "192.0.2.1"},
		"icmp/::1":                 {Proto: trace.ICMP, Host: "::1"},
		"[::1]:80":                 {Proto: trace.TCP, Host: "::1", Port: 80},
		"udp/[2001:db8::1]:53":     {Proto: trace.UDP, Host: "2001:db8::1", Port: 53},
		"web:80":                   {Proto: trace.TCP, Host: "web", Port: 80},
		"TCP/c1:80":                {Proto: trace.TCP, Host: "c1", Port: 80},
		"c1:Udp/53":                {Proto: trace.UDP, Host: "c1", Port: 53},
		"53/UDP":                   {Proto: trace.UDP, Port: 53},
		"ICMP":                     {Proto: trace.ICMP},
		"https://192.0.2.1/":       {Proto: trace.TCP, Host: "192.0.2.1", Port: 443},
		"HTTPS://web:8443/x":       {Proto: trace.TCP, Host: "web", Port: 8443},
		"https://[::1]":            {Proto: trace.TCP, Host: "::1", Port: 443},
		"http://web:8080/x":        {Proto: trace.TCP, Host: "web", Port: 8080, HTTP: true, Path: "/x"},
		"http://web/a%20b?c=d&e#f": {Proto: trace.TCP, Host: "web", Port: 80, HTTP: true, Path: "/a%20b?c=d&e"},
		"Http://web/":              {Proto: trace.TCP, Host: "web", Port: 80, HTTP: true},
		"http://192.0.2.1":         {Proto: trace.TCP, Host: "192.0.2.1", Port: 80, HTTP: true},
	} {
		if got, err := ParseTarget(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestParseTargetFaults(t *testing.T) {
	for text, problem := range map[string]string{
		"":                               "empty",
		"192.0.2.1":                      "no port",
		"web":                            "no port",
		"192.0.2.1:0":                    "out of range",
		"192.0.2.1:65536":                "out of range",
		"192.0.2.1:99999999999999999999": "out of range",
		"192.0.2.1:http":                 `"http" is no port number`,
		"300.1.1.1:80":                   "300.1.1.1 is no IPv4 address",
		"icmp/192.168.1":                 "192.168.1 is no IPv4 address",
		"http://web/?a b":                "white space", "http://1.2.3.4.5/": "1.2.3.4.5 is no IPv4 address",
		"ftp://192.0.2.1/":  `"ftp" is no scheme`,
		"2001:db8::1:80:":   "brackets",
		"[::1:80":           "brackets",
		"[::1]80":           "brackets",
		"icmp/192.0.2.1:80": "no ports",
		"a b:80":            "no address",
		"224.0.0.1:80":      "no single machine",
		"0.0.0.0:80":        "no single machine",
		"-1":                "no port",
	} {
		_, err := ParseTarget(text)
		var fault *TargetError
		if !errors.As(err, &fault) || !strings.Contains(fault.Problem, problem) {
			t.Errorf("%q: %v, want %q", text, err, problem)
		}
	}
}

func TestTargetString(t *testing.T) {
	for _, text := range []string{"192.0.2.1:80", "[::1]:80", "udp/[2001:db8::1]:53", "icmp/192.0.2.1", "icmp/::1", "http://[::1]:8080/", "http://[::1]:8080/a?b"} {
		want, err := ParseTarget(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := want.At(netip.MustParseAddr(want.Host)).String(); got != text {
			t.Errorf("%q, want %q", got, text)
		}
	}
	if got := (Target{Proto: trace.ICMPv6, Addr: netip.MustParseAddrPort("[2001:db8::1]:0"), Name: "web"}).String(); got != "icmp/web" {
		t.Errorf("%q", got)
	}
}

func TestTargetIs(t *testing.T) {
	for _, test := range []struct {
		target, addr string
		want         bool
	}{
		{"192.0.2.1:80", "192.0.2.1:80", true},
		{"192.0.2.1:80", "192.0.2.1:81", false},
		{"192.0.2.1:80", "192.0.2.2:80", false},
		{"192.0.2.1:0", "192.0.2.1:7", true},
		{"[::ffff:192.0.2.1]:80", "192.0.2.1:80", true},
		{"[fe80::1%eth0]:80", "[fe80::1]:80", true},
		{"[fe80::1]:80", "[fe80::1%eth0]:80", true},
	} {
		if got := (Target{Addr: at(test.target)}).Is(at(test.addr)); got != test.want {
			t.Errorf("%s is %s: %t", test.target, test.addr, got)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"192.0.2.1:80", "udp/[::1]:53", "http://web/", "http://web/a b?c d", "https://192.0.2.1/", "TCP/c1:80", "300.1.1.1:80", "192.0.2.1:http", "icmp", "icmp/::1", "53/udp"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, err := ParseTarget(text)
		if err != nil {
			return
		}
		if (want.Port == 0) != (want.Proto == trace.ICMP) {
			t.Errorf("%q: port %d with %s", text, want.Port, want.Proto)
		}
		a, err := netip.ParseAddr(want.Host)
		if err != nil || a.Zone() != "" || want.HTTP {
			return
		}
		if again, err := ParseTarget(want.At(a).String()); err != nil || again.Port != want.Port {
			t.Errorf("%q is written as %q, which reads %+v, %v", text, want.At(a).String(), again, err)
		}
	})
}
