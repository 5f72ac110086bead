package filter

import (
	"strings"

	"packetwalk/trace"
)

// Interface asks that a connection crosses an interface.
//
// It is never part of Words: a packet has its interfaces one hook at a time (no
// -o before routing and no -i in OUTPUT and POSTROUTING, see iptables(8)), so a
// probe that asked for one would see some stations of a walk and miss the rest.
// It is the finished walk that is asked, with Crossed.
type Interface struct {
	// Name is an interface's name; with a "+" at its end it stands for every
	// name that begins so, as with iptables' -i and -o.
	Name string
	Way  Way
}

// Way says which way the opener's packets cross an interface. The other
// direction's cross it the other way.
type Way uint8

// The ways.
const (
	InOrOut Way = iota
	In
	Out
)

func (w Way) String() string { return [...]string{"", "in ", "out "}[w] }

func (i Interface) String() string { return i.Way.String() + "interface " + i.Name }

// is says whether the filter means the interface of this name.
func (i Interface) is(name string) bool {
	if prefix, wild := strings.CutSuffix(i.Name, "+"); wild {
		return name != "" && strings.HasPrefix(name, prefix)
	}
	return name == i.Name
}

// Interfaces lists what the filter asks of interfaces.
func (f Filter) Interfaces() []Interface { return f.interfaces }

// Crossed says whether a walk crossed every interface that the filter asks for,
// on any node. The ports of a bridge count like the bridge itself. It is true of
// every walk where the filter asks for none.
func (f Filter) Crossed(w trace.Walk) bool {
	for _, i := range f.interfaces {
		if !i.crossedBy(w) {
			return false
		}
	}
	return true
}

func (i Interface) crossedBy(w trace.Walk) bool {
	in, out := i.Way != Out, i.Way != In
	if w.Direction == trace.Reply {
		in, out = out, in
	}
	if w.Direction == "" {
		in, out = true, true
	}
	for _, s := range w.Steps {
		if in && (i.is(s.In) || i.is(s.PhysIn)) || out && (i.is(s.Out) || i.is(s.PhysOut)) {
			return true
		}
	}
	return false
}
