package toolbox

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseOptions(t *testing.T) {
	for _, test := range []struct{ call, operands, seen, fault string }{
		{"a -s b", "a b", "s", ""},
		{"-sS -c3 a", "a", "s S c=3", ""},
		{"-sc 3", "", "s c=3", ""},
		{"--silent --count=4 -- -s", "-s", "s c=4", ""},
		{"--count 4 -", "-", "c=4", ""},
		{"-x", "", "", "does not know the option -x"},
		{"-sx", "", "", "does not know the option -x"},
		{"--silent=1", "", "", "takes no value"},
		{"-c", "", "", "-c needs a value"},
		{"--junk", "", "", "--junk"},
	} {
		var seen []string
		operands, err := parseOptions(strings.Fields(test.call), []option{
			{names: []string{"-s", "--silent"}, set: func() { seen = append(seen, "s") }},
			{names: []string{"-S"}, set: func() { seen = append(seen, "S") }},
			{names: []string{"-c", "--count"}, take: func(v string) error { seen = append(seen, "c="+v); return nil }},
		})
		if test.fault != "" {
			if err == nil || !strings.Contains(err.Error(), test.fault) {
				t.Errorf("%s: %v, want %q", test.call, err, test.fault)
			}
			continue
		}
		if got := strings.Join(operands, " "); err != nil || got != test.operands || strings.Join(seen, " ") != test.seen {
			t.Errorf("%s: operands %q, options %q, %v", test.call, got, seen, err)
		}
	}
}

func TestCalls(t *testing.T) {
	c, err := parseCurl(strings.Fields("-sSf -m 1.5 --connect-timeout=2 -o out 192.0.2.1:8080/x"))
	if err != nil || !c.silent || !c.show || !c.fail || c.total != 1500*time.Millisecond || c.connect != 2*time.Second || c.output != "out" || c.url != "http://192.0.2.1:8080/x" {
		t.Errorf("curl: %+v, %v", c, err)
	}
	p, err := parsePing(strings.Fields("-c 3 -W 0.5 -n fd00::1"))
	if err != nil || p.count != 3 || p.wait != 500*time.Millisecond || p.to.String() != "fd00::1" {
		t.Errorf("ping: %+v, %v", p, err)
	}
	n, err := parseNetcat(strings.Fields("-ulp 9"))
	if err != nil || !n.udp || !n.listen || n.port != "9" {
		t.Errorf("nc: %+v, %v", n, err)
	}
	k, err := parseConntrack(strings.Fields("-D -p udp --sport 5353 --dport 53 -d 192.0.2.1"))
	if err != nil || k.do != 'D' || k.proto != 17 || k.sport != 5353 || k.dport != 53 || k.dst.String() != "192.0.2.1" {
		t.Errorf("conntrack: %+v, %v", k, err)
	}
	for _, wrong := range []string{"", "-L -F", "-L x", "-D -p sctp", "-D --dport 65536", "-L -f ipx"} {
		if _, err := parseConntrack(strings.Fields(wrong)); err == nil {
			t.Errorf("conntrack %s is accepted", wrong)
		}
	}
	for _, wrong := range []string{"-m -1 a", "-m x a", "", "a b"} {
		if _, err := parseCurl(strings.Fields(wrong)); err == nil {
			t.Errorf("curl %s is accepted", wrong)
		}
	}
	for _, wrong := range []string{"-c 0 192.0.2.1", "example.org", ""} {
		if _, err := parsePing(strings.Fields(wrong)); err == nil {
			t.Errorf("ping %s is accepted", wrong)
		}
	}
}

func TestInVariant(t *testing.T) {
	for _, test := range []struct{ name, variant, want string }{
		{"iptables", "", "iptables"},
		{"iptables", "nft", "iptables-nft"},
		{"iptables-save", "legacy", "iptables-legacy-save"},
		{"ip6tables-restore", "nft", "ip6tables-nft-restore"},
		{"iptables-nft", "legacy", "iptables-nft"},
		{"iptables-legacy-save", "nft", "iptables-legacy-save"},
		{"nft", "legacy", "nft"},
	} {
		if got := inVariant(test.name, test.variant); got != test.want {
			t.Errorf("%s in a lab with %q is %s, want %s", test.name, test.variant, got, test.want)
		}
	}
}

// FuzzParseServe sees that what serve accepts is a service that can be asked for.
func FuzzParseServe(f *testing.F) {
	for _, s := range []string{"80", "udp 127.0.0.1:9", "--reply hi http [::]:80", "--reply", "http", "-h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, call string) {
		s, err := parseServe(strings.Fields(call))
		if err != nil {
			return
		}
		if !slices.Contains([]string{"http", "tcp", "udp"}, s.Protocol) || !s.Listen.IsValid() || s.Listen.Port() == 0 {
			t.Errorf("%q is accepted as %+v", call, s)
		}
	})
}

func TestPatient(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{"iptables -S", "--wait -S"},
		{"ip6tables-legacy -A INPUT -j DROP", "--wait -A INPUT -j DROP"},
		{"iptables-nft-restore --noflush", "--wait --noflush"},
		{"iptables -w 3 -S", "-w 3 -S"},
		{"iptables --wait=3 -S", "--wait=3 -S"},
		{"iptables-legacy-save -t nat", "-t nat"},
		{"nft list ruleset", "list ruleset"},
	} {
		words := strings.Fields(test.line)
		if got := strings.Join(patient(words[0], words[1:]), " "); got != test.want {
			t.Errorf("%s: %s, want %s", test.line, got, test.want)
		}
	}
}
