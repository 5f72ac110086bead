package lab_test

import (
	"fmt"
	"net/netip"
	"testing"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
)

// TestManyLinks builds a lab with so many links that their changes would run over
// a subscription that nobody reads meanwhile.
func TestManyLinks(t *testing.T) {
	labtest.Need(t)
	top := lab.Topology{Nodes: []lab.Node{{Name: "a", Kind: lab.Host}, {Name: "b", Kind: lab.Machine}}}
	for i := range 80 {
		end := func(node string, last byte) lab.End {
			return lab.End{Node: node, Interface: fmt.Sprintf("eth%d", i), Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), last}), 24)}}
		}
		top.Links = append(top.Links, lab.Link{Ends: [2]lab.End{end("a", 1), end("b", 2)}})
	}
	labtest.Build(t, top, "")
}
