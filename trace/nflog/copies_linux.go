package nflog

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"packetwalk/trace"
)

// iptables-nft-restore finds the place of every insertion by counting a chain's
// rules. Where there are thousands of them, most probes are the rule that they
// stand at, but for its target: those are inserted as copies of what the kernel
// has, each in front of the rule's handle, and only the others by command.

// manyCopies is from how many copies on it is worth it to ask the kernel for all rules.
const manyCopies = 200

// errNoCopies says that a plan is better carried out by command.
var errNoCopies = errors.New("probes are no copies of rules")

// insertCopies carries the plan out with copies. Before anything is done it
// fails with errNoCopies where few probes are copies, or where the rules are no
// longer those that the plan was made for.
func (t *Tracer) insertCopies(ctx context.Context, b *backend) error {
	if b.byCommand || b.plan.copies() < manyCopies {
		return errNoCopies
	}
	rules, err := listRules(b.Family)
	if err != nil {
		return errors.Join(errNoCopies, err)
	}
	if now, err := t.generation(); err != nil || now != b.generation {
		return errors.Join(errNoCopies, err)
	}
	var requests []netlink.Message
	others := b.plan.besideCopies(func(table trace.Table, e edit) bool {
		all := rules[place{table, e.chain}]
		if e.probe.own.at > len(all) {
			return false
		}
		request, ok := all[e.probe.own.at-1].insertCopy(b.Family, e.probe)
		if ok {
			requests = append(requests, request)
		}
		return ok
	})
	if len(requests) == 0 {
		return errNoCopies
	}
	if _, err := run(ctx, b.Command+"-restore", others, "--noflush", "--wait"); err != nil {
		return err
	}
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetWriteBuffer(transactionBuffer) // as in deleteAll
	return transact(conn, requests...)
}

// comparing holds the expressions that iptables-nft writes for matches and that
// keep no state. A match of iptables' own kind is one of those that the plan
// knows as free of side effects.
var comparing = map[string]bool{"meta": true, "payload": true, "bitwise": true, "cmp": true, "range": true, "match": true}

// matches are the rule's expressions in front of its counter. ok is false for a
// rule that is not as iptables-nft writes them.
func (r listedRule) matches() (expressions [][]byte, xtables, ok bool) {
	for i, e := range r.expressions {
		name := expressionName(e)
		switch {
		case name == "counter":
			return r.expressions[:i], xtables, true
		case !comparing[name]:
			return nil, false, false
		}
		xtables = xtables || name == "match"
	}
	return nil, false, false
}

// insertCopy is the request to insert a probe in front of the rule, with the
// rule's own matches.
func (r listedRule) insertCopy(family trace.Family, n *newProbe) (request netlink.Message, ok bool) {
	matches, xtables, ok := r.matches()
	if !ok {
		return request, false
	}
	e := netlink.NewAttributeEncoder()
	e.ByteOrder = binary.BigEndian
	e.String(unix.NFTA_RULE_TABLE, string(r.table))
	e.String(unix.NFTA_RULE_CHAIN, r.chain)
	e.Bytes(unix.NFTA_RULE_POSITION, r.handle)
	if proto, flags, has := n.protocol(); xtables && has {
		if proto == 0 {
			return request, false
		}
		e.Nested(unix.NFTA_RULE_COMPAT, func(e *netlink.AttributeEncoder) error {
			e.Uint32(unix.NFTA_RULE_COMPAT_PROTO, proto)
			e.Uint32(unix.NFTA_RULE_COMPAT_FLAGS, flags)
			return nil
		})
	}
	e.Nested(unix.NFTA_RULE_EXPRESSIONS, func(e *netlink.AttributeEncoder) error {
		for _, m := range matches {
			e.Bytes(unix.NLA_F_NESTED|unix.NFTA_LIST_ELEM, m)
		}
		expression(e, "counter", func(*netlink.AttributeEncoder) {})
		expression(e, "log", func(e *netlink.AttributeEncoder) {
			e.Uint16(unix.NFTA_LOG_GROUP, n.group)
			e.String(unix.NFTA_LOG_PREFIX, n.prefix)
		})
		return nil
	})
	data, err := e.Encode()
	if err != nil {
		return request, false
	}
	return netlink.Message{
		Header: netlink.Header{
			Type:  netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWRULE),
			Flags: netlink.Request | netlink.Create,
		},
		Data: append([]byte{byte(nftFamily(family)), unix.NFNETLINK_V0, 0, 0}, data...),
	}, true
}

// expression writes an expression with its name and data.
func expression(e *netlink.AttributeEncoder, name string, data func(*netlink.AttributeEncoder)) {
	e.Nested(unix.NFTA_LIST_ELEM, func(e *netlink.AttributeEncoder) error {
		e.String(unix.NFTA_EXPR_NAME, name)
		e.Nested(unix.NFTA_EXPR_DATA, func(e *netlink.AttributeEncoder) error {
			data(e)
			return nil
		})
		return nil
	})
}

// protocols are the names behind -p that a copy can do with: matches of
// iptables' own kind are told the number (iptables-save prints others by number).
var protocols = map[string]uint32{"tcp": 6, "udp": 17, "icmp": 1, "ipv6-icmp": 58, "sctp": 132, "udplite": 136, "esp": 50, "ah": 51}

// inverted says that a rule is about every protocol but one
// (NFT_RULE_COMPAT_F_INV, include/uapi/linux/netfilter/nf_tables.h).
const inverted = 1 << 1

// protocol is what the probe's matches say with -p; 0 for a protocol that is not known.
func (n *newProbe) protocol() (proto, flags uint32, has bool) {
	words := n.own.parts[0].words
	i := slices.Index(words, "-p")
	if i < 0 || i+1 == len(words) {
		return 0, 0, false
	}
	if i > 0 && words[i-1] == "!" {
		flags = inverted
	}
	return protocols[words[i+1]], flags, true
}
