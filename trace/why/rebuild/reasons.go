package rebuild

import "packetwalk/trace/why"

// Reason says why a note's route or policy rule was left out.
type Reason string

// The reasons. Behind each are the values that it has.
const (
	// NotUnderstood: a word of the listing is not known here: word.
	NotUnderstood Reason = "not-understood"
	// RouteDead: the listing says that the host's kernel does not use the route.
	RouteDead Reason = "route-dead"
	// InterfaceUnlisted: the route's interface is not in the listing of addresses.
	InterfaceUnlisted Reason = "interface-unlisted"
	// InterfaceDown: the route's interface is down.
	InterfaceDown Reason = "interface-down"
)

// reasons are the texts of reasons, as words are those of notes.
var reasons = map[Reason]why.Words{
	NotUnderstood: {
		En: `"{word}" is not understood`,
		Zh: "无法识别“{word}”",
	},
	RouteDead: {
		En: "the kernel does not use it: its interface is down",
		Zh: "内核不使用它：它的接口没有启用",
	},
	InterfaceUnlisted: {
		En: "its interface is not in the listing of addresses",
		Zh: "地址列表中没有它的接口",
	},
	InterfaceDown: {
		En: "its interface is down",
		Zh: "它的接口没有启用",
	},
}
