package lab

import (
	"net/netip"
	"time"
)

// Options are the choices of a build that are not part of the topology.
type Options struct {
	// Iptables chooses the variant of iptables: "nft", "legacy" or, empty,
	// whatever the system calls iptables.
	Iptables string
	// Hidden says of a rule, as iptables-save writes it, whether it belongs to
	// somebody who only watches, such as a tracer: such rules are no part of the
	// lab's state. Nil where there are none.
	Hidden func(rule string) bool
}

// Commands are the names of the iptables programs of one variant.
type Commands struct {
	Iptables, Save, Restore    string // IPv4
	Iptables6, Save6, Restore6 string // IPv6
}

// Command names the programs of a variant: "nft", "legacy" or, empty, those
// without a variant in their name.
func Command(variant string) Commands {
	if variant != "" {
		variant = "-" + variant
	}
	v4, v6 := "iptables"+variant, "ip6tables"+variant
	return Commands{
		Iptables: v4, Save: v4 + "-save", Restore: v4 + "-restore",
		Iptables6: v6, Save6: v6 + "-save", Restore6: v6 + "-restore",
	}
}

// Variants lists the variants that Options and Command know.
func Variants() []string { return []string{"", "nft", "legacy"} }

// Response is what a client got.
type Response struct {
	// Status is the HTTP status code; 0 for the other protocols.
	Status int
	// Body is the answer's content: the HTTP body, up to MaxBody, or what an echo
	// sent back.
	Body []byte
	// Local and Remote are the two ends as the client saw them; the ports are
	// 0 for a ping.
	Local, Remote netip.AddrPort
	// RTT is the time from the first packet to the end of the answer.
	RTT time.Duration
}

// MaxBody is as much of an HTTP answer as a client keeps, in bytes.
const MaxBody = 1 << 20

// DefaultTimeout is how long a client waits where its context has no deadline.
const DefaultTimeout = 5 * time.Second
