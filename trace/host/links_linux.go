package host

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// links reads the links by their number, and keeps their names for the other parts.
func (r *reader) links(context.Context) error {
	all, err := listed(netlink.LinkList)
	if err != nil {
		return fmt.Errorf("listing the links: %w", err)
	}
	r.names = namesOf(all)
	addresses, err := addressesByLink()
	if err != nil {
		r.unseen(Links, err)
	}
	ports, err := bridgePorts()
	if err != nil {
		r.unseen(Links, err)
	}
	peers, err := r.peers(all)
	if err != nil {
		r.unseen(Links, err)
	}
	for _, l := range all {
		link := linkOf(l)
		link.Addresses, link.Peer = addresses[link.Index], peers[link.Index]
		if port, ok := ports[link.Index]; ok {
			link.Bridge = r.names[l.Attrs().MasterIndex]
			link.Isolated, link.Hairpin, link.State = port.isolated, port.hairpin, port.state
		}
		r.Links = append(r.Links, link)
	}
	return nil
}

// kindLoopback is what ip-link(8) calls such links; the kernel has no word for it.
const kindLoopback = "loopback"

func linkOf(l netlink.Link) Link {
	a := l.Attrs()
	link := Link{
		Name: a.Name, Index: a.Index, Kind: l.Type(), MTU: a.MTU, MAC: a.HardwareAddr.String(),
		Up: a.RawFlags&unix.IFF_UP != 0, Carrier: a.RawFlags&unix.IFF_LOWER_UP != 0,
	}
	if a.Flags&net.FlagLoopback != 0 {
		link.Kind, link.MAC = kindLoopback, "" // its address is all zeros
	}
	if b, ok := l.(*netlink.Bridge); ok && b.VlanFiltering != nil {
		link.VLANFiltering = *b.VlanFiltering
	}
	return link
}

// addressesByLink lists all addresses, in the kernel's order, by the number of
// the link.
func addressesByLink() (map[int][]netip.Prefix, error) {
	all, err := listed(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("listing the addresses: %w", err)
	}
	byLink := map[int][]netip.Prefix{}
	for _, a := range all {
		byLink[a.LinkIndex] = append(byLink[a.LinkIndex], prefixOf(a.IPNet))
	}
	return byLink, nil
}

func prefixOf(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(addrOf(n.IP), ones)
}

// addrOf is the zero Addr for none.
func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}
