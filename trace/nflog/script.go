package nflog

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

// edit is one change of a chain: a probe that comes, or one that goes.
type edit struct {
	chain string
	// at is the position of the rule that the probe goes in front of, or of the
	// one that goes, counted from 1 with all probes; 0 is the chain's end. Edits
	// go from the end of a chain to its beginning, so none moves what is still to come.
	at    int
	probe *newProbe
	gone  *ruleset.Rule
}

// newProbe is a probe as a rule.
type newProbe struct {
	kind   trace.ProbeKind
	match  []string
	own    own
	group  uint16
	prefix string
}

// line is the edit as iptables-restore takes it.
func (e edit) line() string {
	if e.gone != nil {
		return deletion(*e.gone)
	}
	words := []string{"-A", e.chain}
	if e.at > 0 {
		words = []string{"-I", e.chain, strconv.Itoa(e.at)}
	}
	return ruleset.Join(slices.Concat(words, e.probe.match, e.probe.target()))
}

// target is what the probe does with a packet, with the match that a prefix needs
// where it is no option of that.
func (n *newProbe) target() []string {
	if n.kind == trace.Ask {
		return []string{"-m", "comment", "--comment", n.prefix, "-j", "TRACE"}
	}
	return []string{"-j", "NFLOG", "--nflog-group", strconv.Itoa(int(n.group)), "--nflog-prefix", n.prefix}
}

// deletion is the iptables-restore line that deletes a rule by its specification.
func deletion(r ruleset.Rule) string { return "-D" + strings.TrimPrefix(r.Text, "-A") }

// Script is the iptables-restore --noflush input that carries the plan out, one
// transaction a table.
func (p *Plan) Script() string { return script(p.lines(), math.MaxInt) }

// piece is how many lines of a script fit into a message of an ordinary user
// (net.core.wmem_max is 212,992 bytes unless somebody has changed it).
const piece = 200

// ScriptInPieces is Script as transactions that are small enough for the socket
// of an ordinary user.
func (p *Plan) ScriptInPieces() string { return script(p.lines(), piece) }

// lines are the iptables-restore lines of each table.
func (p *Plan) lines() map[trace.Table][]string {
	all := map[trace.Table][]string{}
	for table, edits := range p.edits {
		for _, e := range edits {
			all[table] = append(all[table], e.line())
		}
	}
	return all
}

// Removal is the iptables-restore --noflush input that deletes the probes of
// some runs from a ruleset, by their specification.
func Removal(rules ruleset.Ruleset, ofRun func(run string) bool) string {
	edits := map[trace.Table][]string{}
	eachProbe(rules, func(at place, r ruleset.Rule, p Prefix) {
		if ofRun(p.Run) {
			edits[at.table] = append(edits[at.table], deletion(r))
		}
	})
	return script(edits, math.MaxInt)
}

// place is where a rule stands.
type place struct {
	table trace.Table
	chain string
}

// eachProbe calls f with every rule that is a probe of some run.
func eachProbe(rules ruleset.Ruleset, f func(place, ruleset.Rule, Prefix)) {
	for _, t := range rules.Tables {
		for _, c := range t.Chains {
			for _, r := range c.Rules {
				if p, ok := probePrefix(r); ok {
					f(place{t.Name, c.Name}, r, p)
				}
			}
		}
	}
}

// script writes edits as iptables-restore input, at most so many to a transaction.
func script(edits map[trace.Table][]string, most int) string {
	var b strings.Builder
	for _, t := range trace.Tables() {
		for lines := edits[t]; len(lines) > 0; {
			n := min(most, len(lines))
			fmt.Fprintf(&b, "*%s\n%s\nCOMMIT\n", t, strings.Join(lines[:n], "\n"))
			lines = lines[n:]
		}
	}
	return b.String()
}

// copies is how many of the plan's probes ask exactly what their rules do; each
// of them stands directly in front of its rule. It is 0 where probes have to go
// as well.
func (p *Plan) copies() (n int) {
	for _, edits := range p.edits {
		for _, e := range edits {
			if e.gone != nil {
				return 0
			}
			if e.probe.isCopy() {
				n++
			}
		}
	}
	return n
}

// besideCopies is the iptables-restore input that carries the plan out but for
// the copies that are taken care of. It comes before them: its positions are
// those without.
func (p *Plan) besideCopies(takenCareOf func(trace.Table, edit) bool) string {
	rest := map[trace.Table][]string{}
	for table, edits := range p.edits {
		for _, e := range edits {
			if !e.probe.isCopy() || !takenCareOf(table, e) {
				rest[table] = append(rest[table], e.line())
			}
		}
	}
	return script(rest, math.MaxInt)
}

// isCopy says whether the probe has its rule's matches, all of them and no
// others. An Ask probe never has: it stands at a rule that must not be asked twice.
func (n *newProbe) isCopy() bool {
	return n.own.at > 0 && !slices.ContainsFunc(n.own.parts, func(p part) bool { return !p.pure() }) &&
		slices.Equal(n.match, sideEffectFree(n.own.parts))
}
