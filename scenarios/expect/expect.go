// Package expect holds what is expected of walks to the walks that there were.
// It is pure: sending requests and gathering walks is left to package play, and
// saying a result in words to package tui.
package expect

import (
	"packetwalk/lab"
	"packetwalk/scenarios"
	"packetwalk/trace"
)

// Evidence is what happened: the walks that came to their end, and what each
// request brought.
type Evidence struct {
	Topology lab.Topology
	Walks    []trace.Walk
	Answers  map[string]Answer // by client; those that were sent
}

// Answer is what a request brought.
type Answer struct {
	Response lab.Response
	Err      error // why there was no answer; nil where there was one
}

// Result says whether an expectation holds.
type Result struct {
	Expectation scenarios.Expectation
	Holds       bool
	// Fault is the first thing that does not hold; empty where all does.
	Fault Fault
	// Walk is the ID of the walk that decided, 0 where none did.
	Walk int
}

// Fault names what kept an expectation from holding.
type Fault string

// The faults.
const (
	NoPacket     Fault = "no-packet"   // no such packet was seen
	SeenPacket   Fault = "seen-packet" // such a packet was seen, and must not be
	NoAnswer     Fault = "no-answer"   // the request had no answer
	HasAnswer    Fault = "has-answer"  // the request had an answer, and must not have one
	WrongOutcome Fault = "outcome"     // the walk ended otherwise
	WrongNode    Fault = "node"        // it ended in another node
	WrongEnd     Fault = "end"         // another step ended it
	NotThrough   Fault = "through"     // a step is missing, or out of order
	NotAvoided   Fault = "avoids"      // it made a step that it must not make
	WrongAddress Fault = "address"     // it ended with other addresses
)
