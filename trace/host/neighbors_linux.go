package host

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
)

// neighbors reads the entries of both families, by interface and address.
func (r *reader) neighbors(context.Context) error {
	for _, f := range families {
		all, err := listed(func() ([]netlink.Neigh, error) { return netlink.NeighList(0, f.number) })
		if err != nil {
			return fmt.Errorf("listing the %s neighbors: %w", f.family, err)
		}
		for _, n := range all {
			r.Neighbors = append(r.Neighbors, Neighbor{
				Addr: addrOf(n.IP), Interface: r.names[n.LinkIndex], State: neighborState(n.State), MAC: n.HardwareAddr.String(),
			})
		}
	}
	slices.SortFunc(r.Neighbors, func(a, b Neighbor) int {
		return cmp.Or(cmp.Compare(a.Interface, b.Interface), a.Addr.Compare(b.Addr))
	})
	return nil
}

// neighborState is the name of a state in ip-neighbour(8), or its number.
func neighborState(n int) string {
	names := map[int]string{
		netlink.NUD_NONE: "none", netlink.NUD_INCOMPLETE: "incomplete", netlink.NUD_REACHABLE: "reachable",
		netlink.NUD_STALE: "stale", netlink.NUD_DELAY: "delay", netlink.NUD_PROBE: "probe",
		netlink.NUD_FAILED: "failed", netlink.NUD_NOARP: "noarp", netlink.NUD_PERMANENT: "permanent",
	}
	if name, ok := names[n]; ok {
		return name
	}
	return fmt.Sprint(n)
}
