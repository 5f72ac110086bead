package inquire_test

import (
	"fmt"
	"net/netip"

	"packetwalk/lab"
	"packetwalk/trace"
	"packetwalk/trace/why"
)

// faults are what a random lab can be broken by.
var faults = []fault{
	{},
	{
		name: "nothing-listens",
		edit: func(r *randomLab) { r.topology.Services = nil },
		culprit: func(r *randomLab) why.Culprit {
			return why.Culprit{Kind: why.Socket, Node: r.box, Text: fmt.Sprint(r.inner)}
		},
	},
	{
		name: "loopback-only",
		edit: func(r *randomLab) { r.listen(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), r.inner)) },
		culprit: func(r *randomLab) why.Culprit {
			return why.Culprit{Kind: why.Socket, Node: r.box, Text: fmt.Sprintf("127.0.0.1:%d", r.inner)}
		},
	},
	{
		name:    "wrong-container-port",
		edit:    func(r *randomLab) { r.listen(netip.AddrPortFrom(netip.IPv4Unspecified(), r.inner+1)) },
		culprit: func(r *randomLab) why.Culprit { return r.natRule(1) },
	},
	{
		name: "not-published",
		edit: func(r *randomLab) { r.replaceRule(r.dnat("-p tcp", r.boxAddr, r.inner), "") },
	},
	{
		name: "published-other-protocol",
		edit: func(r *randomLab) {
			r.replaceRule(r.dnat("-p tcp", r.boxAddr, r.inner), r.dnat("-p udp", r.boxAddr, r.inner))
		},
		culprit: func(r *randomLab) why.Culprit { return r.natRule(1) },
	},
	{
		name: "published-other-address",
		edit: func(r *randomLab) {
			r.replaceRule(r.dnat("-p tcp", r.boxAddr, r.inner), r.dnat("-d 127.0.0.1/32 -p tcp", r.boxAddr, r.inner))
		},
		culprit: func(r *randomLab) why.Culprit { return r.natRule(1) },
	},
	{
		name:    "drop-rule",
		run:     func(r *randomLab) []command { return r.onHost("iptables -I %s -s %s -j DROP", r.own, r.clientAddr) },
		culprit: func(r *randomLab) why.Culprit { return r.rule(trace.Filter, r.own, 1) },
	},
	{
		name: "drop-rule",
		run: func(r *randomLab) []command {
			return r.onHost("iptables -t mangle -I %s -i %s -p tcp -j DROP", r.early, r.outside)
		},
		culprit: func(r *randomLab) why.Culprit { return r.rule(trace.Mangle, r.early, 1) },
	},
	{
		name: "drop-rule",
		run: func(r *randomLab) []command {
			return r.onHost("iptables -t raw -A PREROUTING -p tcp --dport %d -j DROP", r.port)
		},
		culprit: func(r *randomLab) why.Culprit { return r.rule(trace.Raw, "PREROUTING", 0) },
	},
	{
		name: "reject-rule",
		run: func(r *randomLab) []command {
			return r.onHost("iptables -I %s -p tcp --dport %d -j REJECT", r.own, r.inner)
		},
		culprit: func(r *randomLab) why.Culprit { return r.rule(trace.Filter, r.own, 1) },
	},
	{
		name: "policy-drop",
		edit: func(r *randomLab) { r.replaceRule(r.accept(), "") },
		culprit: func(r *randomLab) why.Culprit {
			return why.Culprit{Kind: why.Policy, Node: r.host, Table: trace.Filter, Chain: "FORWARD"}
		},
	},
	{
		name: "reply-dropped",
		run: func(r *randomLab) []command {
			return r.onHost("iptables -I %s -p tcp --sport %d -j DROP", r.own, r.inner)
		},
		culprit: func(r *randomLab) why.Culprit { return r.rule(trace.Filter, r.own, 1) },
	},
	{
		name: "output-drop",
		run: func(r *randomLab) []command {
			return []command{{Node: r.client, Run: fmt.Sprintf("iptables -A OUTPUT -p tcp --dport %d -j DROP", r.port)}}
		},
		culprit: func(r *randomLab) why.Culprit {
			return why.Culprit{Kind: why.Rule, Node: r.client, Chain: "OUTPUT", Rule: 1}
		},
	},
	{
		name: "forwarding-off",
		edit: func(r *randomLab) { r.node(r.host).Sysctls[0].Value = "0" },
		culprit: func(r *randomLab) why.Culprit {
			return why.Culprit{Kind: why.Sysctl, Node: r.host, Text: "forward"}
		},
	},
	{
		name: "no-return-route",
		edit: func(r *randomLab) { r.node(r.box).Routes = nil },
		culprit: func(r *randomLab) why.Culprit {
			return why.Culprit{Kind: why.Route, Node: r.box}
		},
	},
	{
		name: "blackhole-route",
		run:  func(r *randomLab) []command { return r.onHost("ip route add blackhole %s/32", r.boxAddr) },
		culprit: func(r *randomLab) why.Culprit {
			return why.Culprit{Kind: why.Route, Node: r.host, Text: "blackhole " + r.boxAddr.String()}
		},
	},
	{
		name: "prohibit-route",
		run:  func(r *randomLab) []command { return r.onHost("ip route add prohibit %s/32", r.boxAddr) },
		culprit: func(r *randomLab) why.Culprit {
			return why.Culprit{Kind: why.Route, Node: r.host, Text: "prohibit " + r.boxAddr.String()}
		},
	},
	{
		name:    "bridge-detached",
		run:     func(r *randomLab) []command { return r.onHost("ip link set %s nomaster", r.veth) },
		culprit: func(r *randomLab) why.Culprit { return why.Culprit{Kind: why.Link, Node: r.host, Text: r.veth} },
	},
	{
		name:    "link-down",
		run:     func(r *randomLab) []command { return r.onHost("ip link set %s down", r.veth) },
		culprit: func(r *randomLab) why.Culprit { return why.Culprit{Kind: why.Link, Node: r.host, Text: r.veth} },
	},
	{
		name: "dnat-target-gone",
		edit: func(r *randomLab) {
			r.replaceRule(r.dnat("-p tcp", r.boxAddr, r.inner), r.dnat("-p tcp", r.spareAddr, r.inner))
			n := r.node(r.host)
			n.Rules = append(n.Rules, fmt.Sprintf("iptables -A %s -d %s/32 -o %s -p tcp --dport %d -j ACCEPT", r.nat, r.spareAddr, r.bridge, r.inner))
		},
		culprit: func(r *randomLab) why.Culprit { return r.natRule(1) },
	},
	{
		name: "wrong-route",
		run: func(r *randomLab) []command {
			return r.onHost("ip route replace %s/32 dev %s && echo 1 > /proc/sys/net/ipv4/conf/%s/rp_filter", r.clientAddr, r.bridge, r.outside)
		},
		culprit: func(r *randomLab) why.Culprit {
			return why.Culprit{Kind: why.Route, Node: r.host, Text: r.clientAddr.String()}
		},
	},
	{
		name: "notrack",
		run: func(r *randomLab) []command {
			return r.onHost("iptables -t raw -A PREROUTING -i %s -j CT --notrack", r.outside)
		},
		culprit: func(r *randomLab) why.Culprit { return r.rule(trace.Raw, "PREROUTING", 0) },
	},
	{
		name: "wrong-neighbor",
		run: func(r *randomLab) []command {
			return r.onHost("ip neigh replace %s lladdr 02:00:00:00:00:99 nud permanent dev %s", r.boxAddr, r.bridge)
		},
		culprit: func(r *randomLab) why.Culprit {
			return why.Culprit{Kind: why.Neighbor, Node: r.host, Text: r.boxAddr.String()}
		},
	},
	{
		name: "native-nft",
		run: func(r *randomLab) []command {
			return r.onHost("nft add table inet %[1]s && nft add chain inet %[1]s c '{ type filter hook forward priority -5; }' && nft add rule inet %[1]s c ip daddr %[2]s drop", r.name(), r.boxAddr)
		},
		culprit: func(r *randomLab) why.Culprit { return why.Culprit{Kind: why.NativeRule, Node: r.host} },
	},
	{
		name: "other-variant",
		run: func(r *randomLab) []command {
			other := map[string]string{"nft": "legacy", "legacy": "nft"}[r.variant]
			return r.onHost("iptables-%s -A FORWARD -d %s -j DROP", other, r.boxAddr)
		},
		culprit: func(r *randomLab) why.Culprit {
			return why.Culprit{Kind: why.Rule, Node: r.host, Table: trace.Filter, Chain: "FORWARD", Rule: 1}
		},
	},
}

// listen has the only service listen elsewhere.
func (r *randomLab) listen(at netip.AddrPort) {
	r.topology.Services = []lab.Service{{Node: r.box, Protocol: lab.HTTP, Listen: at, Reply: "Hello.\n"}}
}

func (r *randomLab) rule(table trace.Table, chain string, number int) why.Culprit {
	return why.Culprit{Kind: why.Rule, Node: r.host, Table: table, Chain: chain, Rule: number}
}

// natRule is a rule of the chain that publishes the port.
func (r *randomLab) natRule(number int) why.Culprit { return r.rule(trace.NAT, r.nat, number) }
