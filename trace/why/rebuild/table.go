package rebuild

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

// table takes the lines of a table, which are complete.
func (p *listingParser) table() error {
	var text strings.Builder
	for _, l := range p.open {
		text.WriteString(l.text + "\n")
	}
	rs, err := ruleset.Parse(text.String())
	var syntax *ruleset.SyntaxError
	if errors.As(err, &syntax) {
		return p.file.fault(p.open[syntax.Line-1].number, "%s: %s", syntax.Why, short(syntax.Text))
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", p.file.Name, err)
	}
	t := table{name: rs.Tables[0].Name}
	if t.chains, err = p.chains(t.name); err != nil {
		return err
	}
	t.rules = p.rules(t.name)
	if t.family, err = p.family(t); err != nil {
		return err
	}
	p.tables = append(p.tables, t)
	return nil
}

// baseChains are the chains that a table can have a policy for.
func baseChains(t trace.Table) []string {
	var names []string
	for _, h := range trace.Hooks() {
		if slices.Contains(trace.NFTables.TablesAt(h), t) || slices.Contains(trace.Legacy.TablesAt(h), t) {
			names = append(names, h.String())
		}
	}
	return names
}

// chains are the table's chains as iptables-restore reads them, without counters.
func (p *listingParser) chains(name trace.Table) ([]string, error) {
	base := baseChains(name)
	if base == nil {
		return nil, p.file.fault(p.open[0].number, "iptables has no table %s: is this the output of iptables-save?", name)
	}
	var all []string
	for _, l := range p.open {
		if l.text[0] != ':' {
			continue
		}
		f := strings.Fields(l.text[1:])
		if f[1] != "-" && !slices.Contains(base, f[0]) {
			return nil, p.file.fault(l.number, "the table %s has no chain %s that could have a policy", name, f[0])
		}
		all = append(all, ":"+f[0]+" "+f[1]+" [0:0]")
	}
	return all, nil
}

// rules are the table's rules in the order of the text.
func (p *listingParser) rules(name trace.Table) []rule {
	var all []rule
	for _, l := range p.open {
		text := l.text
		if text[0] == '[' {
			_, text, _ = strings.Cut(text, " ")
			text = strings.TrimSpace(text)
		}
		if text[0] != '-' {
			continue
		}
		r, err := ruleset.ParseRule(text)
		if err != nil {
			continue // Parse has let it pass: it cannot be
		}
		words, _ := ruleset.Words(text)
		all = append(all, rule{Rule: r, line: l.number, chain: words[1], table: name})
	}
	return all
}

// family says of which family a table is: as the program that wrote it says, or
// by the addresses in it, or as the tables before.
func (p *listingParser) family(t table) (trace.Family, error) {
	found, line := p.program, 0
	for _, r := range t.rules {
		f := r.family()
		if f == 0 || f == found {
			continue
		}
		if found != 0 {
			where := "the program that wrote the table"
			if line != 0 {
				where = fmt.Sprintf("line %d", line)
			}
			return 0, p.file.fault(r.line, "this rule is for %s, and %s is for %s: have two listings been mixed? %s", f, where, found, short(r.Text))
		}
		found, line = f, r.line
	}
	if found == 0 {
		found = t.likely()
		if n := len(p.tables); n > 0 && found == 0 {
			found = p.tables[n-1].family
		}
		if found == 0 {
			found = trace.IPv4
		}
		if p.has(found, t.name) {
			found = trace.IPv4 + trace.IPv6 - found
		}
	}
	if p.has(found, t.name) {
		return 0, p.file.fault(p.open[0].number, "the table %s of %s appears twice", t.name, found)
	}
	return found, nil
}

func (l *listing) has(f trace.Family, name trace.Table) bool {
	return slices.ContainsFunc(l.tables, func(t table) bool { return t.family == f && t.name == name })
}

// family is that of the addresses in a rule, or of what it has for one family
// only; 0 where it tells nothing.
func (r rule) family() trace.Family {
	for i, w := range r.Match {
		if i+1 == len(r.Match) {
			break
		}
		next := r.Match[i+1]
		if w == "-s" || w == "-d" {
			if p, err := parsePrefix(next); err == nil {
				return trace.FamilyOf(p.Addr())
			}
		}
	}
	for i, w := range r.Options {
		switch {
		case i == 0 || !strings.HasPrefix(r.Options[i-1], "--"):
		case r.Options[i-1] == "--reject-with" && strings.HasPrefix(w, "icmp6-"):
			return trace.IPv6
		case r.Options[i-1] == "--reject-with" && strings.HasPrefix(w, "icmp-"):
			return trace.IPv4
		case r.Options[i-1] == "--to-destination" || r.Options[i-1] == "--to-source":
			if to, ok := parseDestination(w); ok && to.first.IsValid() {
				return trace.FamilyOf(to.first)
			}
		}
	}
	return 0
}

// likely is the family by the protocols in a table that holds no address; 0
// where there are none. Rules for the other family's protocols do no harm, so
// they say little.
func (t table) likely() trace.Family {
	for _, r := range t.rules {
		if i := slices.Index(r.Match, "-p"); i >= 0 && i+1 < len(r.Match) && protocolFamily[r.Match[i+1]] != 0 {
			return protocolFamily[r.Match[i+1]]
		}
	}
	return 0
}

// protocolFamily are the protocols of one family, as iptables-save calls them.
var protocolFamily = map[string]trace.Family{
	"icmp": trace.IPv4, "1": trace.IPv4, "igmp": trace.IPv4,
	"icmpv6": trace.IPv6, "ipv6-icmp": trace.IPv6, "58": trace.IPv6,
}

// parsePrefix reads an address with or without the length of its network. Old
// versions of iptables wrote masks that are no lengths: those are an error.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}

// text is the table as iptables-restore reads it, with these rules.
func (t table) text(rules []rule) string {
	var b strings.Builder
	b.WriteString("*" + string(t.name) + "\n")
	for _, c := range t.chains {
		b.WriteString(c + "\n")
	}
	for _, r := range rules {
		b.WriteString(r.Text + "\n")
	}
	b.WriteString("COMMIT\n")
	return b.String()
}

// of are the rules of a family, from all tables.
func (l *listing) of(f trace.Family) []rule {
	var all []rule
	for _, t := range l.tables {
		if t.family == f {
			all = append(all, t.rules...)
		}
	}
	return all
}
