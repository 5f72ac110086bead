package assemble

import "packetwalk/trace"

// Rewire replaces the segments, as the wires between nodes are others now. What
// is under way goes on by the new ones.
func (a *Assembler) Rewire(segments map[Port]int) {
	a.config.Segments, a.shared, a.bridges = segments, map[Port]bool{}, map[int][]string{}
	for p, s := range segments {
		for other, t := range segments {
			switch {
			case s != t || p == other:
			case p.Node != other.Node:
				a.shared[p] = true
			default: // only a bridge has several ports on one segment
				a.bridges[s] = append(a.bridges[s], p.Node)
			}
		}
	}
}

// wired says whether what leaves by one port can come in by the other, by a wire
// or through the bridge of one of the two nodes.
func (a *Assembler) wired(out, in Port) bool {
	return a.connected(out, in) && !a.bridged(out, in)
}

// connected says whether two ports are on one segment.
func (a *Assembler) connected(out, in Port) bool {
	if out.Interface == trace.Loopback || in.Interface == trace.Loopback {
		return out == in
	}
	s, ok := a.config.Segments[out]
	t, ok2 := a.config.Segments[in]
	return ok && ok2 && s == t && out != in
}

// bridged says whether the bridge of a third node may lie between two ports of a
// segment. With bridge netfilter that node has a leg of its own for the packet;
// without, it is but a wire.
func (a *Assembler) bridged(out, in Port) bool {
	for _, node := range a.bridges[a.config.Segments[out]] {
		if node != out.Node && node != in.Node {
			return true
		}
	}
	return false
}

// heardFromOthers says whether a traced node can have sent what comes in by a
// port, and can hear what leaves by it.
func (a *Assembler) heardFromOthers(p Port) bool { return p.Interface == trace.Loopback || a.shared[p] }

// giveUpWaiting decides where a leg belongs that came in by a wire, when no leg
// that is directly before it will come any more: behind one from which a silent
// bridge has carried it here, or to a walk of its own.
func (a *Assembler) giveUpWaiting(l *leg) {
	for _, before := range a.legs[l.id()] {
		if a.mayPrecede(before, l) && a.connected(before.exit(), l.entry()) {
			a.join(before, l)
			return
		}
	}
	a.begin(l)
}
