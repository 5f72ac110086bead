package rebuild

import (
	"slices"
	"strconv"

	"packetwalk/trace/why"
)

// Caveats says on what an answer about the rebuilt host rests: first what was left
// out of it, and that the answer depends on that where it may, then what was
// assumed.
func Caveats(all []Note) []why.Fact {
	var deciding, other, assumed []why.Fact
	for _, n := range all {
		switch {
		case n.mayDecide():
			deciding = append(deciding, n.fact(why.LeftOut))
		case n.LeftOut():
			other = append(other, n.fact(why.LeftOut))
		default:
			assumed = append(assumed, n.fact(why.Assumed))
		}
	}
	if len(deciding) > 0 {
		deciding = slices.Insert(deciding, 0, why.Fact{Kind: why.CopyLacks, Step: -1})
	}
	return slices.Concat(deciding, other, assumed)
}

// mayDecide says whether what was left out may decide about the packet: what the
// host's kernel does not use itself, or is not on the packet's way, does not.
func (n Note) mayDecide() bool {
	switch n.Kind {
	case RuleLeftOut, TableLeftOut, UnseenRules, AddressLeftOut, ChoiceLeftOut, CommandRefused:
		return true
	case RouteLeftOut:
		return n.Reason != RouteDead && n.Reason != InterfaceDown
	}
	return false
}

// fact is the note with its place, in both languages.
func (n Note) fact(kind why.FactKind) why.Fact {
	place := map[string]string{}
	if n.Line > 0 {
		at := n.File + ":" + strconv.Itoa(n.Line)
		place["en"], place["zh"] = at+": ", at+"："
	}
	v := why.Values{}
	for _, lang := range []string{"en", "zh"} {
		v[lang] = place[lang] + n.Text(lang)
	}
	return why.Fact{Kind: kind, Values: v, Step: -1}
}
