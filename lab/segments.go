package lab

// Port is an interface of a node.
type Port struct{ Node, Interface string }

// Segments numbers the layer 2 segments of the lab: interfaces with the same
// number hear each other, over a veth pair or through a bridge.
func (t Topology) Segments() map[Port]int {
	segments := map[Port]int{}
	number := func(p Port) int {
		if _, ok := segments[p]; !ok {
			segments[p] = len(segments)
		}
		return segments[p]
	}
	join := func(a, b Port) {
		from, to := number(a), number(b)
		for p, s := range segments {
			if s == from {
				segments[p] = to
			}
		}
	}
	for _, n := range t.Nodes {
		for _, d := range n.Devices {
			if d.Bridge != "" {
				join(Port{n.Name, d.Name}, Port{n.Name, d.Bridge})
			}
		}
	}
	for _, l := range t.Links {
		join(Port{l.Ends[0].Node, l.Ends[0].Interface}, Port{l.Ends[1].Node, l.Ends[1].Interface})
		for _, e := range l.Ends {
			if e.Bridge != "" {
				join(Port{e.Node, e.Interface}, Port{e.Node, e.Bridge})
			}
		}
	}
	return segments
}
