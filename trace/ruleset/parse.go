package ruleset

import (
	"errors"
	"fmt"
	"strings"

	"packetwalk/trace"
)

// SyntaxError says which line of an iptables-save text cannot be read, and why.
type SyntaxError struct {
	Line int // counts from 1
	Text string
	Why  string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("reading line %d of the ruleset: %s: %q", e.Line, e.Why, e.Text)
}

// Parse reads the output of iptables-save, with or without counters (-c).
// Comments and empty lines are passed over. The error is a *SyntaxError.
func Parse(text string) (Ruleset, error) {
	p := parser{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if why := p.line(line); why != "" {
			return Ruleset{}, &SyntaxError{Line: i + 1, Text: line, Why: why}
		}
	}
	if p.inTable {
		return Ruleset{}, &SyntaxError{Line: strings.Count(text, "\n") + 1, Why: "the text ends before the table's COMMIT; is it complete?"}
	}
	return p.rules, nil
}

type parser struct {
	rules   Ruleset
	inTable bool
	chains  map[string]int // index of a chain of the current table
}

// line takes one line and says what is wrong with it, if anything.
func (p *parser) line(line string) string {
	switch {
	case line[0] == '*':
		return p.table(line[1:])
	case !p.inTable:
		return "a line outside of a table (tables begin with *name)"
	case line == "COMMIT":
		p.inTable = false
		return ""
	case line[0] == ':':
		return p.chain(line[1:])
	}
	return p.rule(line)
}

func (p *parser) table(name string) string {
	switch {
	case p.inTable:
		return "a table begins before the last one's COMMIT"
	case name == "" || strings.ContainsAny(name, " \t\""):
		return "a table without a proper name"
	}
	if _, ok := p.rules.Table(trace.Table(name)); ok {
		return "the table appears twice"
	}
	p.rules.Tables = append(p.rules.Tables, Table{Name: trace.Table(name)})
	p.inTable, p.chains = true, map[string]int{}
	return ""
}

func (p *parser) current() *Table { return &p.rules.Tables[len(p.rules.Tables)-1] }

func (p *parser) chain(line string) string {
	f := strings.Fields(line)
	if len(f) < 2 || len(f) > 3 {
		return "a chain is written \":NAME POLICY [packets:bytes]\""
	}
	c := Chain{Name: f[0]}
	if strings.ContainsAny(c.Name, "\"\\'") {
		return "a chain's name holds a quote or a backslash"
	}
	switch p := trace.Verdict(f[1]); p {
	case trace.Accept, trace.Drop:
		c.Policy = p
	case "-":
	default:
		return "a policy is ACCEPT or DROP, and - where the chain has none"
	}
	if len(f) == 3 {
		var ok bool
		if c.Packets, c.Bytes, ok = counters(f[2]); !ok {
			return "counters are written [packets:bytes]"
		}
	}
	if _, ok := p.chains[c.Name]; ok {
		return "the chain appears twice"
	}
	t := p.current()
	p.chains[c.Name] = len(t.Chains)
	t.Chains = append(t.Chains, c)
	return ""
}

func (p *parser) rule(line string) string {
	var r Rule
	if line[0] == '[' {
		head, rest, _ := strings.Cut(line, " ")
		var ok bool
		if r.Packets, r.Bytes, ok = counters(head); !ok {
			return "counters are written [packets:bytes]"
		}
		line = strings.TrimSpace(rest)
	}
	chain, why := r.read(line)
	if why != "" {
		return why
	}
	i, ok := p.chains[chain]
	if !ok {
		return "a rule for a chain that was not declared"
	}
	c := &p.current().Chains[i]
	c.Rules = append(c.Rules, r)
	return ""
}

// ParseRule reads one rule as iptables-save writes it, without counters:
// "-A CHAIN …".
func ParseRule(line string) (Rule, error) {
	var r Rule
	if _, why := r.read(line); why != "" {
		return r, errors.New(why)
	}
	return r, nil
}

// read reads a rule without counters.
func (r *Rule) read(line string) (chain, why string) {
	r.Text = line
	words, err := Words(line)
	if err != nil {
		return "", err.Error()
	}
	if len(words) < 2 || words[0] != "-A" {
		return "", "neither a chain, nor a rule (-A CHAIN …), nor COMMIT"
	}
	return words[1], r.split(words[2:])
}

// split parts the words of a rule at its target.
func (r *Rule) split(words []string) string {
	for i := 0; i < len(words); i++ {
		switch words[i] {
		case "--comment", "--string", "--hex-string":
			i++ // free text: a "-j" in it is no target
		case "-j", "-g", "--jump", "--goto":
			if i+1 == len(words) {
				return "no target after " + words[i]
			}
			r.Goto = words[i] == "-g" || words[i] == "--goto"
			r.Match, r.Target, r.Options = words[:i:i], words[i+1], words[i+2:]
			return ""
		}
	}
	r.Match = words
	return ""
}

// counters reads "[packets:bytes]".
func counters(s string) (packets, bytes uint64, ok bool) {
	var end string
	n, _ := fmt.Sscanf(s, "[%d:%d%s", &packets, &bytes, &end)
	return packets, bytes, n == 3 && end == "]"
}
