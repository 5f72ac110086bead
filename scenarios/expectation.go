package scenarios

import (
	"net/netip"

	"packetwalk/lab"
	"packetwalk/trace"
)

// Expectation is a statement about walks. Every field that is set must hold of
// the packets that it is about.
type Expectation struct {
	// Text says it to the user; where it is empty, the program finds words.
	Text Text
	// Request names the client whose packets are meant.
	Request string
	// From, To and Protocol choose packets of other origin, where Request is
	// empty: by the node that sends them, the address that they are sent to
	// (port 0: any), and what they speak. Each may be missing.
	From     string
	To       netip.AddrPort
	Protocol lab.Protocol
	Packet   Which
	// Answered says whether the request must have, or must not have, an answer;
	// nil where it does not matter.
	Answered *bool
	Outcome  trace.Outcome
	// At is the node in which the walk ends, End the step that ended it.
	At  string
	End *Place
	// Through lists steps that the walk makes, in this order; Avoids steps that
	// it does not make.
	Through, Avoids []Place
	// Src and Dst are the packet's addresses at its end (port 0: any).
	Src, Dst netip.AddrPort
}

// Which of the chosen packets an expectation is about.
type Which string

// The values of Which.
const (
	First Which = "first" // the one that was seen first; what an empty Which means
	Reply Which = "reply" // the first that came back
	Every Which = "every" // all of them, in both directions
	None  Which = "none"  // no such packet may be seen; only with From, To, Protocol, Through
)

// Place describes a step of a walk: every field that is set must agree.
type Place struct {
	Node  string
	Hook  string
	Table trace.Table
	Chain string
	// Rule counts from 1; 0 for any.
	Rule    int
	Policy  bool // the step must be a policy
	Verdict trace.Verdict
	Target  string
	In, Out string
	State   trace.CTState
	// Src and Dst are the addresses after the step (port 0: any).
	Src, Dst netip.AddrPort
}
