package rebuild

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/host"
)

// isChoice says whether a line is one of ip-rule(8): "32766: from all lookup main".
func isChoice(words []string) bool {
	number, _, found := strings.Cut(words[0], ":")
	_, err := strconv.ParseUint(number, 10, 32)
	return found && err == nil && words[0] == number+":" && len(words) > 1 && (words[1] == "from" || words[1] == "not")
}

// choice reads a line of ip-rule(8).
func (p *routeParser) choice(line int, words []string) error {
	priority, err := strconv.ParseUint(strings.TrimSuffix(words[0], ":"), 10, 31)
	if err != nil {
		return p.file.fault(line, "%q is no priority of a rule", words[0])
	}
	c := choice{line: line, text: strings.Join(words, " "), Choice: host.Choice{Priority: int(priority), Type: host.Unicast}}
	for i := 1; i < len(words); i++ {
		w := words[i]
		if t, ok := routeTypes[w]; ok && t != host.Unicast {
			c.Type = t
			continue
		}
		if w == "not" {
			c.Not = true
			continue
		}
		if !slices.Contains(conditions, w) {
			c.unknown = w // and whether it has a value nobody knows
			break
		}
		if i+1 == len(words) {
			return p.file.fault(line, "there is nothing behind %s: is the line cut off?", w)
		}
		i++
		if err := p.condition(&c, w, words[i]); err != nil {
			return err
		}
	}
	for _, n := range []netip.Prefix{c.Source, c.Destination} {
		if n.IsValid() {
			c.Family = trace.FamilyOf(n.Addr())
		}
	}
	p.choices = append(p.choices, c)
	return nil
}

// settleChoices tells the family of policy rules without an address in them, by
// the others of the same listing.
func (m *machine) settleChoices() {
	for start := 0; start < len(m.choices); {
		end := start + 1
		for end < len(m.choices) && m.choices[end].Priority >= m.choices[end-1].Priority {
			end++
		}
		one := m.choices[start:end] // ip lists rules by their priority: with a smaller one, another listing begins
		family := familyOfListing(one, m.request.family())
		for i := range one {
			if one[i].Family == 0 {
				one[i].Family = family
			}
		}
		start = end
	}
}

// familyOfListing is the family that a listing of ip-rule(8) is of: as the first
// address in it tells, or the rule for the table default, which the kernel makes
// with IPv4 only (fib6_rules_net_init in net/ipv6/fib6_rules.c makes two). Where
// neither is in it, it is what was asked for.
func familyOfListing(all []choice, asked trace.Family) trace.Family {
	for _, c := range all {
		if c.Family != 0 {
			return c.Family
		}
	}
	if slices.ContainsFunc(all, func(c choice) bool { return c.Table == host.TableDefault && c.Usual() }) {
		return trace.IPv4
	}
	return asked
}

// condition takes one word of a rule and its value.
func (p *routeParser) condition(c *choice, word, value string) (err error) {
	switch word {
	case "from", "to":
		if value == "all" {
			return nil
		}
		n, err := parsePrefix(value)
		if err != nil {
			return p.file.fault(c.line, "%q behind %s is no network: is the line cut off?", value, word)
		}
		if word == "from" {
			c.Source = n.Masked()
		} else {
			c.Destination = n.Masked()
		}
	case "iif", "oif":
		if !isInterface(value) {
			return p.file.fault(c.line, "%q is no name for an interface", value)
		}
		if word == "iif" {
			c.In = value
		} else {
			c.Out = value
		}
	case "fwmark":
		return p.mark(c, value)
	case "lookup", "table":
		c.Table, err = p.table(c.line, value)
		return err
	}
	return nil
}

// conditions are the words of ip-rule(8) that have a value and are understood.
var conditions = []string{"from", "to", "iif", "oif", "fwmark", "lookup", "table", "proto", "protocol"}

func (p *routeParser) mark(c *choice, value string) error {
	mark, mask, masked := strings.Cut(value, "/")
	m, err := strconv.ParseUint(mark, 0, 32)
	c.Mark, c.Mask = uint32(m), ^uint32(0)
	if err == nil && masked {
		m, err = strconv.ParseUint(mask, 0, 32)
		c.Mask = uint32(m)
	}
	if err != nil {
		return p.file.fault(c.line, "%q is no mark: is the line cut off?", value)
	}
	return nil
}

// jsonChoice is what a rule of ip -j rule has besides what a route has.
type jsonChoice struct {
	Priority *int64 `json:"priority"`
	// Not is null where the rule is negated, and missing where it is not.
	Not      json.RawMessage `json:"not"`
	Src      string          `json:"src"`
	SrcLen   *int            `json:"srclen"`
	DstLen   *int            `json:"dstlen"`
	In       string          `json:"iif"`
	Out      string          `json:"oif"`
	Mark     string          `json:"fwmark"`
	Mask     string          `json:"fwmask"`
	Action   string          `json:"action"`
	Protos   any             `json:"ipproto"`
	Suppress any             `json:"suppress_prefixlen"`
}

// choiceWords is the rule in the words of the other format.
func (j jsonRoute) choiceWords() []string {
	words := []string{strconv.FormatInt(*j.Priority, 10) + ":"}
	add := func(name, value string) {
		if value != "" {
			words = append(words, name, value)
		}
	}
	length := func(address string, n *int) string {
		if n == nil || address == "all" || address == "" {
			return address
		}
		return address + "/" + strconv.Itoa(*n)
	}
	if j.Not != nil {
		words = append(words, "not")
	}
	add("from", length(j.Src, j.SrcLen))
	add("to", length(j.Dst, j.DstLen))
	add("iif", j.In)
	add("oif", j.Out)
	if j.Mark != "" && j.Mask != "" {
		j.Mark += "/" + j.Mask
	}
	add("fwmark", j.Mark)
	add("ipproto", textOf(j.Protos))
	add("suppress_prefixlength", textOf(j.Suppress))
	add("lookup", textOf(j.Table))
	if slices.Contains([]string{"blackhole", "unreachable", "prohibit"}, j.Action) {
		words = append(words, j.Action)
	}
	return words
}
