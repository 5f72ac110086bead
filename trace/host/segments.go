package host

// Segments numbers the layer 2 segments between hosts: interfaces with the same
// number hear each other, over a veth pair or through a bridge.
func Segments(hosts map[string]State) map[Port]int {
	all := segments{}
	for node, s := range hosts {
		for _, l := range s.Links {
			at := Port{node, l.Name}
			if l.Peer != (Port{}) {
				all.join(at, l.Peer)
			}
			if l.Bridge != "" {
				all.join(at, Port{node, l.Bridge})
			}
		}
	}
	return all
}

type segments map[Port]int

func (s segments) number(p Port) int {
	if _, ok := s[p]; !ok {
		s[p] = len(s)
	}
	return s[p]
}

func (s segments) join(a, b Port) {
	from, to := s.number(a), s.number(b)
	for p, n := range s {
		if n == from {
			s[p] = to
		}
	}
}
