package filter

import (
	"cmp"
	"net/netip"
	"slices"
)

// field is one part of a connection's tuple.
type field uint8

const (
	srcAddr field = iota
	dstAddr
	srcPort
	dstPort
)

// literal says that a field holds a value, or that it does not.
type literal struct {
	field  field
	prefix netip.Prefix
	port   uint16
	not    bool
}

// value is the term's value at one side, as a literal.
func (t term) value(s side) literal {
	l := literal{prefix: t.prefix, port: t.port}
	switch {
	case t.port != 0 && s == source:
		l.field = srcPort
	case t.port != 0:
		l.field = dstPort
	case s == destination:
		l.field = dstAddr
	}
	return l
}

// within says whether the first one's values are among the other's; overlap
// whether they have any in common. Neither looks at not.
func within(a, b literal) bool {
	return overlap(a, b) && a.prefix.Bits() >= b.prefix.Bits()
}

func overlap(a, b literal) bool {
	switch {
	case a.field != b.field || a.port != b.port:
		return false
	case a.port != 0:
		return true
	}
	return a.prefix.Overlaps(b.prefix)
}

func (l literal) negated() literal {
	l.not = !l.not
	return l
}

// excludes says that the two cannot hold together.
func (l literal) excludes(o literal) bool {
	switch {
	case l.field != o.field || l.not && o.not:
		return false
	case l.not:
		return within(o, l)
	case o.not:
		return within(l, o)
	}
	return !overlap(l, o)
}

// implies says that the other holds wherever this one does.
func (l literal) implies(o literal) bool {
	switch {
	case l.field != o.field || l.not && !o.not:
		return false
	case l.not:
		return within(o, l)
	case o.not:
		return !overlap(l, o)
	}
	return within(l, o)
}

// cube is a conjunction of literals, in the order of their fields, none of
// which follows from another.
type cube []literal

// and adds literals to a cube; ok says whether it can still hold.
func (c cube) and(literals ...literal) (with cube, ok bool) {
	with = slices.Clone(c)
	for _, l := range literals {
		if slices.ContainsFunc(with, l.excludes) {
			return nil, false
		}
		if slices.ContainsFunc(with, func(o literal) bool { return o.implies(l) }) {
			continue
		}
		with = append(slices.DeleteFunc(with, l.implies), l)
	}
	slices.SortFunc(with, literal.compare)
	return with, true
}

func (l literal) compare(o literal) int {
	return cmp.Or(cmp.Compare(l.field, o.field), cmp.Compare(l.port, o.port), l.prefix.Compare(o.prefix))
}

// swapped is the cube for a packet of the other direction.
func (c cube) swapped() cube {
	out := slices.Clone(c)
	for i := range out {
		out[i].field ^= 1 // source and destination are neighbours
	}
	slices.SortFunc(out, literal.compare)
	return out
}

// without parts what the other cube leaves of this one into cubes that exclude
// each other: those where the other's first literal fails, those where it holds
// and the second fails, and so on.
func (c cube) without(o cube) []cube {
	if _, meet := c.and(o...); !meet {
		return []cube{c}
	}
	var out []cube
	rest := c
	for _, l := range o {
		if piece, ok := rest.and(l.negated()); ok {
			out = append(out, piece)
		}
		rest, _ = rest.and(l)
	}
	return out
}

// cubes are the ways in which the terms can hold, a term for either end in two
// of them. They may overlap.
func (f Filter) cubes() []cube {
	out := []cube{nil}
	for _, t := range f.terms {
		var next []cube
		for _, c := range out {
			for _, s := range []side{source, destination} {
				if t.side != either && t.side != s {
					continue
				}
				if with, ok := c.and(t.value(s)); ok {
					next = append(next, with)
				}
			}
		}
		out = next
	}
	return out
}

// bothWays adds the cubes of the other direction.
func bothWays(cubes []cube) []cube {
	out := slices.Clone(cubes)
	for _, c := range cubes {
		out = append(out, c.swapped())
	}
	return out
}

// disjoint parts overlapping cubes into some that exclude each other and
// together hold the same.
func disjoint(cubes []cube) []cube {
	// The shorter a cube the more it holds, so later ones are the likelier to vanish.
	cubes = slices.Clone(cubes)
	slices.SortStableFunc(cubes, func(a, b cube) int { return cmp.Compare(len(a), len(b)) })
	var out []cube
	for i, c := range cubes {
		pieces := []cube{c}
		for _, before := range cubes[:i] {
			var left []cube
			for _, p := range pieces {
				left = append(left, p.without(before)...)
			}
			pieces = left
		}
		out = append(out, pieces...)
	}
	return out
}
