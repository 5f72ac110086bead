package dropped

import (
	"bytes"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"
)

var (
	u16 = &btf.Int{Name: "unsigned short", Size: 2}
	u32 = &btf.Int{Name: "unsigned int", Size: 4}
)

// pointerTo makes a type of a kernel that we do not have.
func pointerTo(t btf.Type) *btf.Pointer { return &btf.Pointer{Target: t} }

// structure has a field at each of the offsets, in bytes.
func structure(name string, size uint32, members ...btf.Member) *btf.Struct {
	return &btf.Struct{Name: name, Size: size, Members: members}
}

func member(name string, at uint32, t btf.Type) btf.Member {
	return btf.Member{Name: name, Type: t, Offset: btf.Bits(at * 8)}
}

// kernel describes the types of a kernel, with what its tracepoint hands over
// behind packet and location.
func kernel(more func(socket btf.Type) []btf.FuncParam) []btf.Type {
	net := structure("net", 64, member("ns", 16, structure("ns_common", 24, member("inum", 8, u32))))
	possible := &btf.Typedef{Name: "possible_net_t", Type: structure("", 8, member("net", 0, pointerTo(net)))}
	common := structure("sock_common", 64, member("skc_net", 48, possible))
	device := structure("net_device", 400,
		member("name", 4, &btf.Array{Index: u32, Type: &btf.Int{Name: "char", Size: 1}, Nelems: 16}), member("nd_net", 300, possible))
	sock := structure("sock", 128, member("__sk_common", 0, common))
	void := pointerTo(&btf.Void{})
	links := structure("", 24, member("next", 0, void), member("prev", 8, void),
		member("", 16, &btf.Union{Size: 8, Members: []btf.Member{member("dev", 0, pointerTo(device)), member("dev_scratch", 0, void)}}))
	skb := structure("sk_buff", 224,
		member("", 0, &btf.Union{Size: 24, Members: []btf.Member{member("", 0, links), member("rbnode", 0, structure("rb_node", 24))}}),
		member("sk", 24, pointerTo(sock)),
		member("", 100, structure("", 8, member("protocol", 2, u16), member("network_header", 6, u16))),
		member("tail", 188, u32), member("head", 200, void))
	params := []btf.FuncParam{{Type: void}, {Type: pointerTo(skb)}, {Type: void}}
	if more != nil {
		params = append(params, more(sock)...)
	}
	attached := &btf.Typedef{Name: tracepointType, Type: pointerTo(&btf.FuncProto{Return: &btf.Void{}, Params: params})}
	return []btf.Type{net, common, device, skb, attached}
}

var enum = &btf.Enum{Name: reasonEnum, Size: 4, Values: []btf.EnumValue{
	{Name: "SKB_CONSUMED", Value: 1}, {Name: "SKB_DROP_REASON_NO_SOCKET", Value: 3},
}}

func spec(t *testing.T, types []btf.Type) *btf.Spec {
	t.Helper()
	b, err := btf.NewBuilder(types, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := b.Marshal(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := btf.LoadSpecFromReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLayout(t *testing.T) {
	for _, test := range []struct {
		name             string
		more             func(btf.Type) []btf.FuncParam
		reason, receiver bool
	}{
		{"before 5.17", nil, false, false},
		{"from 5.17 on", func(btf.Type) []btf.FuncParam { return []btf.FuncParam{{Type: enum}} }, true, false},
		{"from 6.11 on", func(sock btf.Type) []btf.FuncParam { return []btf.FuncParam{{Type: enum}, {Type: pointerTo(sock)}} }, true, true},
		{"with something else there", func(btf.Type) []btf.FuncParam { return []btf.FuncParam{{Type: u32}} }, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, err := readLayout(spec(t, kernel(test.more)))
			if err != nil {
				t.Fatal(err)
			}
			if l.reason != test.reason || l.receiver != test.receiver {
				t.Errorf("reason %v, receiver %v", l.reason, l.receiver)
			}
			got := []int32{
				l.skbDevice, l.skbSocket, l.skbHead, l.skbTail, l.skbNetworkHeader, l.skbProtocol,
				l.deviceName, l.deviceNet, l.socketNet, l.netInode,
			}
			for i, want := range []int32{16, 24, 200, 188, 106, 102, 4, 300, 48, 24} {
				if got[i] != want {
					t.Errorf("field %d is at %d; want %d", i, got[i], want)
				}
			}
			want := map[uint32]string{1: "CONSUMED", 3: "NO_SOCKET", 99: "99 of subsystem 0", 3<<16 | 2: "2 of subsystem 3"}
			for number, name := range want {
				if !test.reason {
					name = ""
				}
				if got := l.reasonName(number); got != name {
					t.Errorf("reason %d is called %q; want %q", number, got, name)
				}
			}
		})
	}
}

func TestLayoutMissing(t *testing.T) {
	all := kernel(nil)
	odd := &btf.Typedef{Name: tracepointType, Type: pointerTo(&btf.FuncProto{Return: &btf.Void{}, Params: []btf.FuncParam{{Type: u32}, {Type: u32}, {Type: u32}}})}
	for _, test := range []struct {
		name  string
		types []btf.Type
		want  string
	}{
		{"no tracepoint", all[:4], "tracepoint kfree_skb"},
		{"another tracepoint", append(all[:4:4], odd), "does not begin with a packet"},
		{"no function", append(all[:4:4], &btf.Typedef{Name: tracepointType, Type: u32}), "no pointer to a function"},
		{"no field", []btf.Type{structure("sk_buff", 8)}, "sk_buff.dev"},
		{"nothing at all", []btf.Type{u32}, "struct sk_buff"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := readLayout(spec(t, test.types)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v; want something about %s", err, test.want)
			}
		})
	}
}
