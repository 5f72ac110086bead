// Package lab turns a description of a small network into live network
// namespaces, in a sandbox that never touches the machine's own network, and
// runs services and clients in it. What the rules of the network do to a packet
// is left to package trace and those below it.
package lab

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Topology describes a lab: the declarative side, comparable and without a
// running part. Build makes it live.
type Topology struct {
	Nodes []Node
	// Links are the veth pairs.
	Links []Link
	// Services run from the end of the build to the end of the lab.
	Services []Service
	// Clients are the requests that can be sent, by name.
	Clients []Client
}

// Node is a network namespace: a host, a container or a client machine.
type Node struct {
	Name string
	Kind NodeKind
	// LoopbackDown leaves lo down, as the kernel makes it.
	LoopbackDown bool
	// Bridges are made before the links are joined to them.
	Bridges []Bridge
	// Devices are the interfaces that are neither bridges nor ends of links: of a
	// lab to be built, lo at most.
	Devices []Device
	Routes  []Route
	// Sysctls are set before the links come up, in the given order.
	Sysctls []Sysctl
	// Ruleset is loaded before Rules are run.
	Ruleset Ruleset
	// Rules are iptables commands as one would type them, run in the given
	// order: "iptables -t nat -N DOCKER".
	Rules []string
}

// NodeKind says what a node stands for. It changes how a node is drawn, not how it works.
type NodeKind string

// The kinds of node.
const (
	Host      NodeKind = "host"
	Container NodeKind = "container"
	Machine   NodeKind = "machine"
)

// Bridge is a bridge device with the addresses of the node on it.
type Bridge struct {
	Name      string
	Addresses []netip.Prefix
	// Down leaves the bridge down.
	Down bool
	// MTU is in bytes; 0 for the kernel's default, 1500.
	MTU int
}

// Device is an interface that leads to no other node, such as somebody may have
// made in a live lab: a dummy, an end of a veth pair whose other end is outside
// of the lab, or lo with addresses of its own. A lab can be built with lo only; the
// others are observed.
type Device struct {
	Name string
	// Kind is what the kernel calls it: "dummy", "veth", "loopback".
	Kind      string
	Addresses []netip.Prefix
	Bridge    string // see End
	Down      bool
	MTU       int // in bytes; 0 for 1500
}

// Link is a veth pair.
type Link struct {
	Ends [2]End
}

// End is one end of a veth pair.
type End struct {
	Node      string
	Interface string
	Addresses []netip.Prefix
	// Bridge is the bridge, on the same node, whose port this end is. Empty for none.
	Bridge string
	// Down leaves the end down; then the other one has no carrier.
	Down bool
	// MTU is in bytes; 0 for the kernel's default, 1500.
	MTU int
}

// Route is an IP route. A zero Destination is the default route.
type Route struct {
	Destination netip.Prefix
	Via         netip.Addr // the zero Addr: directly connected
	Interface   string     // may be empty where Via tells it
}

// Sysctl is a setting below /proc/sys/net, by its dotted name.
type Sysctl struct {
	Name  string
	Value string
}

// Protocol is what a service speaks or a client asks with.
type Protocol string

// The protocols of services and clients.
const (
	HTTP    Protocol = "http"
	TCPEcho Protocol = "tcp"
	UDPEcho Protocol = "udp"
	Ping    Protocol = "ping" // clients only
)

// Service is a server bound inside a node.
type Service struct {
	Node     string
	Protocol Protocol
	// Listen is the address to bind; an unspecified address is every address of the node.
	Listen netip.AddrPort
	// Reply is the body that an HTTP server answers with.
	Reply string
}

// Client is a request that can be sent from a node.
type Client struct {
	Name     string
	Node     string
	Protocol Protocol
	// To is the address to ask; the port is 0 for a ping.
	To netip.AddrPort
	// Path is what an HTTP client asks for, with the query if there is one, as it
	// stands in a request (RFC 9112, section 3.2.1): it begins with a slash, and has
	// no white space or control characters. Empty stands for /.
	Path string
	// From is the client's own port; 0 leaves it to the kernel. A ping has none.
	// With TCPEcho the client closes first, and the kernel holds the port back
	// for a minute then (TIME_WAIT); the other protocols can send again at once.
	From uint16
	// Source is the client's own address; zero leaves it to the kernel.
	Source netip.Addr
	// Wait is how long the client waits for an answer, up to MaxWait; 0 stands
	// for DefaultTimeout.
	Wait time.Duration
}

// MaxWait is the longest that a client may wait for its answer.
const MaxWait = time.Minute

// Command is what one would type to send the same request by hand.
func (c Client) Command() string {
	addr, port := c.To.Addr().String(), strconv.Itoa(int(c.To.Port()))
	from := func(option string) string {
		if c.From == 0 {
			return ""
		}
		return option + " " + strconv.Itoa(int(c.From)) + " "
	}
	switch c.Protocol {
	case HTTP:
		host := c.To.String()
		if c.To.Port() == 80 {
			host = strings.TrimSuffix(host, ":80")
		}
		return "curl " + from("--local-port") + quoteURL("http://"+host+c.path())
	case TCPEcho:
		return "nc -z " + from("-p") + addr + " " + port
	case UDPEcho:
		return "nc -u " + from("-p") + addr + " " + port
	}
	return "ping -c 1 " + addr
}

// path is Path with its default.
func (c Client) path() string { return cmp.Or(c.Path, "/") }

// pathFault is what is wrong with a client's path; empty where nothing is.
func (c Client) pathFault() string {
	switch {
	case c.Path == "":
		return ""
	case c.Protocol != HTTP:
		return "only an http client asks for a path"
	case !strings.HasPrefix(c.Path, "/"):
		return fmt.Sprintf("the path %q does not begin with a slash", c.Path)
	case strings.ContainsFunc(c.Path, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return fmt.Sprintf("the path %q has white space or control characters in it", c.Path)
	}
	return ""
}

// quoteURL quotes a URL for a shell where it has characters that mean something there.
func quoteURL(url string) string {
	if !strings.ContainsAny(url, "'\"`\\$&;|<>()*?#!~{}") {
		return url
	}
	return "'" + strings.ReplaceAll(url, "'", "%27") + "'"
}

// Node finds a node by name.
func (t Topology) Node(name string) (Node, bool) {
	for _, n := range t.Nodes {
		if n.Name == name {
			return n, true
		}
	}
	return Node{}, false
}

// HasIPv6 says whether an interface has an IPv6 address or a client asks one.
func (t Topology) HasIPv6() bool {
	is6 := func(p netip.Prefix) bool { return p.Addr().Is6() }
	for _, n := range t.Nodes {
		for _, i := range t.Interfaces(n.Name) {
			if slices.ContainsFunc(i.Addresses, is6) {
				return true
			}
		}
	}
	return slices.ContainsFunc(t.Clients, func(c Client) bool { return c.To.Addr().Is6() })
}

// Interfaces lists the interfaces of a node in the order in which they are
// described: bridges first, then other devices, then the ends of links.
func (t Topology) Interfaces(node string) []Interface {
	var ifs []Interface
	n, _ := t.Node(node)
	for _, b := range n.Bridges {
		ifs = append(ifs, Interface{Name: b.Name, Addresses: b.Addresses, IsBridge: true, Down: b.Down, MTU: b.MTU})
	}
	for _, d := range n.Devices {
		ifs = append(ifs, Interface{Name: d.Name, Addresses: d.Addresses, Bridge: d.Bridge, Down: d.Down, MTU: d.MTU})
	}
	for _, l := range t.Links {
		for i, e := range l.Ends {
			if e.Node == node {
				ifs = append(ifs, Interface{
					Name: e.Interface, Addresses: e.Addresses, Bridge: e.Bridge, Peer: l.Ends[1-i], Down: e.Down, MTU: e.MTU,
				})
			}
		}
	}
	return ifs
}

// Interface is one interface of a node as the topology describes it.
type Interface struct {
	Name      string
	Addresses []netip.Prefix
	IsBridge  bool
	Bridge    string // the bridge it is a port of
	Peer      End    // the other end of its veth pair; zero for a bridge or device
	Down      bool
	MTU       int
}
