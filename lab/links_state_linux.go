package lab

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
)

// linkState is an interface as the kernel has it, with names where the kernel
// has numbers, so that two looks compare.
type linkState struct {
	name, kind string
	up         bool
	mtu        int
	// mac is empty for a bridge, which takes that of a port, and for lo.
	mac       string
	master    string
	hairpin   bool // a bridge port gives packets back where they came from
	peer      Port // of a veth; zero where it lies outside of the places looked at
	addresses []addressState
}

// addressState is an address of an interface, without what the kernel derives.
type addressState struct {
	address, peer netip.Prefix // peer is zero where there is none
	broadcast     string
	label         string
	scope         int
}

func (s addressState) String() string {
	return fmt.Sprintf("%s peer %s brd %s scope %d label %s", s.address, s.peer, s.broadcast, s.scope, s.label)
}

// The kinds of link that can be made.
const (
	kindBridge   = "bridge"
	kindVeth     = "veth"
	kindLoopback = "loopback"
)

// kind is the link's kind in the words of ip-link(8).
func kind(l netlink.Link) string {
	if l.Attrs().Flags&net.FlagLoopback != 0 {
		return kindLoopback
	}
	return l.Type()
}

// linksOf lists the links of a place in the order in which they were made. The
// others are where the far ends of veth pairs are looked for.
func (n *Namespace) linksOf(others []*Namespace) ([]linkState, error) {
	all, err := n.routes.LinkList()
	if err != nil {
		return nil, fmt.Errorf("listing the links: %w", err)
	}
	byIndex := indexed(all)
	peers, err := n.neighboursOf(all, others)
	if err != nil {
		return nil, err
	}
	states := make([]linkState, len(all))
	for i, l := range all {
		if states[i], err = n.linkOf(l, byIndex); err != nil {
			return nil, fmt.Errorf("looking at %s: %w", l.Attrs().Name, err)
		}
		if l.Type() == kindVeth {
			states[i].peer = peers[l.Attrs().Index]
		}
	}
	return states, nil
}

func indexed(all []netlink.Link) map[int]netlink.Link {
	byIndex := map[int]netlink.Link{}
	for _, l := range all {
		byIndex[l.Attrs().Index] = l
	}
	return byIndex
}

func (n *Namespace) linkOf(l netlink.Link, byIndex map[int]netlink.Link) (linkState, error) {
	attrs := l.Attrs()
	s := linkState{name: attrs.Name, kind: kind(l), up: attrs.Flags&net.FlagUp != 0, mtu: attrs.MTU}
	if s.kind != kindBridge && s.kind != kindLoopback {
		s.mac = attrs.HardwareAddr.String()
	}
	if master, ok := byIndex[attrs.MasterIndex]; ok {
		s.master = master.Attrs().Name
		if master.Type() == kindBridge {
			port, err := n.routes.LinkGetProtinfo(l)
			if err != nil {
				return s, fmt.Errorf("asking for its settings as a bridge port: %w", err)
			}
			s.hairpin = port.Hairpin
		}
	}
	var err error
	s.addresses, err = n.addressesOf(l)
	return s, err
}

// addressesOf lists the addresses of a link in the kernel's order, without the
// link-local ones that the kernel makes by itself.
func (n *Namespace) addressesOf(l netlink.Link) ([]addressState, error) {
	all, err := n.routes.AddrList(l, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("listing its addresses: %w", err)
	}
	var states []addressState
	for _, a := range all {
		p := prefixOf(a.IPNet)
		if isMadeOfMAC(p.Addr()) {
			continue
		}
		s := addressState{address: p, label: a.Label, scope: a.Scope}
		if a.Peer != nil && a.Peer.String() != a.IPNet.String() {
			s.peer = prefixOf(a.Peer)
		}
		if a.Broadcast != nil {
			s.broadcast = a.Broadcast.String()
		}
		states = append(states, s)
	}
	return states, nil
}

// isMadeOfMAC says whether an address is a link-local one such as the kernel
// gives an interface by itself, from the MAC that it had then (RFC 4291, appendix A).
func isMadeOfMAC(a netip.Addr) bool {
	b := a.As16()
	return a.Is6() && a.IsLinkLocalUnicast() && b[11] == 0xff && b[12] == 0xfe
}

func prefixOf(n *net.IPNet) netip.Prefix {
	addr, _ := netip.AddrFromSlice(n.IP)
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(addr.Unmap(), ones)
}

// neighboursOf finds the far end of every veth, by its number. A link names the far
// end by its number and the number that its own namespace gives to the other.
func (n *Namespace) neighboursOf(links []netlink.Link, others []*Namespace) (map[int]Port, error) {
	if !slices.ContainsFunc(links, func(l netlink.Link) bool { return l.Type() == kindVeth }) {
		return nil, nil
	}
	byID := map[int]*Namespace{-1: n}
	for _, o := range others {
		if o == n {
			continue
		}
		id, err := n.routes.GetNetNsIdByFd(int(o.file.Fd()))
		if err != nil {
			return nil, fmt.Errorf("asking for the number of node %s: %w", o.name, err)
		}
		if id >= 0 {
			byID[id] = o
		}
	}
	names := map[*Namespace]map[int]string{}
	peers := map[int]Port{}
	for _, l := range links {
		o := byID[l.Attrs().NetNsID]
		if l.Type() != kindVeth || o == nil {
			continue
		}
		if names[o] == nil {
			byName, err := o.indices()
			if err != nil {
				return nil, fmt.Errorf("listing the links of %s: %w", o.name, err)
			}
			names[o] = map[int]string{}
			for name, i := range byName {
				names[o][i] = name
			}
		}
		if name, ok := names[o][l.Attrs().ParentIndex]; ok {
			peers[l.Attrs().Index] = Port{o.name, name}
		}
	}
	return peers, nil
}
