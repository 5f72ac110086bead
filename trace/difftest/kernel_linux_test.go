package difftest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"packetwalk/trace"
	"packetwalk/trace/decode"
	"packetwalk/trace/nftrace"
)

// message is one message of the kernel's trace.
type message struct {
	nftrace.Message
	// packet is set on the first message of every base chain that a packet comes to.
	packet *trace.Packet
}

// readMessage reads the headers that a message shows.
func readMessage(m nftrace.Message) (message, error) {
	if m.Headers == nil {
		return message{Message: m}, nil
	}
	p, err := decode.Packet(m.Headers)
	return message{m, &p}, err
}

// ownTable is the native table that switches tracing on.
const ownTable = "difftest"

// switchOn makes the table that has every packet traced, from before the raw
// table on, and that ends the way of sentinels behind it.
func switchOn() error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("opening nf_tables: %w", err)
	}
	table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: ownTable})
	on := []expr.Any{
		&expr.Immediate{Register: 1, Data: []byte{1}},
		&expr.Meta{Key: expr.MetaKeyNFTRACE, SourceRegister: true, Register: 1},
	}
	drop := []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{sentinelProto}},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}
	for _, c := range []struct {
		name     string
		hook     *nftables.ChainHook
		priority nftables.ChainPriority
		rule     []expr.Any
	}{
		{"incoming", nftables.ChainHookPrerouting, -450, on},
		{"outgoing", nftables.ChainHookOutput, -450, on},
		{"sentinels", nftables.ChainHookPrerouting, -299, drop},
	} {
		chain := conn.AddChain(&nftables.Chain{Name: c.name, Table: table, Type: nftables.ChainTypeFilter,
			Hooknum: c.hook, Priority: nftables.ChainPriorityRef(c.priority)})
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: c.rule})
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("adding the table that switches tracing on: %w", err)
	}
	return nil
}

// verdicts are the codes of enum nft_verdicts and of netfilter itself
// (include/uapi/linux/netfilter.h, include/uapi/linux/netfilter/nf_tables.h).
var verdicts = map[int32]trace.Verdict{
	0: trace.Drop, 1: trace.Accept, 2: "STOLEN", 3: "QUEUE", -1: trace.Continue, -3: trace.Jump, -4: trace.Goto, -5: trace.Return,
}

// verdictOf names a code. That of a queue carries its number in the upper half.
func verdictOf(code int32) trace.Verdict {
	if code >= 0 {
		code &= 0xff // NF_VERDICT_MASK
	}
	return verdicts[code]
}

// ruleKey names a rule as the kernel does.
type ruleKey struct {
	family trace.Family
	table  string
	handle uint64
}

// probeNumber stands for the number of a rule that is a probe.
const probeNumber = -1

// ruleNumbers lists the rules of both families, with the numbers that they have
// without probes. It must run in the network namespace.
func ruleNumbers(t testing.TB) map[ruleKey]int {
	t.Helper()
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	must(t, err)
	defer conn.Close()
	numbers, last := map[ruleKey]int{}, map[string]int{}
	for _, family := range []byte{unix.NFPROTO_IPV4, unix.NFPROTO_IPV6} {
		rules, err := conn.Execute(netlink.Message{
			Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETRULE, Flags: netlink.Request | netlink.Dump},
			Data:   []byte{family, unix.NFNETLINK_V0, 0, 0},
		})
		must(t, err)
		for _, m := range rules {
			key, chain := ruleOf(t, m)
			if bytes.Contains(m.Data, []byte("packetwalk:")) {
				numbers[key] = probeNumber
				continue
			}
			at := fmt.Sprint(key.family, key.table, " ", chain)
			last[at]++
			numbers[key] = last[at]
		}
	}
	return numbers
}

func ruleOf(t testing.TB, m netlink.Message) (key ruleKey, chain string) {
	t.Helper()
	ad, err := netlink.NewAttributeDecoder(m.Data[4:])
	must(t, err)
	ad.ByteOrder = binary.BigEndian
	key.family = nftrace.FamilyOf(m.Data[0])
	for ad.Next() {
		switch ad.Type() {
		case unix.NFTA_RULE_TABLE:
			key.table = ad.String()
		case unix.NFTA_RULE_CHAIN:
			chain = ad.String()
		case unix.NFTA_RULE_HANDLE:
			key.handle = ad.Uint64()
		}
	}
	must(t, ad.Err())
	return key, chain
}
