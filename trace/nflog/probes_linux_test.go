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
		host := labtest.Build(t, lab.Topology{Nodes: []lab.Node{{Name: "host", Kind: lab.Host}}}, "legacy").Node("host")
		c := lab.Commands{Iptables: f.command, Save: f.command + "-save", Restore: f.command + "-restore"}
		restore(t, host, c, f.rules, "-c")
		before := save(t, host, c, "-c")
		for _, words := range []string{
			"", "icmp", "icmp6", "port 53", "src host 192.0.2.7 and port 80", "tcp and host 2001:db8::7",
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
				without := nflog.Backend{Family: family, Command: withoutRestore(t, f.command)}
				edited := listingWith(t, host, c, without, only, without)
				if diff := cmp.Diff(before, save(t, host, c, "-c")); diff != "" {
					t.Errorf("counters and rules afterwards (-before +after):\n%s", diff)
				}
				// iptables-legacy cannot delete every rule that it lists.
				restored := listingWith(t, host, c, nflog.Backend{Family: family, Command: f.command}.ByCommand(), only, without)
				if diff := cmp.Diff(uncounted(restored), uncounted(edited)); diff != "" {
					t.Errorf("the probes (-restored +edited):\n%s", diff)
				}
				if strings.Count(edited, "packetwalk:run:") < 20 {
					t.Errorf("too few probes:\n%s", edited)
				}
				restore(t, host, c, f.rules, "-c") // the policies' counters went with the command
			})
		}
	}
}

// listingWith is the ruleset with the probes of a trace that a backend has
// inserted, which another one removes.
func listingWith(t *testing.T, host *lab.Namespace, c lab.Commands, b nflog.Backend, only filter.Filter, remover nflog.Backend) string {
	t.Helper()
	tr, err := nflog.Attach(t.Context(), nflog.Target{
		Node: "host", Namespace: host, Backends: []nflog.Backend{b}, Tables: trace.Tables(), Filter: only, Count: true,
	}, nflog.Options{Run: "run"}, func(trace.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	text := save(t, host, c)
	err = host.Do(func() error {
		return nflog.RemoveProbes(t.Context(), []nflog.Backend{remover}, func(run string) bool { return run == "run" })
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Detach(t.Context()); err != nil {
		t.Fatal(err)
	}
	return text
}

// withoutRestore is a command of the iptables family whose restore must not be called.
func withoutRestore(t *testing.T, command string) string {
	t.Helper()
	return withRestore(t, command, "echo restore was called >&2; exit 1")
}

// shortRestore is one whose restore takes no long scripts.
func shortRestore(t *testing.T, command string) string {
	t.Helper()
	return withRestore(t, command, `input=$(cat)
		[ $(echo "$input" | wc -l) -lt 300 ] || { echo too much to do >&2; exit 1; }
		echo "$input" | exec `+command+`-restore "$@"`)
}

// withRestore is a command of the iptables family with another restore.
func withRestore(t *testing.T, command, restore string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "iptables-other")
	for suffix, script := range map[string]string{
		"": "exec " + command + ` "$@"`, "-save": "exec " + command + `-save "$@"`, "-restore": restore,
	} {
		if err := os.WriteFile(name+suffix, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return name
}

// Where a chain is long, most probes in nf_tables are made of what the kernel
// has; they must be what iptables-restore would have made of the plan.
func TestCopiesAreThoseOfRestore(t *testing.T) {
	labtest.NeedIptables(t, "nft")
	for family, f := range families {
		command := strings.Replace(f.command, "legacy", "nft", 1)
		t.Run(command, func(t *testing.T) {
			host := labtest.Build(t, lab.Topology{Nodes: []lab.Node{{Name: "host", Kind: lab.Host}}}, "nft").Node("host")
			c := lab.Commands{Iptables: command, Save: command + "-save", Restore: command + "-restore"}
			// The rules again and again, behind each other.
			head, tail, _ := strings.Cut(f.rules, "[3:300] -A INPUT")
			tail = "[3:300] -A INPUT" + strings.TrimSuffix(tail, "COMMIT\n")
			more := "-A INPUT -p gre -m length --length 1 -j DROP\n-A INPUT -j ACCEPT\n-A INPUT -m recent --set --name n\n-A INPUT ! -p esp -m mark --mark 1\n" +
				"-A INPUT -i eth0 -p tcp -m tcp --tcp-flags SYN,ACK SYN -m conntrack --ctstate NEW --ctdir ORIGINAL -j DROP\n" +
				"-A INPUT -p tcp -m tcp ! --sport 5:7 -m ttl --ttl-gt 3 -m comment --comment \"packetwalk:run:1:\" -j DROP\n" +
				"-A INPUT -p tcp -j LOG --log-prefix \"packetwalk:run:1:\"\n"
			if family == trace.IPv6 {
				more = strings.Replace(more, "-m ttl --ttl-gt", "-m hl --hl-gt", 1)
			}
			restore(t, host, c, head+strings.Repeat(tail+more, 20)+"COMMIT\n", "-c")
			before := save(t, host, c, "-c")
			listing := func(b nflog.Backend) string {
				t.Helper()
				text := listingWith(t, host, c, b, filter.Filter{}, b)
				if diff := cmp.Diff(before, save(t, host, c, "-c")); diff != "" {
					t.Errorf("counters and rules afterwards (-before +after):\n%s", diff)
				}
				return text
			}
			restored := listing(nflog.Backend{Family: family, Command: command}.ByCommand())
			copied := listing(nflog.Backend{Family: family, Command: shortRestore(t, command)})
			if diff := cmp.Diff(restored, copied); diff != "" {
				t.Errorf("the probes (-restored +copied):\n%s", diff)
			}
			if n := strings.Count(copied, "packetwalk:run:"); n < 400 {
				t.Errorf("only %d probes", n)
			}
		})
	}
}
