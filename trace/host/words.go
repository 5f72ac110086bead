package host

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"packetwalk/trace"
)

// String is the route as ip-route(8) prints it, without the protocols that it
// knows beside "kernel", and with the table where that is not the main one.
func (r Route) String() string {
	words := r.key()
	if r.Kernel {
		words = append(words, "proto", "kernel")
	}
	if r.Scope != "" && r.Scope != "global" {
		words = append(words, "scope", r.Scope)
	}
	if r.Source.IsValid() {
		words = append(words, "src", r.Source.String())
	}
	if r.Metric != 0 {
		words = append(words, "metric", strconv.Itoa(r.Metric))
	}
	if r.MTU != 0 {
		words = append(words, "mtu", strconv.Itoa(r.MTU))
	}
	if r.OnLink {
		words = append(words, "onlink")
	}
	return strings.Join(words, " ")
}

// Key is what tells the route from all others, in the words that ip-route(8)
// takes behind "del".
func (r Route) Key() string {
	words := r.key()
	if r.Metric != 0 {
		words = append(words, "metric", strconv.Itoa(r.Metric))
	}
	return strings.Join(words, " ")
}

func (r Route) key() []string {
	var words []string
	if r.Type != "" && r.Type != Unicast {
		words = append(words, string(r.Type))
	}
	words = append(words, destination(r.Destination))
	words = append(words, NextHop{Via: r.Via, Interface: r.Interface}.Words(r.Family)...)
	for _, h := range r.NextHop {
		words = append(append(words, "nexthop"), h.Words(r.Family)...)
	}
	if r.Table != 0 && r.Table != TableMain {
		words = append(words, "table", table(r.Table))
	}
	return words
}

// Words are the next hop of a route of a family in the words of ip-route(8), which
// takes an IPv6 gateway of an IPv4 route (RFC 5549) with its family only.
func (h NextHop) Words(f trace.Family) []string {
	var words []string
	switch {
	case !h.Via.IsValid():
	case f == trace.IPv4 && h.Via.Is6():
		words = append(words, "via", "inet6", h.Via.String())
	default:
		words = append(words, "via", h.Via.String())
	}
	if h.Interface != "" {
		words = append(words, "dev", h.Interface)
	}
	return words
}

// destination is a prefix as iproute2 prints it: a single address without its length.
func destination(p netip.Prefix) string {
	switch {
	case !p.IsValid() || p.Bits() == 0:
		return "default"
	case p.IsSingleIP():
		return p.Addr().String()
	}
	return p.String()
}

// table is the name of a table, or its number where it has none.
func table(n int) string {
	names := map[int]string{TableDefault: "default", TableMain: "main", TableLocal: "local"}
	if name, ok := names[n]; ok {
		return name
	}
	return strconv.Itoa(n)
}

// String is the rule as ip-rule(8) prints it: "100: from all to 10.0.0.0/8 lookup 100".
func (c Choice) String() string {
	return fmt.Sprintf("%d: %s", c.Priority, c.Selector())
}

// Selector is the rule without its priority, in the words that ip-rule(8) takes.
func (c Choice) Selector() string {
	var words []string
	add := func(on bool, w ...string) {
		if on {
			words = append(words, w...)
		}
	}
	add(c.Not, "not")
	from := "all"
	if c.Source.IsValid() && c.Source.Bits() > 0 {
		from = destination(c.Source)
	}
	add(true, "from", from)
	add(c.Destination.IsValid() && c.Destination.Bits() > 0, "to", destination(c.Destination))
	add(c.Mask != 0, "fwmark", mark(c.Mark, c.Mask))
	add(c.In != "", "iif", c.In)
	add(c.Out != "", "oif", c.Out)
	add(c.Protocol != 0, "ipproto", c.Protocol.String())
	add(c.SourcePort != 0, "sport", strconv.Itoa(int(c.SourcePort)))
	add(c.Port != 0, "dport", strconv.Itoa(int(c.Port)))
	switch c.Type {
	case Unicast:
		add(true, "lookup", table(c.Table))
	case "":
		add(c.Goto != 0, "goto", strconv.Itoa(c.Goto))
	default:
		add(true, string(c.Type))
	}
	return strings.Join(words, " ")
}

// mark is a mark in the words of ip-rule(8). Without its mask the kernel takes 0 for
// no condition (fib_nl2rule in net/core/fib_rules.c).
func mark(value, mask uint32) string {
	if mask == 1<<32-1 && value != 0 {
		return fmt.Sprintf("%#x", value)
	}
	return fmt.Sprintf("%#x/%#x", value, mask)
}

// String is the entry as ip-neighbour(8) prints it.
func (n Neighbor) String() string {
	words := []string{n.Addr.String(), "dev", n.Interface}
	if n.MAC != "" && n.State != "failed" && n.State != "incomplete" {
		words = append(words, "lladdr", n.MAC)
	}
	return strings.Join(append(words, strings.ToUpper(n.State)), " ")
}
