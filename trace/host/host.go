// Package host is what a host looks like to a packet, apart from its iptables
// rules: links, routes, neighbours, sockets, sysctls, tracked connections,
// native nft chains. Its values are pure and comparable with cmp; Read fills
// them in on Linux. What they mean for a packet is left to package why.
package host

import (
	"net/netip"
	"time"

	"packetwalk/trace"
)

// State is a network namespace at one moment.
type State struct {
	// Node is the name of the namespace, as in trace.Step.
	Node      string
	Links     []Link
	Routes    []Route
	Choices   []Choice
	Neighbors []Neighbor
	Sockets   []Socket
	// Sysctls holds settings below /proc/sys by their dotted names, among them
	// those of every interface ("net.ipv4.conf.eth0.rp_filter"). What this kernel
	// does not have is missing.
	Sysctls     map[string]string
	Connections []Connection
	// Native are the nf_tables chains that hook in and are not those of iptables.
	Native []NativeChain
	// Unseen says what could not be read, by the part's name, and why.
	Unseen map[Part]string
	// Look asks the kernel which way packets would take; nil where it cannot be asked.
	Look Looker `json:"-"`
}

// Part names a part of a State.
type Part string

// The parts.
const (
	Links       Part = "links"
	Routes      Part = "routes"
	Choices     Part = "policy rules"
	Neighbors   Part = "neighbors"
	Sockets     Part = "sockets"
	Sysctls     Part = "sysctls"
	Connections Part = "connections"
	Native      Part = "native nft chains"
)

// Link is an interface.
type Link struct {
	Name  string
	Index int
	// Kind is what the kernel calls it: "bridge", "veth", "loopback", "device" …
	Kind string
	// Up is the administrative state (IFF_UP); Carrier says that somebody is at
	// the other end (IFF_LOWER_UP).
	Up, Carrier bool
	MTU         int // in bytes
	MAC         string
	Addresses   []netip.Prefix
	// Bridge is the bridge whose port the link is; empty for none. Isolated and
	// Hairpin are settings of such a port; State is its STP state ("forwarding",
	// "disabled", "blocking" …).
	Bridge            string
	Isolated, Hairpin bool
	State             string
	// Peer is the other end of a veth pair; zero where that lies in no namespace
	// that was looked at.
	Peer Port
	// VLANFiltering of a bridge.
	VLANFiltering bool
}

// Port is an interface of a node.
type Port struct{ Node, Interface string }

// RouteType says what a route does with a packet (rtnetlink(7), rtm_type).
type RouteType string

// The types of route that matter to unicast packets.
const (
	Unicast     RouteType = "unicast"
	Local       RouteType = "local"
	Broadcast   RouteType = "broadcast"
	Blackhole   RouteType = "blackhole"
	Unreachable RouteType = "unreachable"
	Prohibit    RouteType = "prohibit"
	Throw       RouteType = "throw"
)

// Route is an entry of a routing table, those of the local table included.
type Route struct {
	Family trace.Family
	Table  int // 254 main, 255 local
	Type   RouteType
	// Destination has length 0 for the default route.
	Destination netip.Prefix
	Via         netip.Addr // zero: directly connected
	Interface   string
	// Source is the address that the host's own packets get; zero where none is set.
	Source  netip.Addr
	Metric  int
	Scope   string // "global", "link", "host"
	OnLink  bool
	Dead    bool      // the kernel does not use it: link down
	Kernel  bool      // made by the kernel, with an address
	NextHop []NextHop // of a route with several
	MTU     int       // of the route; 0 for none
}

// NextHop is one of several gateways of a route.
type NextHop struct {
	Via       netip.Addr // zero: directly connected
	Interface string
}

// Choice is a rule of ip-rule(8), which chooses a routing table.
type Choice struct {
	Family   trace.Family
	Priority int
	// Source and Destination are zero for any.
	Source, Destination netip.Prefix
	In, Out             string
	// Mark and Mask; Mask 0 for no condition.
	Mark, Mask uint32
	// Protocol and ports, 0 for any.
	Protocol         trace.Proto
	SourcePort, Port uint16
	Table            int
	// Type is Unicast where the rule sends to a table, else what it does; empty
	// for one that jumps to another (Goto, by its priority) or does nothing.
	Type RouteType
	Goto int
	Not  bool
	// More says that the rule has conditions that are not held here: TOS, a range
	// of ports, a user, a tunnel, a VRF, a suppressor.
	More bool
}

// Neighbor is an entry of the neighbour table (ARP, NDP).
type Neighbor struct {
	Addr      netip.Addr
	Interface string
	// State is the kernel's: "reachable", "stale", "failed", "incomplete",
	// "permanent", "noarp", "delay", "probe".
	State string
	MAC   string
}

// Socket is one that can take packets in: a listening TCP socket, or a UDP
// socket without a peer.
type Socket struct {
	Proto trace.Proto
	// Local is what it is bound to; an unspecified address is every address.
	Local netip.AddrPort
	// Only6 says that an IPv6 socket takes no IPv4 (IPV6_V6ONLY).
	Only6 bool
	// Interface it is bound to (SO_BINDTODEVICE); empty for any.
	Interface string
	// Backlog is full where Queued exceeds Limit; both 0 for UDP.
	Queued, Limit int
	// Process is the program's name where that can be seen.
	Process string
	PID     int
}

// Takes says whether a packet of the protocol to an address of this host finds
// the socket.
func (s Socket) Takes(proto trace.Proto, to netip.AddrPort) bool {
	if s.Proto != proto || s.Local.Port() != to.Port() {
		return false
	}
	a, want := s.Local.Addr(), to.Addr().Unmap()
	switch {
	case a.Unmap() == want:
		return true
	case !a.IsUnspecified():
		return false
	case a.Is4():
		return want.Is4()
	}
	return want.Is6() || !s.Only6
}

// Connection is an entry of the connection tracking table.
type Connection struct {
	Proto trace.Proto
	// Original are the addresses as the first packet came, Reply those that its
	// answer is expected with.
	Original, Reply Tuple
	// State is that of TCP by the kernel's name (SYN_SENT, ESTABLISHED …); empty
	// with other protocols.
	State string
	// Unreplied says that nothing has come back.
	Unreplied bool
	Timeout   time.Duration
	Mark      uint32
}

// Tuple is a pair of addresses.
type Tuple struct{ Src, Dst netip.AddrPort }

// NativeChain is a base chain of nf_tables that iptables does not show.
type NativeChain struct {
	// Family is nft's: "ip", "ip6", "inet", "bridge", "netdev".
	Family, Table, Name string
	Hook                string // nft's word: "prerouting", "ingress" …
	// Devices are those that the chain is for; none where it is for all.
	Devices  []string
	Priority int
	Policy   trace.Verdict // ACCEPT or DROP
	// Drops says that a packet can end here: by the policy, or by a rule of the
	// chain or of one that it jumps to.
	Drops bool
	// Rules are those that can drop, reject, or hand the packet to a program that
	// may not be there, of this chain and those it leads to.
	Rules []NativeRule
}

// NativeRule is a rule of nf_tables.
type NativeRule struct {
	Chain  string
	Handle uint64
	// Text is the rule as nft prints it, where nft is installed.
	Text string
}

// Looker asks for the kernel's own decision.
type Looker interface {
	// Route is the way that a packet would take (ip-route(8), route get).
	Route(Query) Decision
}

// Query is a packet for which a way is looked for. The kernel is not told of its
// protocol and ports, so a Choice that asks for those does not apply.
type Query struct {
	// Src may be left out for the host's own packets. Otherwise it must be an
	// address of the host: the kernel says ENETUNREACH for any other.
	Src, Dst netip.Addr
	// In is the interface by which it came; empty for the host's own packets.
	In   string
	Mark uint32
}

// Decision is the kernel's.
type Decision struct {
	Type      RouteType
	Interface string
	Via       netip.Addr
	// Table is 254 (main) also for routes of the local table, as long as the host
	// has never had an IPv4 rule of its own: the kernel searches both as one.
	Table int
	// Err is the errno's name where the kernel refuses:
	//   - ENETUNREACH: no route; or, of the host's own packets, a source that is
	//     not an address of the host.
	//   - EHOSTUNREACH: a route of type unreachable; or, of an IPv4 packet that
	//     came in, that it would have to be forwarded and forwarding is off.
	//   - EACCES: a route of type prohibit, or such a Choice.
	//   - EINVAL: a route of type blackhole; of an IPv4 packet that came in, also a
	//     martian source or destination; and, with newer kernels (seen with Linux
	//     6.18), one that the reverse path filter refuses.
	//   - EXDEV: the reverse path filter, with older kernels.
	//   - ENODEV: there is no such interface.
	//
	// With IPv6, martian addresses and the lack of forwarding are not looked at:
	// the kernel answers as if all was well.
	Err string
}

// Link finds an interface by name.
func (s State) Link(name string) (Link, bool) {
	for _, l := range s.Links {
		if l.Name == name {
			return l, true
		}
	}
	return Link{}, false
}

// Owns says whether an address is one of the host's own.
func (s State) Owns(a netip.Addr) bool {
	for _, l := range s.Links {
		for _, p := range l.Addresses {
			if p.Addr() == a {
				return true
			}
		}
	}
	return a.IsLoopback()
}
