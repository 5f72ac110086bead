package trace

// Verdict says what a rule, or the end of a chain, did with the packet. Beside
// the constants it can be any target's own name (DNAT, MASQUERADE, REJECT, …).
type Verdict string

// The verdicts that decide where a packet goes next.
const (
	// Continue: the chain was entered, or the target lets the packet go on.
	Continue Verdict = "CONTINUE"
	Jump     Verdict = "JUMP"
	Goto     Verdict = "GOTO"
	Return   Verdict = "RETURN"
	Accept   Verdict = "ACCEPT"
	Drop     Verdict = "DROP"
	Reject   Verdict = "REJECT"
)

// Reached: the packet came to the rule and went on behind it, and whether it
// matched is not known. The rule's target lets a packet go on whether or not
// its matches, which must not run twice, hold, and the kernel could not be
// asked.
const Reached Verdict = "REACHED"

// The targets that rewrite an address or a port.
const (
	DNAT       Verdict = "DNAT"
	SNAT       Verdict = "SNAT"
	Masquerade Verdict = "MASQUERADE"
	Redirect   Verdict = "REDIRECT"
	Netmap     Verdict = "NETMAP"
)

// RewritesSource says whether the target sets up source NAT. NETMAP does so in
// the chains on the way out, destination NAT in those on the way in.
func (v Verdict) RewritesSource(h Hook) bool {
	switch v {
	case SNAT, Masquerade:
		return true
	case Netmap:
		return h == Input || h == Postrouting
	}
	return false
}

// Rewrites says whether the target sets up address translation of any kind.
func (v Verdict) Rewrites() bool {
	switch v {
	case DNAT, SNAT, Masquerade, Redirect, Netmap:
		return true
	}
	return false
}

// Leaves says whether a packet that meets the target never comes to the next
// rule before it has entered another chain (iptables-extensions(8); of NFQUEUE
// and TPROXY net/netfilter/xt_NFQUEUE.c and xt_TPROXY.c).
func (v Verdict) Leaves() bool {
	switch v {
	case Jump, Goto, Return, Accept, Drop, Reject, "NFQUEUE", "QUEUE", "TPROXY":
		return true
	}
	return v.Rewrites()
}

// CTState is the state that connection tracking gives a packet, in the words
// of the conntrack match (iptables-extensions(8)). Empty means not known.
type CTState string

// The states of the conntrack match.
const (
	New         CTState = "NEW"
	Established CTState = "ESTABLISHED"
	Related     CTState = "RELATED"
	Invalid     CTState = "INVALID"
	Untracked   CTState = "UNTRACKED"
)

// Direction is a packet's direction within its connection: that of the packet
// which opened it, or the other. Empty means not known.
type Direction string

// The two directions of conntrack.
const (
	Original Direction = "original"
	Reply    Direction = "reply"
)
