package lab

import "packetwalk/trace/host"

// Port is an interface of a node.
type Port struct{ Node, Interface string }

// Segments numbers the layer 2 segments of the lab: interfaces with the same
// number hear each other, over a veth pair or through a bridge.
func (t Topology) Segments() map[Port]int {
	var pairs [][2]Port
	for _, n := range t.Nodes {
		for _, d := range n.Devices {
			if d.Bridge != "" {
				pairs = append(pairs, [2]Port{{n.Name, d.Name}, {n.Name, d.Bridge}})
			}
		}
	}
	for _, l := range t.Links {
		pairs = append(pairs, l.key())
		for _, e := range l.Ends {
			if e.Bridge != "" {
				pairs = append(pairs, [2]Port{{e.Node, e.Interface}, {e.Node, e.Bridge}})
			}
		}
	}
	return host.Joined(pairs)
}

// key is the link by its ends alone.
func (l Link) key() [2]Port {
	return [2]Port{{l.Ends[0].Node, l.Ends[0].Interface}, {l.Ends[1].Node, l.Ends[1].Interface}}
}
