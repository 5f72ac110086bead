package difftest

import (
	"slices"

	"packetwalk/trace"
)

// choice is a target with the protocol that it asks for.
type choice struct{ target, proto string }

// target chooses what a rule does, "-j TARGET …" or nothing.
func (g *generator) target(p place) choice {
	if deeper := g.deeper(p); len(deeper) > 0 && g.IntN(3) == 0 {
		return choice{pick(g.Rand, "-j ", "-j ", "-g ") + pick(g.Rand, deeper...), ""}
	}
	choices := []choice{
		{"-j ACCEPT", ""}, {"-j RETURN", ""}, {"", ""},
		{"-j LOG --log-prefix " + pick(g.Rand, "seen", `"a b: "`), ""},
		{"-j MARK --set-xmark " + pick(g.Rand, "0x1/0xffffffff", "0x2/0xf", "0x0/0x1", "0x4/0x0"), ""},
	}
	if g.IntN(4) == 0 && p.table != trace.NAT { // where iptables refuses it
		choices = append(choices, choice{"-j DROP", ""})
	}
	add := func(target, proto string) { choices = append(choices, choice{target, proto}) }
	switch p.table {
	case trace.Raw:
		add("-j CT --notrack", "")
		add("-j TRACE", "")
	case trace.Mangle:
		add("-j CONNMARK --set-xmark "+pick(g.Rand, "0x1/0xffffffff", "0x2/0xf"), "")
		add("-j CONNMARK "+pick(g.Rand, "--save-mark", "--restore-mark"), "")
		add("-j TCPMSS --set-mss 1200", "tcp --syn")
		add(g.text("-j TTL --ttl-inc 1", "-j HL --hl-inc 1"), "")
		add(pick(g.Rand, "-j DSCP --set-dscp 0x10", "-j TOS --set-tos 0x08/0xff", "-j CHECKSUM --checksum-fill"), "")
		if p.only(trace.Prerouting) {
			add("-j TPROXY --on-port 80 --tproxy-mark 0x8/0x8", pick(g.Rand, "tcp", "udp"))
		}
	case trace.NAT:
		// What the table is for should not be rare.
		return pick(g.Rand, pick(g.Rand, choices...), g.translation(p))
	case trace.Filter:
		add("-j REJECT --reject-with "+g.text(pick(g.Rand, "icmp-port-unreachable", "icmp-host-prohibited"),
			pick(g.Rand, "icmp6-port-unreachable", "icmp6-adm-prohibited")), "")
		add("-j REJECT --reject-with tcp-reset", "tcp")
		add("-j NFQUEUE --queue-num 7"+pick(g.Rand, "", " --queue-bypass"), "")
		if p.only(trace.Input, trace.Forward) {
			add("-j SYNPROXY --mss 1400", "tcp")
		}
	}
	return pick(g.Rand, choices...)
}

// passing is a target that lets every packet go on.
func (g *generator) passing(p place) choice {
	choices := []choice{
		{"", ""}, {`-j LOG --log-prefix "counted: "`, ""}, {"-j NFLOG --nflog-group 7", ""},
		{"-j MARK --set-xmark " + pick(g.Rand, "0x1/0xffffffff", "0x0/0x1"), ""},
		{"-j CONNMARK " + pick(g.Rand, "--set-xmark 0x1/0xffffffff", "--save-mark"), ""},
	}
	switch p.table {
	case trace.Raw:
		choices = append(choices, choice{"-j CT --notrack", ""}, choice{"-j TRACE", ""})
	case trace.Mangle:
		choices = append(choices, choice{g.text("-j TTL --ttl-inc 1", "-j HL --hl-inc 1"), ""}, choice{"-j DSCP --set-dscp 0x10", ""},
			choice{"-j TCPMSS --set-mss 1200", "tcp --syn"})
	}
	return pick(g.Rand, choices...)
}

// deeper are the chains that a rule may jump to.
func (g *generator) deeper(p place) []string {
	var names []string
	for _, c := range g.chains {
		allowed := !slices.ContainsFunc(p.hooks, func(h trace.Hook) bool { return !slices.Contains(c.hooks, h) })
		if c.depth > p.depth && allowed {
			names = append(names, c.name)
		}
	}
	return names
}

// translation is a target of the nat table.
func (g *generator) translation(p place) choice {
	host := g.text("10.0.2.2", "fd00:2::2")
	to := func(addr string) string {
		if g.family == trace.IPv6 {
			return "[" + addr + "]:80"
		}
		return addr + ":80"
	}
	var choices []choice
	if p.only(trace.Prerouting, trace.Output) {
		choices = append(choices,
			choice{"-j DNAT --to-destination " + host, ""},
			choice{"-j DNAT --to-destination " + to(host), "tcp"},
			choice{"-j DNAT --to-destination " + g.text("10.0.1.1", "fd00:1::1"), ""},
			choice{"-j REDIRECT --to-ports 80", pick(g.Rand, "tcp", "udp")},
			choice{"-j NETMAP --to " + g.text("10.0.2.0/24", "fd00:2::/64"), ""})
	}
	if p.only(trace.Input) {
		choices = append(choices, choice{"-j SNAT --to-source " + g.text("10.0.1.2", "fd00:1::2"), ""},
			choice{"-j NETMAP --to " + g.text("10.0.7.0/24", "fd00:7::/64"), ""})
	}
	if p.only(trace.Postrouting) {
		choices = append(choices,
			choice{"-j MASQUERADE", ""},
			choice{"-j MASQUERADE --to-ports 4000-4100", pick(g.Rand, "tcp", "udp")},
			choice{"-j SNAT --to-source " + g.text("10.0.2.1", "fd00:2::1"), ""},
			choice{"-j NETMAP --to " + g.text("10.0.7.0/24", "fd00:7::/64"), ""})
	}
	return pick(g.Rand, choices...)
}
