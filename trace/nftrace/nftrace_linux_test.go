package nftrace

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"packetwalk/trace"
)

const traceMessage = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_TRACE

// sample is the first message of a chain: a jump of rule 12 of filter/INPUT.
func sample(t testing.TB) []byte {
	t.Helper()
	ae := netlink.NewAttributeEncoder()
	ae.ByteOrder = binary.BigEndian
	ae.String(unix.NFTA_TRACE_TABLE, "filter")
	ae.String(unix.NFTA_TRACE_CHAIN, "INPUT")
	ae.Uint64(unix.NFTA_TRACE_RULE_HANDLE, 12)
	ae.Uint32(unix.NFTA_TRACE_TYPE, unix.NFT_TRACETYPE_RULE)
	ae.Nested(unix.NFTA_TRACE_VERDICT, func(v *netlink.AttributeEncoder) error {
		v.ByteOrder = binary.BigEndian
		v.Uint32(unix.NFTA_VERDICT_CODE, 0xfffffffd)
		v.String(unix.NFTA_VERDICT_CHAIN, "WEB")
		return nil
	})
	ae.Uint32(unix.NFTA_TRACE_ID, 0xabcdef01)
	ae.Bytes(unix.NFTA_TRACE_TRANSPORT_HEADER, []byte{4, 5})
	ae.Bytes(unix.NFTA_TRACE_NETWORK_HEADER, []byte{1, 2, 3})
	ae.Uint32(unix.NFTA_TRACE_POLICY, 1)
	data, err := ae.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte{unix.NFPROTO_IPV6, unix.NFNETLINK_V0, 0, 0}, data...)
}

func TestParse(t *testing.T) {
	got, ok, err := parse(traceMessage, sample(t))
	want := Message{
		ID: 0xabcdef01, Family: trace.IPv6, Table: "filter", Chain: "INPUT", Type: unix.NFT_TRACETYPE_RULE, Handle: 12,
		Verdict: -3, Target: "WEB", Policy: 1, Headers: []byte{1, 2, 3, 4, 5},
	}
	if err != nil || !ok {
		t.Fatalf("parse = %v, %v", ok, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, ok, err := parse(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWRULE, sample(t)); ok || err != nil {
		t.Errorf("a message of another kind: %v, %v", ok, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, ok, err := parse(traceMessage, data); ok && (err != nil || len(m.Headers) > len(data)) {
			t.Errorf("%+v, %v", m, err)
		}
	})
}
