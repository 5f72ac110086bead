package host

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"packetwalk/trace"
)

func TestBridgePortOf(t *testing.T) {
	attribute := func(kind int, v byte) []byte { return nl.NewRtAttr(kind, []byte{v}).Serialize() }
	got, err := bridgePortOf(slices.Concat(attribute(nl.IFLA_BRPORT_STATE, 4), attribute(nl.IFLA_BRPORT_MODE, 1), attribute(nl.IFLA_BRPORT_ISOLATED, 0)))
	if want := (bridgePort{state: "blocking", hairpin: true}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	got, err = bridgePortOf(attribute(nl.IFLA_BRPORT_STATE, 9))
	if want := (bridgePort{state: "9"}); err != nil || got != want {
		t.Errorf("of an unknown state: %+v, %v", got, err)
	}
}

func TestVerdicts(t *testing.T) {
	kinds := func(e ...expr.Any) (all []expr.VerdictKind) {
		verdicts, err := (&search{}).verdicts(&nftables.Rule{Exprs: e})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range verdicts {
			all = append(all, v.Kind)
		}
		return all
	}
	drop := []expr.VerdictKind{expr.VerdictDrop}
	for _, c := range []struct {
		what string
		have []expr.VerdictKind
		want []expr.VerdictKind
	}{
		{"reject", kinds(&expr.Counter{}, &expr.Reject{}), drop},
		{"drop", kinds(&expr.Verdict{Kind: expr.VerdictDrop}), drop},
		{"queue", kinds(&expr.Queue{Num: 3}), drop},
		{"queue with bypass", kinds(&expr.Queue{Num: 3, Flag: expr.QueueFlagBypass}), nil},
		{"a set without verdicts", kinds(&expr.Lookup{SetName: "s"}), nil},
		{"a map into another register", kinds(&expr.Lookup{SetName: "s", IsDestRegSet: true, DestRegister: 1}), nil},
	} {
		if !slices.Equal(c.have, c.want) {
			t.Errorf("%s: got %v, want %v", c.what, c.have, c.want)
		}
	}
}

// What the kernel says is read without trusting its lengths, and what is read is
// within bounds.
func FuzzMessages(f *testing.F) {
	nested := func(kind int, children ...*nl.RtAttr) *nl.RtAttr {
		a := nl.NewRtAttr(kind|unix.NLA_F_NESTED, nil)
		for _, c := range children {
			a.AddChild(c)
		}
		return a
	}
	f.Add(nested(nl.CTA_TUPLE_ORIG,
		nested(nl.CTA_TUPLE_IP, nl.NewRtAttr(nl.CTA_IP_V4_SRC, []byte{10, 0, 0, 1}), nl.NewRtAttr(nl.CTA_IP_V4_DST, []byte{10, 0, 0, 2})),
		nested(nl.CTA_TUPLE_PROTO, nl.NewRtAttr(nl.CTA_PROTO_NUM, []byte{6}), nl.NewRtAttr(nl.CTA_PROTO_SRC_PORT, []byte{1, 2}))).Serialize())
	f.Add(nested(nl.CTA_PROTOINFO, nested(nl.CTA_PROTOINFO_TCP, nl.NewRtAttr(nl.CTA_PROTOINFO_TCP_STATE, []byte{3}))).Serialize())
	f.Add(nested(unix.NFTA_CHAIN_HOOK, nl.NewRtAttr(hookDevice, []byte("eth0\x00"))).Serialize())
	f.Add(append(make([]byte, unix.SizeofRtMsg), nl.NewRtAttr(nl.FRA_DPORT_RANGE, []byte{80, 0, 90, 0}).Serialize()...))
	f.Add(append([]byte{unix.AF_INET6}, make([]byte, socketMessageSize-1)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := choiceOf(trace.IPv4, data); err == nil && c.Source.IsValid() && !c.Source.Addr().IsValid() {
			t.Errorf("a source without an address: %+v", c)
		}
		if s, ok := openedOf(trace.TCP, data, nil); ok && s.Local.Port() != binary.BigEndian.Uint16(data[4:]) {
			t.Errorf("port %d", s.Local.Port())
		}
		if c, err := connectionOf(data); err == nil && c.Timeout < 0 {
			t.Errorf("a timeout of %s", c.Timeout)
		}
		if p, err := bridgePortOf(data); err == nil && p.isolated && len(data) == 0 {
			t.Error("an isolated port out of nothing")
		}
		if _, devices, err := devicesOfChain(data); err == nil && slices.ContainsFunc(devices, func(d string) bool { return len(d) > len(data) }) {
			t.Errorf("devices %q", devices)
		}
		if v, err := verdictOf(data); err == nil && len(v.Chain) > len(data) {
			t.Errorf("chain %q", v.Chain)
		}
	})
}
