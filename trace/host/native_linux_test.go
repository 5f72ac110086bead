package host_test

import (
	"os/exec"
	"testing"

	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/host"
)

func TestNative(t *testing.T) {
	labtest.NeedIptables(t, "nft")
	if _, err := exec.LookPath("nft"); err != nil {
		labtest.Skip(t, "nft is not installed")
	}
	l := labtest.Build(t, bridged(), "nft")
	in(t, l, "host", `
		iptables -A FORWARD -j DROP
		ip6tables -P INPUT DROP
		nft -f - <<'END'
		table inet guard {
			map ports { type inet_service : verdict; elements = { 22 : accept, 23 : jump telnet }; }
			chain telnet { ip saddr 10.0.0.2 counter reject; }
			chain unused { drop; }
			chain input {
				type filter hook input priority 5; policy accept;
				tcp dport vmap @ports
				tcp dport 25 counter drop comment "no # handle 7"
				tcp dport vmap { 80 : accept, 81 : drop }
				tcp dport { 90, 91 } accept
				goto telnet
			}
			chain harmless { type filter hook forward priority 0; policy accept; ct state new accept; }
			chain strict { type filter hook output priority -1; policy drop; accept; }
		}
		table netdev early {
			chain in { type filter hook ingress device "v1" priority 3; ip protocol icmp drop; }
		}
		table bridge frames {
			chain pass { type filter hook forward priority 2; ether type arp accept; drop; }
		}
		table ip filter {
			chain own { type filter hook input priority -7; ip saddr 192.0.2.1 drop; }
		}
		table inet packetwalk {
			chain probes { type filter hook input priority 0; drop; }
		}
END`)
	rule := func(chain, text string) host.NativeRule { return host.NativeRule{Chain: chain, Text: text} }
	want := []host.NativeChain{
		{Family: "bridge", Table: "frames", Name: "pass", Hook: "forward", Priority: 2, Policy: trace.Accept, Drops: true, Rules: []host.NativeRule{rule("pass", "drop")}},
		{Family: "inet", Table: "guard", Name: "input", Hook: "input", Priority: 5, Policy: trace.Accept, Drops: true, Rules: []host.NativeRule{
			rule("input", `tcp dport 25 counter packets 0 bytes 0 drop comment "no # handle 7"`),
			rule("input", "tcp dport vmap { 80 : accept, 81 : drop }"),
			rule("telnet", "ip saddr 10.0.0.2 counter packets 0 bytes 0 reject with icmp port-unreachable"),
		}},
		{Family: "inet", Table: "guard", Name: "harmless", Hook: "forward", Policy: trace.Accept},
		{Family: "inet", Table: "guard", Name: "strict", Hook: "output", Priority: -1, Policy: trace.Drop, Drops: true},
		{Family: "ip", Table: "filter", Name: "own", Hook: "input", Priority: -7, Policy: trace.Accept, Drops: true, Rules: []host.NativeRule{rule("own", "ip saddr 192.0.2.1 drop")}},
		{Family: "netdev", Table: "early", Name: "in", Hook: "ingress", Devices: []string{"v1"}, Priority: 3, Policy: trace.Accept, Drops: true, Rules: []host.NativeRule{rule("in", "ip protocol icmp drop")}},
	}
	got := read(t, l, "host").Native
	for i := range got {
		for j := range got[i].Rules {
			if got[i].Rules[j].Handle == 0 {
				t.Errorf("a rule without its handle: %+v", got[i].Rules[j])
			}
			got[i].Rules[j].Handle = 0 // the kernel's choice
		}
	}
	diff(t, "native chains", want, got)
}
