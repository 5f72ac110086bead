package trace

import (
	"net/netip"
	"slices"
	"time"
)

// Step is one station of a walk: a chain entered, a rule matched, a policy
// applied, or an address rewritten by connection tracking.
type Step struct {
	Node  string // the network namespace, by its name in the lab
	Hook  Hook
	Table Table
	// Variant says which implementation of iptables holds the table: a machine
	// can have rules in both. It has no meaning on the steps of connection tracking.
	Variant Variant
	// Chain is empty on the steps of connection tracking.
	Chain string
	// Rule counts from 1, as iptables -L --line-numbers does without probes.
	// 0 is the chain itself: entering it or, with Policy, its policy.
	Rule int
	// Text is the rule as iptables-save writes it; empty where Rule is 0.
	Text    string
	Verdict Verdict
	// Target is the chain that a JUMP or GOTO leads to, or the name of the
	// target (LOG, MARK, …) behind a CONTINUE.
	Target string
	// Policy says that the base chain's policy gave the verdict.
	Policy bool
	// In and Out are the interfaces the packet came in by and will leave by,
	// PhysIn and PhysOut the ports of a bridge behind them. Empty where there is none.
	In, Out, PhysIn, PhysOut string
	// Src and Dst are the addresses after the step. The port is 0 for
	// protocols that have none.
	Src, Dst netip.AddrPort
	// Unseen says that the step rewrites an address and that nothing shows what
	// it is afterwards: Src and Dst are those before it.
	Unseen  bool
	CTState CTState
	// Time is the kernel's own stamp where it gives one (PREROUTING, INPUT and
	// FORWARD), else the moment the event was read, never later than the next step's.
	Time time.Time
	// Remembered names what connection tracking applied again: the rule that
	// set the translation up. Nil on every step that is no conntrack step.
	Remembered *Remembered
}

// Remembered is the rule that a later packet's address rewriting goes back to.
type Remembered struct {
	Walk  int // the walk in which the rule matched
	Node  string
	Table Table
	Chain string
	Rule  int
	// Undone says that the packet is a reply: the rewriting was turned back.
	Undone bool
}

// Outcome says how a walk ended.
type Outcome string

// The outcomes.
const (
	Delivered  Outcome = "delivered"  // passed INPUT of a node
	Forwarded  Outcome = "forwarded"  // left by an interface whose other end is not traced
	Dropped    Outcome = "dropped"    // a rule or a policy dropped it
	Rejected   Outcome = "rejected"   // a rule answered it with an error
	Lost       Outcome = "lost"       // stopped outside iptables
	Unfinished Outcome = "unfinished" // the trace ended before the walk did
)

// Walk is the way of one packet through every node it crossed. It is one walk
// however often NAT rewrote the packet.
type Walk struct {
	ID int // counts from 1, in order of first appearance
	// Flow numbers the connection: walks with the same Flow belong together.
	Flow      int
	Direction Direction
	// Packet is the packet as it was first seen.
	Packet Packet
	Steps  []Step
	// Answers is the ID of the walk whose packet this one refuses, a TCP reset
	// or an ICMP error; 0 for every other packet, and where it was not seen.
	Answers int
	// Outcome is empty while the packet is still on its way.
	Outcome Outcome
	// End is the index in Steps of the step that decided the outcome, -1
	// while there is none.
	End int
	// Names holds what is known to be behind addresses of the walk, such as the
	// names of containers. They are not ours, and may hold anything.
	Names map[netip.Addr]string
}

// Addresses lists the addresses that the packet had on its walk, each once.
func (w Walk) Addresses() []netip.Addr {
	all := []netip.Addr{w.Packet.Src.Addr(), w.Packet.Dst.Addr()}
	for _, s := range w.Steps {
		all = append(all, s.Src.Addr(), s.Dst.Addr())
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// Done says whether the walk has come to its end.
func (w Walk) Done() bool { return w.Outcome != "" }

// EndStep is the step that decided the outcome.
func (w Walk) EndStep() (Step, bool) {
	if w.End < 0 || w.End >= len(w.Steps) {
		return Step{}, false
	}
	return w.Steps[w.End], true
}
