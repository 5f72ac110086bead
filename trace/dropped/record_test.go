package dropped

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"packetwalk/trace"
)

// syn is a SYN from 10.0.1.2:56510 to 10.0.2.2:80.
func syn(t testing.TB) []byte {
	t.Helper()
	data, err := hex.DecodeString(strings.ReplaceAll(
		"45000028 1c464000 40060000 0a000102 0a000202 dcbe0050 00000001 00000000 5002faf0 00000000", " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// written is a record as the program in the kernel writes it.
func written(netns, sockNetns uint32, name string, etherType uint16, captured uint32, packet []byte) []byte {
	b := make([]byte, recordSize)
	native := binary.NativeEndian
	native.PutUint64(b[atTime:], 12345)
	native.PutUint64(b[atLocation:], 0xffffffff81c9f0b0)
	native.PutUint32(b[atReason:], 16)
	native.PutUint32(b[atNetns:], netns)
	native.PutUint32(b[atSockNetns:], sockNetns)
	binary.BigEndian.PutUint16(b[atProtocol:], etherType)
	native.PutUint32(b[atCaptured:], captured)
	copy(b[atName:atName+nameSize], name)
	copy(b[atPacket:], packet)
	return b
}

func TestParseRecord(t *testing.T) {
	const space, other = 4026532800, 4026532900
	packet := trace.Packet{
		Family: trace.IPv4, Proto: trace.TCP, Length: 40, TTL: 64, Flags: trace.SYN, Seq: 1,
		Src: netip.MustParseAddrPort("10.0.1.2:56510"), Dst: netip.MustParseAddrPort("10.0.2.2:80"),
	}
	nothing := trace.Packet{}
	data := syn(t)
	for _, test := range []struct {
		name      string
		bytes     []byte
		namespace uint32
		device    string
		packet    trace.Packet
	}{
		{"with an interface", written(space, other, "eth0", etherIPv4, 40, data), space, "eth0", packet},
		{"the first namespace of newer kernels", written(4026531833, 0, "eth0", etherIPv4, 40, data), 4026531833, "eth0", packet},
		{"with a socket only", written(0, other, "", etherIPv4, 40, data), other, "", packet},
		{"something else where the interface was", written(0x61626364, other, "abcd", etherIPv4, 40, data), other, "", packet},
		{"with neither", written(0, 0, "eth0", etherIPv4, 40, data), 0, "", packet},
		{"a name without an end", written(space, 0, strings.Repeat("e", 16), etherIPv4, 40, data), space, "", packet},
		{"a name that is none", written(space, 0, "e\x1bh0", etherIPv4, 40, data), space, "", packet},
		{"no network header", written(space, 0, "eth0", etherIPv4, 0, data), space, "eth0", nothing},
		{"another EtherType", written(space, 0, "eth0", 0x0806, 40, data), space, "eth0", nothing},
		{"the other family's EtherType", written(space, 0, "eth0", etherIPv6, 40, data), space, "eth0", nothing},
		{"cut off", written(space, 0, "eth0", etherIPv4, 19, data), space, "eth0", nothing},
		{"more than there is room for", written(space, 0, "eth0", etherIPv4, 1<<31, data), space, "eth0", packet},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseRecord(test.bytes)
			if err != nil {
				t.Fatal(err)
			}
			want := record{time: 12345, location: 0xffffffff81c9f0b0, reason: 16, namespace: test.namespace, device: test.device, packet: test.packet}
			ignore := cmpopts.IgnoreFields(trace.Packet{}, "Identity")
			if d := cmp.Diff(want, got, cmp.AllowUnexported(record{}), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }), ignore); d != "" {
				t.Error(d)
			}
		})
	}
	if _, err := parseRecord(make([]byte, recordSize-1)); !errors.Is(err, errRecord) {
		t.Errorf("a short record: %v", err)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(written(4026532800, 0, "eth0", etherIPv4, 40, syn(f)))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseRecord(data)
		if (err != nil) != (len(data) < recordSize) {
			t.Fatalf("%d bytes: %v", len(data), err)
		}
		if r.namespace != 0 && !isNamespace(r.namespace) || strings.ContainsAny(r.device, "\x00\x1b\n ") || len(r.device) >= nameSize {
			t.Errorf("namespace %d, interface %q", r.namespace, r.device)
		}
	})
}
