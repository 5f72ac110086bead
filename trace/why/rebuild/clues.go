package rebuild

import (
	"net/netip"
	"slices"
	"strings"

	"packetwalk/trace"
)

// clues are what rules tell of the host that they are from.
type clues struct {
	// bridges are the interfaces that stand for networks of containers, in the
	// order in which rules come to them.
	bridges []string
	// networks are those behind interfaces, by the interface.
	networks map[string][]netip.Prefix
	// members are addresses behind interfaces of which no network is told.
	members map[string][]netip.Addr
	// sources are addresses that the host gives packets of its own or of others.
	sources []netip.Addr
	// outside is the interface to the world; empty where no rule names one.
	outside string
	dnats   []dnat
	// proxy is the line of the rule that Docker makes where docker-proxy takes
	// what comes from the host to 127.0.0.0/8; 0 where there is none.
	proxy int
}

// cluesOf reads the rules of one family.
func cluesOf(rules []rule) clues {
	c := clues{networks: map[string][]netip.Prefix{}, members: map[string][]netip.Addr{}, dnats: dnats(rules)}
	named := map[string]int{}
	for _, r := range rules {
		cond := r.condition()
		c.network(r, cond)
		c.source(r)
		for _, i := range []string{cond.in, cond.out} {
			if name := strings.TrimSuffix(i, "+"); isInterface(name) && name != "lo" {
				named[name]++
				if looksLikeBridge(i) {
					c.bridge(i)
				}
			}
		}
		if r.table == trace.NAT && r.chain == "OUTPUT" && r.Target == "DOCKER" && cond.notDst {
			c.proxy = r.line
		}
	}
	c.addMembers(rules)
	c.findOutside(rules, named)
	return c
}

func (c *clues) bridge(name string) {
	if !slices.Contains(c.bridges, name) && isInterface(name) && !strings.HasSuffix(name, "+") {
		c.bridges = append(c.bridges, name)
	}
}

// network takes what a rule tells of a network behind an interface: Docker
// translates what comes from it and leaves by another ("-s NET ! -o BRIDGE -j
// MASQUERADE"), and shuts internal ones off ("! -s NET -o BRIDGE -j DROP").
func (c *clues) network(r rule, cond condition) {
	translates := r.table == trace.NAT && (r.Target == "MASQUERADE" || r.Target == "SNAT")
	switch {
	case translates && cond.src.IsValid() && !cond.notSrc && cond.notOut:
		c.addNetwork(cond.out, cond.src)
	case r.Target == "DROP" && cond.notSrc && cond.out != "" && !cond.notOut:
		c.addNetwork(cond.out, cond.src)
	case r.Target == "DROP" && cond.notDst && cond.in != "" && !cond.notIn:
		c.addNetwork(cond.in, cond.dst)
	case looksLikeBridge(cond.in) && !cond.notIn && cond.src.IsValid() && !cond.notSrc:
		c.addNetwork(cond.in, cond.src)
	case looksLikeBridge(cond.out) && !cond.notOut && cond.dst.IsValid() && !cond.notDst:
		c.addNetwork(cond.out, cond.dst)
	}
}

// addNetwork adds a network that can be one of hosts; a bigger one takes in those in it.
func (c *clues) addNetwork(name string, n netip.Prefix) {
	hostBits := n.Addr().BitLen() - n.Bits()
	if hostBits < 2 || n.Bits() == 0 || n.Addr().IsMulticast() || n.Addr().IsLoopback() || !isInterface(name) || strings.HasSuffix(name, "+") {
		return
	}
	c.bridge(name)
	for _, have := range c.networks[name] {
		if have.Bits() <= n.Bits() && have.Contains(n.Addr()) {
			return
		}
	}
	c.networks[name] = append(slices.DeleteFunc(c.networks[name], func(have netip.Prefix) bool {
		return have.Overlaps(n)
	}), n)
}

// addMembers takes single addresses behind interfaces: Docker lets what is for a
// container pass ("-d ADDRESS ! -i BRIDGE -o BRIDGE -j ACCEPT"), and drops what
// is for it and comes by another way ("-d ADDRESS ! -i BRIDGE -j DROP").
func (c *clues) addMembers(rules []rule) {
	for _, r := range rules {
		cond := r.condition()
		if !cond.dst.IsSingleIP() || cond.notDst {
			continue
		}
		name := ""
		switch {
		case cond.out != "" && !cond.notOut && (cond.notIn && cond.in == cond.out || looksLikeBridge(cond.out) || c.leadsTo(cond.dst.Addr())):
			name = cond.out
		case cond.in != "" && cond.notIn && r.Target == "DROP" && cond.in != "lo":
			name = cond.in
		}
		if a := cond.dst.Addr(); name != "" && !c.has(name, a) && !strings.HasSuffix(name, "+") && isInterface(name) {
			c.members[name] = append(c.members[name], a)
			c.bridge(name)
		}
	}
}

// leadsTo says whether a DNAT rule leads to an address.
func (c *clues) leadsTo(a netip.Addr) bool {
	return slices.ContainsFunc(c.dnats, func(d dnat) bool { return d.destination.has(a) })
}

// has says whether an address is in a network behind an interface.
func (c *clues) has(name string, a netip.Addr) bool {
	return slices.ContainsFunc(c.networks[name], func(n netip.Prefix) bool { return n.Contains(a) })
}

// source takes the address that SNAT gives packets: the host's own.
func (c *clues) source(r rule) {
	if i := slices.Index(r.Options, "--to-source"); r.Target == "SNAT" && i >= 0 && i+1 < len(r.Options) {
		if d, ok := parseDestination(r.Options[i+1]); ok && d.first.IsValid() {
			c.sources = append(c.sources, d.first)
		}
	}
}

// findOutside takes for the outside the interface by which translated packets
// leave, else that by which those come that are to be translated, else the one
// that rules name most often and that is no bridge.
func (c *clues) findOutside(rules []rule, named map[string]int) {
	candidate := func(name string, not bool) bool {
		return isInterface(plainName(name)) && !not && name != "lo" && !slices.Contains(c.bridges, name)
	}
	best := ""
	for _, r := range rules {
		cond := r.condition()
		switch {
		case r.table != trace.NAT:
		case (r.Target == "MASQUERADE" || r.Target == "SNAT") && candidate(cond.out, cond.notOut):
			c.outside = plainName(cond.out)
			return
		case (r.Target == "DNAT" || r.Target == "REDIRECT") && candidate(cond.in, cond.notIn) && best == "":
			best = plainName(cond.in)
		}
	}
	if best == "" {
		for _, r := range rules { // in the order of the rules, so that the choice is always the same
			cond := r.condition()
			for _, i := range []string{cond.in, cond.out} {
				name := plainName(i)
				if candidate(name, false) && named[strings.TrimSuffix(i, "+")] > named[best] {
					best = name
				}
			}
		}
	}
	c.outside = best
}

// plainName is the name of an interface that a rule names with a wildcard: "eth0" of "eth+".
func plainName(name string) string {
	if plain, found := strings.CutSuffix(name, "+"); found {
		if plain == "" {
			return ""
		}
		return plain + "0"
	}
	return name
}

// networkOf is the interface whose network an address is in; empty where none is known.
func (c *clues) networkOf(a netip.Addr) (name string) {
	for _, b := range c.bridges {
		if c.has(b, a) || slices.Contains(c.members[b], a) {
			return b
		}
	}
	return ""
}
