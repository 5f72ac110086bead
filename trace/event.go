// Package trace holds the words of the field as values: packets, hooks,
// tables, verdicts, events, steps and walks. It has no input or output of its
// own and imports no other package of the project; how events come about and
// how walks are shown is left to the packages around it.
package trace

import "time"

// ProbeKind says what a probe's event means.
type ProbeKind uint8

// The kinds of probe.
const (
	// Enter: the packet entered the chain.
	Enter ProbeKind = iota
	// Match: the packet matched the rule, and the rule's target follows.
	Match
	// Reach and Passed stand before and after a rule whose matches must not
	// run twice: reached but not passed means matched.
	Reach
	Passed
	// End: the packet came to the end of the chain.
	End
	// Ask stands between a Reach probe and its rule, and has the kernel tell
	// what the rule did. It logs nothing: its answer is Matched or Unmatched, an
	// event that comes some time after that of the Reach probe, whatever has
	// come in between, and says of the packet that its rule matched or did not.
	Ask
	Matched
	Unmatched
	// Tally only counts: its events say nothing of a packet's way. See Probe.Counts.
	Tally
)

func (k ProbeKind) String() string {
	return [...]string{"enter", "match", "reach", "passed", "end", "ask", "matched", "unmatched", "tally"}[k]
}

// Probe is a place in a ruleset that reports the packets that come by.
type Probe struct {
	Kind    ProbeKind
	Variant Variant
	Table   Table
	Chain   string
	// Policy is the policy of a base chain; empty in a user-defined chain.
	Policy Verdict
	// Rule and Text are those of the rule that the probe stands at, where it
	// is neither Enter nor End; see Step.
	Rule int
	Text string
	// Verdict and Target are what follows when that rule matches; see Step.
	Verdict Verdict
	Target  string
	// Asked says that an Ask probe stands behind a Reach probe.
	Asked bool
	// Last says that an Enter probe also stands for the chain's end, since the
	// chain has no rules.
	Last bool
	// CTState and Direction are what an Enter probe in the mangle table knows
	// from the conntrack match.
	CTState   CTState
	Direction Direction
	// Counts is what a packet that comes by the probe adds to the number of
	// packets of its namespace: 1 where packets begin, -1 at a Tally of those
	// that began elsewhere before (they came in by the loopback interface), and 0
	// at every other probe.
	Counts int
}

// Base says whether the probe stands in a base chain.
func (p Probe) Base() bool { return p.Policy != "" }

// Begins says whether the event counts a packet that begins its way through the
// namespace: one from the loopback interface has begun in OUTPUT.
func (e Event) Begins() bool {
	return e.Probe.Counts > 0 && !(e.Hook == Prerouting && e.In == Loopback)
}

// Loopback is the name of the loopback interface.
const Loopback = "lo"

// Event is one report of a probe.
type Event struct {
	Node  string
	Probe Probe
	Hook  Hook
	// In, Out, PhysIn and PhysOut are interface names; see Step.
	In, Out, PhysIn, PhysOut string
	Mark                     uint32 // the packet's mark (skb->mark) before the rule
	Packet                   Packet
	// Missed is how many of the namespace's events were lost directly before this one.
	Missed int
	// Time is when the packet was there, by the kernel's clock when
	// KernelTime is set, else when the event was read.
	Time       time.Time
	KernelTime bool
}
