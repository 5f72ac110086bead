package nflog

import (
	"encoding/binary"
	"fmt"

	"packetwalk/trace"
)

// listRoles lists what the rules of a family are to a run.
func listRoles(family trace.Family, run string) (map[ruleKey]role, error) {
	l := roleList{family: family, run: run, roles: map[ruleKey]role{}}
	err := dumpRules(nftFamily(family), l.add)
	return l.roles, err
}

// roleList gathers roles from rules in the order of their chains.
type roleList struct {
	family trace.Family
	run    string
	roles  map[ruleKey]role
	// table and chain are where the last rule was, asks the Ask probes that
	// the next rule of the chain answers.
	table trace.Table
	chain string
	asks  []ruleKey
}

// add takes the next rule of the kernel's dump.
func (l *roleList) add(rule []byte) error {
	r, err := readRule(rule)
	if err != nil {
		return err
	}
	if len(r.handle) != 8 {
		return fmt.Errorf("reading an nf_tables rule of %s/%s: its handle has %d bytes", r.table, r.chain, len(r.handle))
	}
	if r.table != l.table || r.chain != l.chain {
		l.table, l.chain, l.asks = r.table, r.chain, nil
	}
	key := ruleKey{l.family, string(r.table), binary.BigEndian.Uint64(r.handle)}
	prefix, asks, probe := findProbe(rule)
	switch {
	case !probe:
		for _, ask := range l.asks {
			asking := l.roles[ask]
			asking.about = key
			l.roles[ask] = asking
		}
		l.asks = nil
		l.roles[key] = role{}
	case prefix.Run != l.run:
		l.roles[key] = role{kind: foreign}
	case asks:
		l.roles[key] = role{kind: asking, ask: prefix.Probe}
		l.asks = append(l.asks, key)
	default:
		l.roles[key] = role{}
	}
	return nil
}
