package tui

import (
	"slices"
	"strings"

	"packetwalk/lab"
	"packetwalk/trace"
)

// nodeLine orders the nodes of a topology for a line on the screen, and tells
// what found no place on it. The line is the same for every walk that goes
// along it, in either direction; another walk has a line of its own, in the
// order of its connection's original direction.
func nodeLine(t lab.Topology, w trace.Walk) (line, others []string) {
	var walked []string
	for _, s := range w.Steps {
		if !slices.Contains(walked, s.Node) {
			walked = append(walked, s.Node)
		}
	}
	if w.Direction == trace.Reply {
		slices.Reverse(walked)
	}
	if len(t.Nodes) > 0 {
		line = extend(t, []string{firstNode(t)})
	}
	if !goesAlong(line, walked) {
		line = extend(t, walked)
	}
	for _, n := range t.Nodes {
		if !slices.Contains(line, n.Name) {
			others = append(others, n.Name)
		}
	}
	return line, others
}

// goesAlong says whether each node of a walk stands beside the one before it.
func goesAlong(line, walked []string) bool {
	for i, n := range walked {
		at := slices.Index(line, n)
		if at < 0 || i > 0 && distance(at, slices.Index(line, walked[i-1])) != 1 {
			return false
		}
	}
	return true
}

// extend lengthens a line at both ends with what is linked to them.
func extend(t lab.Topology, line []string) []string {
	for n := neighbour(t, line, line[len(line)-1]); n != ""; n = neighbour(t, line, line[len(line)-1]) {
		line = append(line, n)
	}
	for n := neighbour(t, line, line[0]); n != ""; n = neighbour(t, line, line[0]) {
		line = slices.Insert(line, 0, n)
	}
	return line
}

// firstNode is where a line begins when there is no walk yet: with a client.
func firstNode(t lab.Topology) string {
	if len(t.Clients) > 0 {
		return t.Clients[0].Node
	}
	for _, n := range t.Nodes {
		if n.Kind == lab.Machine {
			return n.Name
		}
	}
	return t.Nodes[0].Name
}

// neighbour is a node that is linked to the given one and not on the line yet.
func neighbour(t lab.Topology, line []string, of string) string {
	for _, l := range t.Links {
		for i, e := range l.Ends {
			if peer := l.Ends[1-i].Node; e.Node == of && !slices.Contains(line, peer) {
				return peer
			}
		}
	}
	return ""
}

// segment is the link between two neighbours on the line, labelled at both ends
// with the interface and its address.
type segment struct {
	linked                bool
	left, right           string
	leftPort, rightPort   string // the bridge's port, written at the other end
	leftAddr, rightAddr   string
	leftWidth, rightWidth int
}

// segmentBetween finds the link between two nodes. A port of a bridge is shown
// as the bridge, and its own name goes to the other end: docker0 ─ veth1/eth0.
func segmentBetween(t lab.Topology, a, b string) segment {
	for _, l := range t.Links {
		for i := range l.Ends {
			x, y := l.Ends[i], l.Ends[1-i]
			if x.Node != a || y.Node != b {
				continue
			}
			s := segment{linked: true}
			s.left, s.leftAddr = endLabel(t, x)
			s.right, s.rightAddr = endLabel(t, y)
			switch {
			case x.Bridge != "" && y.Bridge == "":
				s.rightPort = clean(x.Interface) + "/"
			case y.Bridge != "" && x.Bridge == "":
				s.leftPort = "/" + clean(y.Interface)
			}
			return s
		}
	}
	return segment{}
}

func endLabel(t lab.Topology, e lab.End) (name, address string) {
	name, addresses := e.Interface, e.Addresses
	if e.Bridge != "" {
		name = e.Bridge
		for _, f := range t.Interfaces(e.Node) {
			if f.IsBridge && f.Name == e.Bridge {
				addresses = f.Addresses
			}
		}
	}
	if len(addresses) > 0 {
		address = addresses[0].String()
	}
	return clean(name), address
}

// fitLabels sets what is written on the segment: 3 interfaces, ports of bridges
// and addresses, 2 no addresses, 1 interfaces only, 0 nothing.
func (s segment) fitLabels(detail int) segment {
	if detail >= 2 {
		s.left, s.right = s.left+s.leftPort, s.rightPort+s.right
	}
	if detail < 3 {
		s.leftAddr, s.rightAddr = "", ""
	}
	if detail < 1 {
		s.left, s.right = "", ""
	}
	s.leftWidth = max(width(s.left), width(s.leftAddr))
	s.rightWidth = max(width(s.right), width(s.rightAddr))
	return s
}

// least is the least width of the segment.
func (s segment) least() int {
	n := 3
	for _, w := range []int{s.leftWidth, s.rightWidth} {
		if w > 0 {
			n += w + 2
		}
	}
	return n
}

func joinNames(names []string) string { return clean(strings.Join(names, ", ")) }
