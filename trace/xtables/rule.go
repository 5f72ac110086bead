package xtables

import (
	"bytes"
	"slices"
)

// Rule is an entry of a table: what it asks a packet, and its target.
type Rule struct {
	// raw is the entry as the kernel wrote it. It is never changed: tables may share it.
	raw []byte
	// from is the entry's number in the table that was read; -1 for a new one.
	from int32
	// leads says where the target leads to within the table, and chain to which.
	leads leads
	chain int
}

// leads says what the verdict of a standard target stands for.
type leads uint8

const (
	nowhere leads = iota // the target is no place in the table
	toNext               // no target at all: the next rule follows
	toChain              // a jump or goto
)

// readEntry reads the entry at the beginning of b and holds its sizes to its bounds.
func (l layout) readEntry(b []byte) (Rule, error) {
	if len(b) < l.header {
		return Rule{}, unsupported("%d bytes are too few for an entry", len(b))
	}
	target := int(native.Uint16(b[l.targetOffset:]))
	next := int(native.Uint16(b[l.targetOffset+2:]))
	if target < l.header || next < target+partHeader || next > len(b) || next != align(next) {
		return Rule{}, unsupported("an entry of %d bytes with its target at %d", next, target)
	}
	if size := int(native.Uint16(b[target:])); size < partHeader || target+size > next {
		return Rule{}, unsupported("a target of %d bytes in an entry of %d", size, next)
	}
	r := Rule{raw: b[:next:next]}
	for rest := r.raw[l.header:target]; len(rest) > 0; {
		if len(rest) < partHeader {
			return Rule{}, unsupported("%d bytes are too few for a match", len(rest))
		}
		size := int(native.Uint16(rest))
		if size < partHeader || size > len(rest) || size != align(size) {
			return Rule{}, unsupported("a match of %d bytes where %d are left", size, len(rest))
		}
		rest = rest[size:]
	}
	return r, nil
}

// target is the rule's target with its header.
func (l layout) target(r Rule) []byte {
	return r.raw[native.Uint16(r.raw[l.targetOffset:]):]
}

func (l layout) targetName(r Rule) string { return text(l.target(r)[partName : partRevision-1]) }

// matches are the rule's matches, in their order.
func (l layout) matches(r Rule) [][]byte {
	var all [][]byte
	for rest := r.raw[l.header:native.Uint16(r.raw[l.targetOffset:])]; len(rest) > 0; {
		size := native.Uint16(rest)
		all = append(all, rest[:size])
		rest = rest[size:]
	}
	return all
}

// verdict is the verdict of a standard target: negative for what happens to the
// packet, else the offset of the entry that follows.
func (l layout) verdict(r Rule) (verdict int32, standard bool) {
	t := l.target(r)
	if l.targetName(r) != "" || len(t) < partHeader+4 {
		return 0, false
	}
	return int32(native.Uint32(t[partHeader:])), true
}

// unconditional says whether the rule asks a packet nothing.
func (l layout) unconditional(r Rule) bool {
	return int(native.Uint16(r.raw[l.targetOffset:])) == l.header &&
		!slices.ContainsFunc(r.raw[:l.targetOffset-4], func(c byte) bool { return c != 0 })
}

// The NFLOG target, revision 0 (struct xt_nflog_info in
// include/uapi/linux/netfilter/xt_NFLOG.h).
const (
	nflogName       = "NFLOG"
	nflogGroup      = partHeader + 4
	nflogPrefix     = partHeader + 12
	nflogPrefixSize = 64
	nflogSize       = nflogPrefix + nflogPrefixSize - partHeader
)

// logPrefix is the prefix that the rule logs with.
func (l layout) logPrefix(r Rule) (prefix string, ok bool) {
	t := l.target(r)
	if l.targetName(r) != nflogName || len(t) < partHeader+nflogSize {
		return "", false
	}
	return text(t[nflogPrefix : nflogPrefix+nflogPrefixSize]), true
}

// Log is a rule that logs to an NFLOG group and does nothing else.
type Log struct {
	Group uint16
	// Prefix goes in front of what is logged; at most 63 bytes.
	Prefix string
	// Like is the rule whose own matches it has: those that Keep names by their
	// number, and addresses, interfaces and protocol. nil for none.
	Like *Rule
	Keep []int
	// Match are more matches, in the words of iptables; see layout.encode.
	Match []string
}

// NewLog makes a rule for the table.
func (t *Table) NewLog(log Log) (Rule, error) {
	l := layouts[t.Family]
	header := make([]byte, l.header)
	var kept [][]byte
	if log.Like != nil {
		copy(header, log.Like.raw[:l.targetOffset-4]) // without nfcache
		header[l.flags] &^= l.gotoFlag
		matches := l.matches(*log.Like)
		for _, i := range log.Keep {
			if i >= len(matches) {
				return Rule{}, unsupported("a rule with %d matches, of which number %d was asked for", len(matches), i+1)
			}
			kept = append(kept, matches[i])
		}
	}
	matches, err := l.encode(header, log.Match)
	if err != nil {
		return Rule{}, err
	}
	if len(log.Prefix) >= nflogPrefixSize {
		return Rule{}, unsupported("a log prefix of %d bytes", len(log.Prefix))
	}
	target := newPart(nflogName, 0, nflogSize)
	native.PutUint16(target[nflogGroup:], log.Group)
	copy(target[nflogPrefix:], log.Prefix)
	raw := bytes.Join(slices.Concat([][]byte{header}, matches, kept, [][]byte{target}), nil)
	if len(raw) > 0xffff {
		return Rule{}, unsupported("a rule of %d bytes", len(raw))
	}
	native.PutUint16(raw[l.targetOffset:], uint16(len(raw)-len(target)))
	native.PutUint16(raw[l.targetOffset+2:], uint16(len(raw)))
	return Rule{raw: raw, from: -1}, nil
}

// Modules names the rule's match modules, in their order.
func (t *Table) Modules(r Rule) []string {
	var names []string
	for _, m := range layouts[t.Family].matches(r) {
		names = append(names, text(m[partName:partRevision-1]))
	}
	return names
}
