package rebuild

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"packetwalk/trace"
)

// condition is what a rule asks of a packet, as far as it tells of the host.
type condition struct {
	src, dst       netip.Prefix // invalid: any
	notSrc, notDst bool
	in, out        string // empty: any
	notIn, notOut  bool
	proto          trace.Proto // 0: any, or negated
	ports          []portRange // of the destination; nil: any
}

// portRange is a range of ports, both ends included.
type portRange struct{ first, last uint16 }

func (r portRange) has(port uint16) bool { return r.first <= port && port <= r.last }

// protocols are the protocols with ports, as iptables-save calls them.
var protocols = map[string]trace.Proto{"tcp": trace.TCP, "6": trace.TCP, "udp": trace.UDP, "17": trace.UDP}

// condition reads the matches of a rule. What it does not know it passes over.
func (r rule) condition() condition {
	var c condition
	not := false
	for i := 0; i < len(r.Match); i++ {
		w := r.Match[i]
		if w == "!" {
			not = true
			continue
		}
		if i+1 < len(r.Match) && w != "" && w[0] == '-' {
			c.take(w, r.Match[i+1], not)
			if slices.Contains(freeText, w) {
				i++
			}
		}
		not = false
	}
	return c
}

func (c *condition) take(option, value string, not bool) {
	switch option {
	case "-s", "-d":
		p, err := parsePrefix(value)
		if err != nil {
			return
		}
		if option == "-s" {
			c.src, c.notSrc = p.Masked(), not
		} else {
			c.dst, c.notDst = p.Masked(), not
		}
	case "-i":
		c.in, c.notIn = value, not
	case "-o":
		c.out, c.notOut = value, not
	case "-p":
		if !not {
			c.proto = protocols[value]
		}
	case "--dport", "--dports":
		if !not {
			c.ports = parsePorts(value)
		}
	}
}

// parsePorts reads "80", "8000:8010" and "80,443".
func parsePorts(s string) []portRange {
	var all []portRange
	for _, part := range strings.Split(s, ",") {
		first, last, isRange := strings.Cut(part, ":")
		a, errA := strconv.ParseUint(first, 10, 16)
		b, errB := a, errA
		if isRange {
			b, errB = strconv.ParseUint(last, 10, 16)
		}
		if errA != nil || errB != nil {
			return nil
		}
		all = append(all, portRange{uint16(a), uint16(b)})
	}
	return all
}

// destination is what a DNAT rule turns a destination into.
type destination struct {
	first, last netip.Addr // first is invalid where the address stays
	ports       portRange  // zero where the port stays
}

// parseDestination reads the value of --to-destination:
// "10.0.0.2", "10.0.0.2-10.0.0.9:80-90/8000", "[fd00::2]:80".
func parseDestination(s string) (destination, bool) {
	var d destination
	addresses, ports := s, ""
	switch {
	case strings.HasPrefix(s, "["):
		end := strings.LastIndex(s, "]")
		if end < 0 {
			return d, false
		}
		// A range has the one pair of brackets around it or a pair around each end.
		addresses, ports = strings.NewReplacer("[", "", "]", "").Replace(s[:end]), strings.TrimPrefix(s[end+1:], ":")
	case strings.Count(s, ":") == 1:
		addresses, ports, _ = strings.Cut(s, ":")
	}
	if addresses != "" {
		first, last, isRange := strings.Cut(addresses, "-")
		var err error
		if d.first, err = netip.ParseAddr(first); err != nil || d.first.Zone() != "" {
			return d, false
		}
		d.last = d.first
		if isRange {
			if d.last, err = netip.ParseAddr(last); err != nil || d.last.Less(d.first) || d.last.Is4() != d.first.Is4() {
				return d, false
			}
		}
	}
	ports, _, _ = strings.Cut(ports, "/")
	if ports == "" {
		return d, true
	}
	r := parsePorts(strings.ReplaceAll(ports, "-", ":"))
	if len(r) != 1 {
		return d, false
	}
	d.ports = r[0]
	return d, true
}

// has says whether a packet may be led to an address.
func (d destination) has(a netip.Addr) bool {
	return d.first.IsValid() && !a.Less(d.first) && !d.last.Less(a)
}

// dnat is a rule that turns destinations into others.
type dnat struct {
	rule
	condition
	destination
	redirect bool // to the host itself
}

// dnats are the DNAT and REDIRECT rules of a family, in their order.
func dnats(rules []rule) []dnat {
	var all []dnat
	for _, r := range rules {
		d := dnat{rule: r, condition: r.condition()}
		option := ""
		switch r.Target {
		case "DNAT":
			option = "--to-destination"
		case "REDIRECT":
			option, d.redirect = "--to-ports", true
		default:
			continue
		}
		ok := d.redirect
		if i := slices.Index(r.Options, option); i >= 0 && i+1 < len(r.Options) {
			if d.redirect {
				d.destination, ok = parseDestination(":" + r.Options[i+1])
			} else {
				d.destination, ok = parseDestination(r.Options[i+1])
			}
		}
		if ok {
			all = append(all, d)
		}
	}
	return all
}

// admits says whether what the rule asks of port, protocol and address may hold
// for a target.
func (d dnat) admits(proto trace.Proto, to netip.AddrPort) bool {
	if d.dst.IsValid() && d.dst.Contains(to.Addr()) == d.notDst {
		return false
	}
	return d.admitsPort(proto, to.Port())
}

func (d dnat) admitsPort(proto trace.Proto, port uint16) bool {
	if d.proto != 0 && d.proto != proto {
		return false
	}
	return d.ofPort(port)
}

// ofPort says whether the rule is for a port, or for any.
func (d dnat) ofPort(port uint16) bool {
	return d.condition.ports == nil || slices.ContainsFunc(d.condition.ports, func(r portRange) bool { return r.has(port) })
}

// publishes says whether the rule names a port, on whatever other conditions.
func (d dnat) publishes(port uint16) bool {
	return port != 0 && d.condition.ports != nil && d.ofPort(port)
}

// maxPorts is how many of the ports that a rule spreads over get a service.
const maxPorts = 16

// portsFor are the ports that a packet to a port may come to behind the rule.
func (d dnat) portsFor(port uint16) []uint16 {
	r := d.destination.ports
	if r == (portRange{}) {
		return []uint16{port}
	}
	var all []uint16
	for p := int(r.first); p <= int(r.last) && len(all) < maxPorts; p++ {
		all = append(all, uint16(p))
	}
	if r.has(port) && !slices.Contains(all, port) { // the kernel keeps a port that is free
		all = append(all, port)
	}
	return all
}
