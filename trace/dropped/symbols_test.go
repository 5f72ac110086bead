package dropped

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const listing = `ffffffff81000000 T _text
ffffffff81000000 T _stext
0000000000001000 A fixed_percpu_data
ffffffff81c9f0b0 T ip_rcv
ffffffff81c9e000 t ip_rcv_finish_core.isra.0
ffffffff81c9ffff D ip_data
ffffffff82000000 T _etext
ffffffffc0200000 t nft_do_chain	[nf_tables]
ffffffffc01ff000 t before	[nf_tables]
ffffffffc0200400 t nft_do_chain.cold	[nf_tables]
`

func TestFunctions(t *testing.T) {
	for _, test := range []struct {
		name, listing string
		addresses     []uint64
		want          map[uint64]string
	}{
		{"inside and at the beginning", listing, []uint64{0xffffffff81c9f0ff, 0xffffffff81c9f0b0, 0xffffffff81c9f0ff},
			map[uint64]string{0xffffffff81c9f0ff: "ip_rcv", 0xffffffff81c9f0b0: "ip_rcv"}},
		{"parts of a function", listing, []uint64{0xffffffff81c9e123, 0xffffffffc0200404},
			map[uint64]string{0xffffffff81c9e123: "ip_rcv_finish_core", 0xffffffffc0200404: "nft_do_chain"}},
		{"a module, in any order", listing, []uint64{0xffffffffc0200010}, map[uint64]string{0xffffffffc0200010: "nft_do_chain"}},
		{"data is no function", listing, []uint64{0xffffffff81d00000}, map[uint64]string{0xffffffff81d00000: "ip_rcv"}},
		{"in front of everything", listing, []uint64{0xffff}, map[uint64]string{}},
		{"hidden", "0000000000000000 T ip_rcv\n0000000000000000 T tcp_v4_rcv\n", []uint64{0xffffffff81c9f0ff}, map[uint64]string{}},
		{"damaged", "zzzz T a\n12 T\n12 \n\nffffffff81000000TT b\n1 T  \n", []uint64{1 << 63}, map[uint64]string{1 << 63: ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := functions(strings.NewReader(test.listing), test.addresses)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	if _, err := functions(strings.NewReader(strings.Repeat("x", 1<<20)), []uint64{1}); err == nil {
		t.Error("a line without an end is no error")
	}
}

// FuzzFunctions holds the lookup of several addresses to that of each.
func FuzzFunctions(f *testing.F) {
	f.Add(listing, uint64(0xffffffff81c9f0ff), uint64(0xffffffffc0200010))
	f.Fuzz(func(t *testing.T, text string, a, b uint64) {
		together, err := functions(strings.NewReader(text), []uint64{a, b})
		if err != nil {
			return
		}
		each := map[uint64]string{}
		for _, address := range []uint64{a, b} {
			one, err := functions(strings.NewReader(text), []uint64{address})
			if err != nil {
				t.Fatal(err)
			}
			maps.Copy(each, one)
		}
		if d := cmp.Diff(each, together); d != "" {
			t.Error(d)
		}
		for _, name := range slices.Collect(maps.Values(together)) {
			if !strings.Contains(text, name) || strings.ContainsAny(name, ". \n\t") {
				t.Errorf("the name %q", name)
			}
		}
	})
}
