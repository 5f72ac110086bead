package rebuild

import (
	"net/netip"

	"packetwalk/trace"
)

// Own is the host's own address of a family: the only one by which others may
// reach it, leaving out bridges of containers where there is another. It is zero
// where there are several, or none, or no addresses were sent. The error is a
// *FileError.
func (m Mail) Own(family trace.Family) (netip.Addr, error) {
	if !m.Addresses.given() {
		return netip.Addr{}, nil
	}
	links, err := readAddresses(m.Addresses)
	if err != nil {
		return netip.Addr{}, err
	}
	var bridges, others []netip.Addr
	for _, l := range links {
		for _, p := range l.Addresses {
			a := p.Addr()
			switch {
			case trace.FamilyOf(a) != family || l.Kind == "loopback" || a.IsLoopback() || a.IsLinkLocalUnicast():
			case l.Kind == "bridge":
				bridges = append(bridges, a)
			default:
				others = append(others, a)
			}
		}
	}
	if len(others) == 0 {
		others = bridges
	}
	if len(others) != 1 {
		return netip.Addr{}, nil
	}
	return others[0], nil
}
