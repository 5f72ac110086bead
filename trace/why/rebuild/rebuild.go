// Package rebuild makes a lab of what somebody mailed of a host: its
// iptables-save and, where there are, the listings of ip-address(8) and
// ip-route(8). New is pure: it reads the texts, assumes what they leave open, and
// says what it assumed and what it had to leave out. Build makes the result live,
// and leaves out the rules that iptables here refuses. Asking the question and
// explaining the answer is left to packages inquire and why.
package rebuild

import (
	"fmt"
	"net/netip"

	"packetwalk/lab"
	"packetwalk/trace"
	"packetwalk/trace/why"
)

// File is a text and what it is called in errors and notes.
type File struct{ Name, Text string }

// given says whether there is such a file.
func (f File) given() bool { return f != File{} }

// Mail is what somebody sent of a host.
type Mail struct {
	// Ruleset is what iptables-save or ip6tables-save printed, or both, one after
	// the other.
	Ruleset File
	// Addresses is what ip-address(8) printed: as it is, with -br, -o, -d or -j.
	// Zero where it was not sent.
	Addresses File
	// Routes is what ip-route(8) printed, as it is or with -j, of the main table or
	// of all; the listing of ip-rule(8) may follow. Zero where it was not sent.
	Routes File
}

// Request is what would be asked of the host.
type Request struct {
	// From is the sender's address.
	From   netip.Addr
	Target why.Target
}

// Plan is a host rebuilt, with everything around it that the request needs.
type Plan struct {
	Topology lab.Topology
	// Host is the node that stands for the host, From the one to ask from.
	Host, From string
	// Source is the address that the request has to come from: one of From's.
	Source netip.Addr
	// Commands run in nodes once the lab is built, in their order: what no
	// topology can say.
	Commands []Command
	// Variant is the implementation of iptables that the ruleset was saved from;
	// "nft" or "legacy", as lab.Options has it; empty where the text does not tell.
	// Choose makes it the other one where that does not work here.
	Variant string
	// Notes are what was assumed and what was left out, in the order in which it came up.
	Notes []Note

	rules listing
}

// Command is a command line for a node.
type Command struct {
	Node, Line string
	// File and Number say where it comes from; see Note.
	File   string
	Number int
}

// New plans the lab for a request. The error is a *FileError where a text cannot
// be used, or a *RequestError where the request does not fit the host.
func New(m Mail, r Request) (Plan, error) {
	if err := r.check(); err != nil {
		return Plan{}, err
	}
	h := machine{request: r}
	var err error
	if h.rules, err = readRuleset(m.Ruleset, &h.notes); err != nil {
		return Plan{}, err
	}
	if err := h.read(m); err != nil {
		return Plan{}, err
	}
	b := builder{machine: &h}
	if err := b.build(); err != nil {
		return Plan{}, err
	}
	if err := b.topology.Validate(); err != nil {
		return Plan{}, fmt.Errorf("planning the lab: %w", err)
	}
	return Plan{
		Topology: b.topology, Host: hostNode, From: b.from, Source: b.source, Commands: b.commands,
		Variant: h.rules.variant, Notes: h.notes.all, rules: h.rules,
	}, nil
}

// RequestError says why a request cannot be asked of the host.
type RequestError struct{ Problem string }

func (e *RequestError) Error() string { return e.Problem }

func (r Request) check() error {
	fail := func(format string, args ...any) error { return &RequestError{fmt.Sprintf(format, args...)} }
	to := r.Target.Addr
	switch {
	case !to.Addr().IsValid():
		return fail("the target needs an IP address: the name of a container says nothing about a mailed host")
	case !r.From.IsValid():
		return fail("with a mailed ruleset the sender's address has to be said: --from ADDRESS")
	case r.From.Is4() != to.Addr().Is4():
		return fail("the sender %s and the target %s are of different IP versions", r.From, to.Addr())
	case r.From.IsUnspecified() || r.From.IsMulticast() || r.From.Is4In6() || r.From.Zone() != "":
		return fail("%s is no address of a sender", r.From)
	case to.Addr().IsUnspecified() || to.Addr().IsMulticast() || to.Addr().Is4In6() || to.Addr().Zone() != "":
		return fail("%s is no address of one machine", to.Addr())
	case r.Target.Proto != trace.TCP && r.Target.Proto != trace.UDP && r.Target.Proto != trace.ICMP && r.Target.Proto != trace.ICMPv6:
		return fail("a target is asked by tcp, udp or icmp, not by protocol %s", r.Target.Proto)
	case r.hasPort() && to.Port() == 0:
		return fail("the target needs a port: %s:80", to.Addr())
	}
	return nil
}

func (r Request) hasPort() bool { return r.Target.Proto == trace.TCP || r.Target.Proto == trace.UDP }

// family is the IP version of the request.
func (r Request) family() trace.Family { return trace.FamilyOf(r.From) }
