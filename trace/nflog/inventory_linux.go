package nflog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

// variantOf asks a command of the iptables family which implementation it is for.
func variantOf(command string) (trace.Variant, error) {
	version, err := run(context.Background(), command, "", "--version")
	if err != nil {
		return 0, err
	}
	if strings.Contains(version, "nf_tables") {
		return trace.NFTables, nil
	}
	return trace.Legacy, nil
}

// nftFamily is the nf_tables family of an address family.
func nftFamily(f trace.Family) nftables.TableFamily {
	if f == trace.IPv6 {
		return nftables.TableFamilyIPv6
	}
	return nftables.TableFamilyIPv4
}

// listPresence lists the tables and base chains of iptables in nf_tables,
// without those that came into being for the probes among the rules.
func listPresence(family trace.Family, rules ruleset.Ruleset) (Presence, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("opening nf_tables: %w", err)
	}
	tables, err := conn.ListTablesOfFamily(nftFamily(family))
	if err != nil {
		return nil, fmt.Errorf("listing nf_tables tables: %w", err)
	}
	chains, err := conn.ListChainsOfTableFamily(nftFamily(family))
	if err != nil {
		return nil, fmt.Errorf("listing nf_tables chains: %w", err)
	}
	p := Presence{}
	for _, t := range tables {
		if table := trace.Table(t.Name); len(trace.HooksOf(table)) > 0 {
			p[table] = map[string]bool{}
		}
	}
	for _, c := range chains {
		if table := p[trace.Table(c.Table.Name)]; table != nil && c.Hooknum != nil {
			table[c.Name] = true
		}
	}
	p.discountProbes(rules)
	return p, nil
}

// discountProbes takes out what came into being for the probes of any run.
func (p Presence) discountProbes(rules ruleset.Ruleset) {
	eachProbe(rules, func(at place, _ ruleset.Rule, prefix Prefix) {
		switch prefix.Origin {
		case MadeTable:
			delete(p, at.table)
		case MadeChain:
			delete(p[at.table], at.chain)
		}
	})
}

// deleteRequests are the requests that delete chains and tables, chains first.
func deleteRequests(family nftables.TableFamily, made map[trace.Table]map[string]Origin) []netlink.Message {
	var chains, tables []netlink.Message
	for table, made := range made {
		name := append([]byte(table), 0)
		for chain := range made {
			chains = append(chains, deleteRequest(family, unix.NFT_MSG_DELCHAIN,
				netlink.Attribute{Type: unix.NFTA_CHAIN_TABLE, Data: name},
				netlink.Attribute{Type: unix.NFTA_CHAIN_NAME, Data: append([]byte(chain), 0)}))
		}
		if slices.Contains(slices.Collect(maps.Values(made)), MadeTable) {
			tables = append(tables, deleteRequest(family, unix.NFT_MSG_DELTABLE,
				netlink.Attribute{Type: unix.NFTA_TABLE_NAME, Data: name}))
		}
	}
	return append(chains, tables...)
}

// nonRecursive makes a deletion fail with EBUSY where something is left inside,
// which would otherwise be deleted too (NLM_F_NONREC, include/uapi/linux/netlink.h).
const nonRecursive netlink.HeaderFlags = 0x100

// deleteRequest is the request to delete one rule, or one chain or table if
// nothing is in it.
func deleteRequest(family nftables.TableFamily, message uint16, attrs ...netlink.Attribute) netlink.Message {
	data, err := netlink.MarshalAttributes(attrs)
	if err != nil {
		panic(err) // names from iptables are never too long for an attribute
	}
	return netlink.Message{
		Header: netlink.Header{
			Type:  netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | message),
			Flags: netlink.Request | nonRecursive,
		},
		Data: append([]byte{byte(family), unix.NFNETLINK_V0, 0, 0}, data...),
	}
}

// deleteAll carries deletions out. What is gone already, and what somebody else
// uses by now, is left as it is.
func deleteAll(requests []netlink.Message) error {
	if len(requests) == 0 {
		return nil
	}
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	// A transaction is one message on the socket. Without the right to exceed
	// net.core.wmem_max the kernel gives less, and says so when it is too little.
	_ = conn.SetWriteBuffer(transactionBuffer)
	// One transaction is the quick way. It fails as a whole where one thing
	// cannot be deleted; then each is tried by itself.
	if err = transact(conn, requests...); err == nil {
		return nil
	}
	if errors.Is(err, unix.EMSGSIZE) && len(requests) > 1 {
		half := len(requests) / 2
		return errors.Join(deleteAll(requests[:half]), deleteAll(requests[half:]))
	}
	var errs []error
	for _, r := range requests {
		if err := transact(conn, r); !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// transactionBuffer has room, in bytes, for the deletion of some 50,000 rules.
const transactionBuffer = 8 << 20

// transact sends requests as one nf_tables transaction. The kernel answers
// every request that fails, and the last one in any case.
func transact(conn *netlink.Conn, requests ...netlink.Message) error {
	mark := func(typ uint16) netlink.Message {
		return netlink.Message{
			Header: netlink.Header{Type: netlink.HeaderType(typ), Flags: netlink.Request},
			// struct nfgenmsg: any family, version 0, resource id in network byte order
			Data: []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES},
		}
	}
	batch := append([]netlink.Message{mark(unix.NFNL_MSG_BATCH_BEGIN)}, requests...)
	batch[len(batch)-1].Header.Flags |= netlink.Acknowledge
	sent, err := conn.SendMessages(append(batch, mark(unix.NFNL_MSG_BATCH_END)))
	if err != nil {
		return err
	}
	// Answers are read until that of the last request. An error is an answer too,
	// and the kernel may give only that of the first failure.
	last := sent[len(sent)-2].Header.Sequence
	for {
		msgs, err := conn.Receive()
		if err != nil {
			return err
		}
		for _, m := range msgs {
			if m.Header.Sequence == last {
				return nil
			}
		}
	}
}
