package filter

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"packetwalk/trace"
)

func TestParse(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{" \t", ""},
		{"tcp dst port 8080 and src host 192.0.2.7", "tcp and src host 192.0.2.7 and dst port 8080"},
		{"tcp port 80", "tcp and port 80"},
		{"dst port 80", "dst port 80"},
		{"host 2001:db8::1", "host 2001:db8::1"},
		{"net 10.0.0.0/8", "net 10.0.0.0/8"},
		{"src 192.0.2.7 && dst net 10.0.0.0/8", "src host 192.0.2.7 and dst net 10.0.0.0/8"},
		{"src 192.0.2.0/24&&udp", "udp and src net 192.0.2.0/24"},
		{"192.0.2.7", "host 192.0.2.7"},
		{"net 192.0.2.7/32", "host 192.0.2.7"},
		{"net 0.0.0.0/0", "ip"},
		{"ip6 and tcp", "ip6 and tcp"},
		{"ip and host 192.0.2.7", "host 192.0.2.7"},
		{"ip and icmp", "icmp"},
		{"icmp6 host 2001:DB8:0::1", "icmp6 and host 2001:db8::1"},
		{"tcp and tcp port 80 and port 80", "tcp and port 80"},
		{"host 192.0.2.7 and src host 192.0.2.7", "src host 192.0.2.7"},
		{"net 10.0.0.0/8 and dst net 10.1.0.0/16", "dst net 10.1.0.0/16"},
		{"host 192.0.2.7 and host 192.0.2.8", "host 192.0.2.7 and host 192.0.2.8"},
		{"src port 53 and dst port 53", "src port 53 and dst port 53"},
		{"interface eth0", "interface eth0"},
		{"out interface veth+ and in interface eth0 and tcp", "tcp and in interface eth0 and out interface veth+"},
	} {
		f, err := Parse(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if f.String() != c.want {
			t.Errorf("%q is %q, want %q", c.text, f, c.want)
		}
		checkCanonical(t, f)
	}
}

// checkCanonical reads a filter from its own writing.
func checkCanonical(t *testing.T, f Filter) {
	t.Helper()
	again, err := Parse(f.String())
	if err != nil {
		t.Fatalf("%q, which a filter wrote: %v", f, err)
	}
	if !reflect.DeepEqual(f, again) {
		t.Errorf("%q comes back as %q: %+v, %+v", f, again, f, again)
	}
}

func TestSyntaxErrors(t *testing.T) {
	for _, c := range []struct {
		text              string
		offset            int
		problem, expected string
	}{
		{"tcp and", 7, "ends too early", "host"},
		{"and tcp", 0, `"and"`, "host"},
		{"tcp tcp", 4, `"tcp"`, "src"},
		{"tcp port 80 udp", 12, `"udp"`, "and"},
		{"tcp 80", 4, `"80"`, "port"},
		{"TCP", 0, `"TCP"`, "tcp"},
		{"port", 4, "ends too early", "1 to 65535"},
		{"port 0", 5, `"0"`, "1 to 65535"},
		{"port 70000", 5, `"70000"`, "1 to 65535"},
		{"port http", 5, `"http"`, "number"},
		{"port -1", 5, `"-1"`, "number"},
		{"host example.net", 5, `"example.net"`, "not looked up"},
		{"host 192.0.2.0/24", 5, "write net 192.0.2.0/24", "address"},
		{"host fe80::1%eth0", 5, "fe80", "address"},
		{"host ::ffff:192.0.2.7", 5, "ffff", "address"},
		{"net 10", 4, `"10"`, "192.0.2.0/24"},
		{"net 10.1.2.3/8", 4, "write 10.0.0.0/8", "network"},
		{"src", 3, "ends too early", "address"},
		{"src tcp port 80", 4, `"tcp"`, "host"},
		{"interface", 9, "ends too early", "name"},
		{"interface and", 10, `"and"`, "name"},
		{"interface averyveryverylongname", 10, "averyvery", "name"},
		{"in eth0", 3, `"eth0"`, "interface"},
		{"tcp or udp", 4, `"or" is not supported`, "and"},
		{"tcp port 80 || udp", 12, `"||" is not supported`, "and"},
		{"not tcp", 0, `"not" is not supported`, "tcp"},
		{"!tcp", 0, `"!" is not supported`, "tcp"},
		{"(tcp)", 0, `"(" is not supported`, "tcp"},
		{"portrange 1-2", 0, `"portrange" is not supported`, "port"},
		{"tcp portrange 1-2", 4, `"portrange" is not supported`, "port"},
		{"tcp[13] & 2", 0, "not supported", "tcp"},
		{"ip proto 47", 3, `"proto" is not supported`, "host"},
		{"tcp and udp", 8, "both udp and tcp", ""},
		{"ip and ip6", 7, "both ip6 and ipv4", ""},
		{"ip6 and icmp", 8, "both icmp and ipv6", ""},
		{"ip and host 2001:db8::1", 7, "for ipv4 already", ""},
		{"ip6 host 192.0.2.7", 4, "for ipv6 already", ""},
		{"host 2001:db8::1 and net 10.0.0.0/8", 21, "for ipv6 already", ""},
		{"net ::/0 and ip", 13, "both ip and ipv6", ""},
		{"icmp and port 80", 9, "icmp has no ports", ""},
		{"port 80 and icmp6", 12, "icmp6 has no ports", ""},
		{"src port 80 and src port 81", 16, "no connection has src port 81", ""},
		{"port 1 and port 2 and port 3", 22, "no connection has port 3", ""},
		{"src host 192.0.2.7 and src net 10.0.0.0/8", 23, "no connection has src net 10.0.0.0/8", ""},
	} {
		_, err := Parse(c.text)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%q: %v, want a *SyntaxError", c.text, err)
			continue
		}
		if syntax.Offset != c.offset || !strings.Contains(syntax.Problem, c.problem) || !strings.Contains(syntax.Expected, c.expected) ||
			(c.expected == "") != (syntax.Expected == "") {
			t.Errorf("%q: at %d: %q, expected %q; want %d: …%s…, …%s…", c.text, syntax.Offset, syntax.Problem, syntax.Expected, c.offset, c.problem, c.expected)
		}
		if !strings.Contains(err.Error(), c.text) {
			t.Errorf("%q does not show the filter", err)
		}
	}
}

func TestFamilies(t *testing.T) {
	for text, want := range map[string][]trace.Family{
		"": {trace.IPv4, trace.IPv6}, "tcp port 80": {trace.IPv4, trace.IPv6}, "ip": {trace.IPv4}, "icmp6": {trace.IPv6},
		"net 10.0.0.0/8": {trace.IPv4}, "src 2001:db8::1": {trace.IPv6},
	} {
		if got := must(t, text).Families(); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func must(t testing.TB, text string) Filter {
	t.Helper()
	f, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// What Parse accepts it reads the same from the filter's own writing, what it
// does not it says in a *SyntaxError that points into the text, and no
// alternative of a filter contradicts itself.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"tcp dst port 8080 and src host 192.0.2.7", "net 10.0.0.0/8&&udp", "in interface veth+", "ip6 and icmp6 host 2001:db8::1",
		"port 1 and port 2 and src net 10.0.0.0/8 and net 10.1.0.0/16", "!tcp || (udp)", "interface \u00e9\x80",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := Parse(text)
		var syntax *SyntaxError
		switch {
		case err == nil:
		case !errors.As(err, &syntax):
			t.Fatalf("Parse = %v, want a *SyntaxError", err)
		case syntax.Offset < 0 || syntax.Offset > len(text) || syntax.Problem == "":
			t.Fatalf("an error at %d of %d bytes: %q", syntax.Offset, len(text), syntax.Problem)
		default:
			return
		}
		checkCanonical(t, filter)
		for _, use := range []Use{BeforeConntrack, AfterConntrack, InNAT} {
			if len(filter.Words(use)) == 0 {
				t.Fatalf("%q has no alternatives (use %d)", filter, use)
			}
		}
	})
}
