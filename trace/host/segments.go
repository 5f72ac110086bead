package host

import (
	"maps"
	"slices"
)

// Segments numbers the layer 2 segments of hosts, by their names: interfaces
// with the same number hear each other, over a veth pair or through a bridge.
// An interface that leads nowhere has none.
func Segments(hosts map[string]State) map[Port]int {
	var pairs [][2]Port
	for _, node := range slices.Sorted(maps.Keys(hosts)) {
		for _, l := range hosts[node].Links {
			at := Port{node, l.Name}
			if l.Peer != (Port{}) {
				pairs = append(pairs, [2]Port{at, l.Peer})
			}
			if l.Bridge != "" {
				pairs = append(pairs, [2]Port{at, {node, l.Bridge}})
			}
		}
	}
	return Joined(pairs)
}

// Joined numbers things that are joined in pairs: what a chain of pairs connects
// has the same number.
func Joined[T comparable](pairs [][2]T) map[T]int {
	numbers := map[T]int{}
	number := func(v T) int {
		if _, ok := numbers[v]; !ok {
			numbers[v] = len(numbers)
		}
		return numbers[v]
	}
	for _, p := range pairs {
		from, to := number(p[0]), number(p[1])
		for v, n := range numbers {
			if n == from {
				numbers[v] = to
			}
		}
	}
	return numbers
}
