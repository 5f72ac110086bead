// Package why explains what happened to a request: whether its target can be
// reached and, where not, the one thing to blame, the evidence, and the commands
// that mend it. Explain is a pure function of what was seen; seeing it is left
// to package inquire, and drawing the answer to package tui.
//
// What can be to blame is listed in causes.go, an entry each.
package why

import (
	"net/netip"

	"packetwalk/trace"
	"packetwalk/trace/host"
	"packetwalk/trace/ruleset"
)

// Target is what somebody wants to reach.
type Target struct {
	Proto trace.Proto // TCP, UDP, ICMP or ICMPv6
	// Addr has port 0 with ICMP.
	Addr netip.AddrPort
	// HTTP asks for a page over TCP, so that data flows as well.
	HTTP bool
	// Path is what is asked for with HTTP, with its query: it begins with a slash.
	// Empty stands for /.
	Path string
	// Name is what the user called the address; empty where that was the address.
	Name string
}

// Question is what is asked: can the target be reached from there?
type Question struct {
	Target Target
	// From is the node that the request comes from; empty where it is not known
	// (a request that was waited for).
	From string
	// Source and Port are the sender's own; zero leaves them to the kernel.
	Source netip.Addr
	Port   uint16
	// StandIn says that the sender was made for the question, in the place of real
	// ones: what lets it through has to be for their addresses too.
	StandIn bool
}

// Result says what a request brought its sender.
type Result string

// The results.
const (
	// Answered: connected (TCP), a datagram came back (UDP), an echo reply (ICMP),
	// or a page (HTTP).
	Answered Result = "answered"
	// Refused: a TCP reset, or port unreachable.
	Refused Result = "refused"
	// Unreachable: an ICMP error, or the sender's own kernel refused; see Attempt.Err.
	Unreachable Result = "unreachable"
	// Silent: nothing came back in time.
	Silent Result = "silent"
	// Stalled: the TCP connection came about, and then no data came through.
	Stalled Result = "stalled"
)

// Attempt is one request and what came of it.
type Attempt struct {
	Result Result
	// Err is the sender's errno by its name (EHOSTUNREACH, ENETUNREACH, EACCES …)
	// where there is one.
	Err string
	// Local is the sender's own address; invalid where nothing was sent.
	Local netip.AddrPort
	// Status is the code that an HTTP server answered with (RFC 9110, section 15),
	// and Body how many bytes of the page were read; both are 0 where no page came.
	Status, Body int
	// Cut says that the page may be longer.
	Cut bool
	// Walks are those of the request's connection in both directions, and of the
	// errors that answer it, in the order in which they began. Empty where
	// nothing was sent, or nothing seen.
	Walks []trace.Walk
}

// Variants are the rulesets of a node, by the implementation of iptables that
// holds them, for the address family in question, without probes.
type Variants = map[trace.Variant]ruleset.Ruleset

// Drop is the kernel's own word on a packet that it dropped (skb:kfree_skb).
type Drop struct {
	Node string // empty where that cannot be told
	// Reason is the kernel's name without SKB_DROP_REASON_: "IP_RPFILTER".
	Reason string
	// Location is the kernel function.
	Location string
}

// Evidence is everything that an explanation is made of.
type Evidence struct {
	Question Question
	Attempt  Attempt
	// Hosts are the nodes as they were right behind the attempt, by name. A node
	// that is missing could not be looked at.
	Hosts map[string]host.State
	Rules map[string]Variants
	// Default is the variant that a node's iptables command is.
	Default map[string]trace.Variant
	Drops   []Drop
	// Deaf is why the kernel could not be asked about its drops; empty where it was.
	Deaf string
	// DropsLost says that it dropped more at once than was read, so Drops may have holes.
	DropsLost bool
	// Published are the ports that Docker says it has published; nil where no
	// daemon was asked.
	Published []Publication
	// Lost counts the trace's events that were lost: with any, walks may have holes.
	Lost uint64
}

// Publication is a port that Docker publishes.
type Publication struct {
	Container string
	Proto     trace.Proto
	Host      netip.AddrPort // unspecified address: all
	Inside    netip.AddrPort
}

// Name names a cause. The names are documented in docs/causes.md.
type Name string

// Kind says what sort of thing a culprit is.
type Kind string

// The kinds.
const (
	Rule       Kind = "rule"
	Policy     Kind = "policy"
	Chain      Kind = "chain" // rules that are missing in it
	NativeRule Kind = "nft-rule"
	Route      Kind = "route"
	Choice     Kind = "policy-rule" // of ip-rule(8)
	Sysctl     Kind = "sysctl"
	Socket     Kind = "socket"
	Neighbor   Kind = "neighbor"
	Link       Kind = "link"
	Connection Kind = "connection"
)

// Culprit is the one thing to blame.
type Culprit struct {
	Kind Kind   `json:"kind"`
	Node string `json:"node,omitempty"`
	// Of rules, policies and chains; see trace.Step.
	Variant string      `json:"variant,omitempty"`
	Table   trace.Table `json:"table,omitempty"`
	Chain   string      `json:"chain,omitempty"`
	Rule    int         `json:"rule,omitempty"`
	// Handle of an nft rule.
	Handle uint64 `json:"handle,omitempty"`
	// Text is the thing in its own tool's words: the rule as iptables-save has it,
	// "blackhole 172.17.0.0/16" as ip-route(8), "net.ipv4.ip_forward = 0" as
	// sysctl(8), "tcp 127.0.0.1:80" for a socket, "eth0" for a link. Of a chain of
	// iptables it is what is missing there: "no rule for tcp port 81".
	Text string `json:"text"`
}

// Fix is what mends it.
type Fix struct {
	Node string
	// Commands are as one would type them in the node, in order. Empty where no
	// command can mend it.
	Commands []string
}

// FactKind names a kind of Fact.
type FactKind string

// Fact is a piece of evidence, or something that could not be seen. Its words
// are in facts.go.
type Fact struct {
	Kind   FactKind
	Values Values
	// Walk and Step point into the walks of the attempt: the walk's ID, and the
	// index of the step; Walk 0 for none, Step -1 for the whole walk.
	Walk, Step int
}

// Values fill the braces of a text in: {node}, {rule} …
type Values map[string]string

// Answer is the explanation.
type Answer struct {
	Question  Question
	Reachable bool
	// Cause is empty where the target is reachable.
	Cause Name
	// Culprit is nil where there is none to name.
	Culprit *Culprit
	// Values fill in the texts of the cause.
	Values   Values
	Evidence []Fact
	Fix      Fix
	// Unseen is what could not be seen and would have helped, and how it can be shown.
	Unseen []Fact
	// Attempt is what the answer is about, its walks included.
	Attempt Attempt
}
