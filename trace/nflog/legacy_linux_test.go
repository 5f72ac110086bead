package nflog_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/filter"
	"packetwalk/trace/nflog"
)

// manyMatches are rules for iptables-restore and ip6tables-restore with matches
// of many kinds, IPv4's with ADDR and PING replaced.
const manyMatches = `*mangle
:PREROUTING ACCEPT [7:70]
-A PREROUTING -i lo -j MARK --set-mark 1
COMMIT
*filter
:INPUT DROP [11:1100]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [5:50]
:WEB - [0:0]
:GONE - [0:0]
:EMPTY - [0:0]
[3:300] -A INPUT -s ADDR -p tcp -m tcp --dport 80 -j WEB
-A INPUT ! -s ADDR ! -i eth+ -g GONE
-A INPUT -p tcp -m tcp --dport 22
-A INPUT -m state --state NEW,ESTABLISHED -j EMPTY
-A INPUT -p udp -m multiport --dports 53,67:68 -m comment --comment "-p tcp -j DROP" -j ACCEPT
-A INPUT ! -p udp -m limit --limit 3/sec -m mark --mark 0x1 -j REJECT
-A INPUT -p sctp -j DROP
-A INPUT PING -m length --length 0:100 -j ACCEPT
-A INPUT -d ADDR -m conntrack --ctstate INVALID -j DROP
[4:400] -A WEB -m recent --set --name web --rsource
-A WEB -p tcp -m tcp --sport 1024:65535 -m recent --rcheck --name web --rsource -j RETURN
-A WEB -j EMPTY
-A GONE -m statistic --mode nth --every 2 --packet 0 -j LOG --log-prefix "a b"
-A GONE -g EMPTY
COMMIT
`

// families are the legacy commands with rules that they know.
var families = map[trace.Family]struct{ command, rules string }{
	trace.IPv4: {"iptables-legacy", strings.NewReplacer("ADDR", "192.0.2.0/25", "PING", "-p icmp -m icmp --icmp-type 8").Replace(manyMatches)},
	trace.IPv6: {"ip6tables-legacy", strings.NewReplacer("ADDR", "2001:db8::/33", "PING", "-p ipv6-icmp -m icmp6 --icmpv6-type 128").Replace(manyMatches)},
}

// In the legacy tables probes are put in place without commands; they must be
// what iptables-restore would have made of the plan.
func TestEditedTablesAreThoseOfRestore(t *testing.T) {
	labtest.NeedIptables(t, "legacy")
	for family, f := range families {
		for _, words := range []string{
			"", "tcp", "icmp", "icmp6", "port 53", "udp dst port 53", "src host 192.0.2.7 and port 80", "tcp and host 2001:db8::7",
			"src net 192.0.2.0/26 and dst net 198.51.100.0/24 and src port 1 and dst port 2", "ip6 and src host 2001:db8::7 and dst port 80",
		} {
			only, err := filter.Parse(words)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(only.Families(), family) {
				continue
			}
			t.Run(f.command+" "+words, func(t *testing.T) {
				host := labtest.Build(t, lab.Topology{Nodes: []lab.Node{{Name: "host", Kind: lab.Host}}}, "legacy").Node("host")
				c := lab.Commands{Iptables: f.command, Save: f.command + "-save", Restore: f.command + "-restore"}
				restore(t, host, c, f.rules, "-c")
				before := save(t, host, c, "-c")
				without := nflog.Backend{Family: family, Command: withoutRestore(t, f.command)}
				listing := func(b nflog.Backend) string {
					t.Helper()
					tr, err := nflog.Attach(t.Context(), nflog.Target{
						Node: "host", Namespace: host, Backends: []nflog.Backend{b}, Tables: trace.Tables(), Filter: only,
					}, nflog.Options{Run: "run"}, func(trace.Event) {})
					if err != nil {
						t.Fatal(err)
					}
					text := save(t, host, c)
					// iptables-legacy cannot delete every rule that it lists.
					err = host.Do(func() error {
						return nflog.RemoveProbes(t.Context(), []nflog.Backend{without}, func(run string) bool { return run == "run" })
					})
					if err != nil {
						t.Fatal(err)
					}
					if err := tr.Detach(t.Context()); err != nil {
						t.Fatal(err)
					}
					return text
				}
				edited := listing(without)
				if diff := cmp.Diff(before, save(t, host, c, "-c")); diff != "" {
					t.Errorf("counters and rules afterwards (-before +after):\n%s", diff)
				}
				restored := listing(nflog.Backend{Family: family, Command: f.command}.ByCommand())
				if diff := cmp.Diff(uncounted(restored), uncounted(edited)); diff != "" {
					t.Errorf("the probes (-restored +edited):\n%s", diff)
				}
				if strings.Count(edited, "packetwalk:run:") < 20 {
					t.Errorf("too few probes:\n%s", edited)
				}
			})
		}
	}
}

// withoutRestore is a command of the iptables family whose restore must not be called.
func withoutRestore(t *testing.T, command string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "iptables-edited")
	for suffix, script := range map[string]string{
		"": "exec " + command + ` "$@"`, "-save": "exec " + command + `-save "$@"`, "-restore": "echo restore was called >&2; exit 1",
	} {
		if err := os.WriteFile(name+suffix, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return name
}
