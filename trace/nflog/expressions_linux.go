package nflog

import (
	"bytes"
	"encoding/binary"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// findPrefix finds the prefix of a dumped rule that is a probe.
func findPrefix(rule []byte) (Prefix, bool) {
	prefix, _, ok := findProbe(rule)
	return prefix, ok
}

// findProbe does so too, and says whether the rule is an Ask probe. The prefix
// is in the target, which is the last of the rule's expressions, where that
// logs; anywhere in the rule, that is in its comment, where the target switches
// the kernel's trace on. What other rules hold in comments of their own does
// not count.
func findProbe(rule []byte) (prefix Prefix, asks, ok bool) {
	if !bytes.Contains(rule, []byte(prefixMark)) {
		return Prefix{}, false, false
	}
	name, data, err := lastExpression(rule)
	switch {
	case err != nil:
	case logsToGroup(name, data):
		prefix, ok = prefixIn(data)
	case switchesTraceOn(name, data):
		asks = true
		prefix, ok = prefixIn(rule)
	}
	return prefix, asks, ok
}

// prefixIn finds a prefix, which ends with a zero byte.
func prefixIn(data []byte) (Prefix, bool) {
	i := bytes.LastIndex(data, []byte(prefixMark))
	if i < 0 {
		return Prefix{}, false
	}
	text, _, _ := bytes.Cut(data[i:], []byte{0})
	return ParsePrefix(string(text))
}

// lastExpression is the name and the attributes of a dumped rule's last expression.
func lastExpression(rule []byte) (name string, data []byte, err error) {
	r, err := readRule(rule)
	if err != nil || len(r.expressions) == 0 {
		return "", nil, err
	}
	last := r.expressions[len(r.expressions)-1]
	data, err = attribute(last, unix.NFTA_EXPR_DATA)
	return expressionName(last), data, err
}

// attribute is the content of the attribute of a type; nil where there is none.
func attribute(attributes []byte, typ uint16) ([]byte, error) {
	ad, err := netlink.NewAttributeDecoder(attributes)
	if err != nil {
		return nil, err
	}
	for ad.Next() {
		if ad.Type() == typ {
			return ad.Bytes(), nil
		}
	}
	return nil, ad.Err()
}

// compat is the expression that stands for a target of x_tables
// (net/netfilter/nft_compat.c).
const compat = "target"

// logsToGroup says whether an expression is NFLOG: nf_tables' own, which newer
// versions of iptables use and which without a group is LOG, or that of x_tables.
func logsToGroup(name string, data []byte) bool {
	if name != "log" {
		return name == compat && bytes.Contains(data, []byte("NFLOG\x00"))
	}
	group, err := attribute(data, unix.NFTA_LOG_GROUP)
	return err == nil && group != nil
}

// switchesTraceOn says whether an expression is TRACE: meta nftrace set 1, as
// iptables-nft writes it (iptables-extensions(8)), or that of x_tables.
func switchesTraceOn(name string, data []byte) bool {
	if name != "meta" {
		return name == compat && bytes.Contains(data, []byte("TRACE\x00"))
	}
	key, err := attribute(data, unix.NFTA_META_KEY)
	return err == nil && len(key) == 4 && binary.BigEndian.Uint32(key) == unix.NFT_META_NFTRACE
}
