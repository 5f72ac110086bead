package rebuild

import (
	"slices"
	"strconv"

	"packetwalk/assets"
	"packetwalk/trace/why"
)

// NoteKind names a kind of Note. Their words are in words.go.
type NoteKind string

// The kinds of note. Behind each are the values that it has.
const (
	// RuleLeftOut: iptables here refuses a rule: rule, why.
	RuleLeftOut NoteKind = "rule-left-out"
	// TableLeftOut: iptables here refuses a table as a whole: table, why.
	TableLeftOut NoteKind = "table-left-out"
	// UnseenRules: the text says that the host has rules that it does not show: text.
	UnseenRules NoteKind = "unseen-rules"
	// VariantDiffers: the rules are loaded by another implementation of iptables than
	// they were saved from, which does not work here: saved, used, why.
	VariantDiffers NoteKind = "variant-differs"
	// NoRules: the text has no rules for the family of the request: command.
	NoRules NoteKind = "no-rules"

	// NetworkAssumed: an interface has an address that was not sent: interface, address.
	NetworkAssumed NoteKind = "network-assumed"
	// OutsideAssumed: the interface to the world, and the host's address there:
	// interface, address.
	OutsideAssumed NoteKind = "outside-assumed"
	// GatewayAssumed: others are reached by a router that was not sent: gateway, interface.
	GatewayAssumed NoteKind = "gateway-assumed"
	// WayBackDiffers: the sender's packets come by another interface than the host
	// answers by: interface, other.
	WayBackDiffers NoteKind = "way-back-differs"
	// AddressesAssumed: addresses were taken from the listing of routes: file.
	AddressesAssumed NoteKind = "addresses-assumed"
	// NodeAssumed: a machine or container has been put where an address is needed:
	// node, address, interface.
	NodeAssumed NoteKind = "node-assumed"
	// RouteBackAssumed: the sender sends what is for the target's network to the
	// host: address, network.
	RouteBackAssumed NoteKind = "route-assumed"
	// ServiceAssumed: something listens: node, proto, address.
	ServiceAssumed NoteKind = "service-assumed"
	// ProxyAssumed: Docker's own program listens on the host as well: address.
	ProxyAssumed NoteKind = "proxy-assumed"
	// DestinationsLeftOut: no node was made for so many destinations of DNAT, which
	// the request does not come to: count.
	DestinationsLeftOut NoteKind = "destinations-left-out"
	// ForwardingAssumed: the host forwards, and sysctls are otherwise as the kernel
	// has them: sysctl.
	ForwardingAssumed NoteKind = "forwarding-assumed"
	// BridgeFilterNeeded: the packet stays on one bridge: bridge.
	BridgeFilterNeeded NoteKind = "bridge-filter"

	// InterfacePlain: an interface of some other kind was built as a plain one:
	// interface, kind.
	InterfacePlain NoteKind = "interface-plain"
	// PortsLeftOut: interfaces of containers that nobody asks were left out: count.
	PortsLeftOut NoteKind = "ports-left-out"
	// AddressLeftOut: an address that cannot be set: address, interface.
	AddressLeftOut NoteKind = "address-left-out"
	// RouteLeftOut: a route that cannot be set: route, why.
	RouteLeftOut NoteKind = "route-left-out"
	// RouteRemoved: the listing lacks a route that the kernel makes by itself: route.
	RouteRemoved NoteKind = "route-removed"
	// ChoiceLeftOut: a line of ip-rule(8) that cannot be set: rule, why.
	ChoiceLeftOut NoteKind = "choice-left-out"
	// TableRenumbered: a routing table has a name that only the host knows the
	// number of: table, number.
	TableRenumbered NoteKind = "table-renumbered"
	// CommandRefused: a command that would have set something was refused: command, why.
	CommandRefused NoteKind = "command-refused"
)

// Note is something that was assumed, or left out.
type Note struct {
	Kind   NoteKind
	Values why.Values
	// Reason stands for the value why; empty where that is what a program said.
	Reason Reason
	// File and Line say what it is about; File is empty and Line 0 where it is
	// about no single line.
	File string
	Line int
}

// String is the note in English, with its place.
func (n Note) String() string {
	text := n.Text("en")
	if n.Line == 0 {
		return text
	}
	return n.File + ":" + strconv.Itoa(n.Line) + ": " + text
}

// Text is the note in a language, "en" or "zh", without its place.
func (n Note) Text(lang string) string {
	var pairs []string
	for name, value := range n.Values {
		pairs = append(pairs, name, value)
	}
	message := words[n.Kind].In(lang)
	if n.Reason != "" {
		message = assets.Fill(message, "why", reasons[n.Reason].In(lang))
	}
	return assets.Fill(message, pairs...)
}

// LeftOut says that something the mail tells is not in the lab; the other notes
// are about what the mail does not tell.
func (n Note) LeftOut() bool { return slices.Contains(leftOut, n.Kind) }

var leftOut = []NoteKind{
	RuleLeftOut, TableLeftOut, UnseenRules, DestinationsLeftOut, InterfacePlain, PortsLeftOut, AddressLeftOut, RouteLeftOut, ChoiceLeftOut, CommandRefused,
}

// notes gathers notes.
type notes struct{ all []Note }

// add adds a note; values are names and what they stand for, by turns.
func (n *notes) add(kind NoteKind, values ...string) { n.at(File{}, 0, kind, values...) }

// at adds a note about a line.
func (n *notes) at(f File, line int, kind NoteKind, values ...string) {
	v := why.Values{}
	for i := 0; i+1 < len(values); i += 2 {
		v[values[i]] = values[i+1]
	}
	n.all = append(n.all, Note{Kind: kind, Values: v, File: f.Name, Line: line})
}

// leave adds a note about a line that is left out for a reason.
func (n *notes) leave(f File, line int, kind NoteKind, r Reason, values ...string) {
	n.at(f, line, kind, values...)
	n.all[len(n.all)-1].Reason = r
}
