package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// maxInterfaceName is the longest name of an interface: IFNAMSIZ of
// include/uapi/linux/if.h, without the closing zero.
const maxInterfaceName = 15

// Validate reports every fault of the topology that shows without building it.
// The error joins values of type *Fault; see Faults.
func (t Topology) Validate() error {
	v := validator{t: t, interfaces: map[string]map[string]bool{}}
	v.nodes()
	v.links()
	v.routes()
	v.services()
	v.clients()
	return errors.Join(v.faults...)
}

// validator gathers faults; interfaces holds, by node, the names seen so far.
type validator struct {
	t          Topology
	interfaces map[string]map[string]bool
	faults     []error
}

func (v *validator) fault(path, format string, args ...any) {
	v.faults = append(v.faults, &Fault{Path: path, Problem: fmt.Sprintf(format, args...)})
}

func (v *validator) nodes() {
	if len(v.t.Nodes) == 0 {
		v.fault("nodes", "there is no node")
	}
	for i, n := range v.t.Nodes {
		path := fmt.Sprintf("nodes[%d]", i)
		switch {
		case !IsName(n.Name):
			v.fault(path+".name", "%q is no name for a node: letters, digits, '-', '_' and '.' only", n.Name)
		case v.interfaces[n.Name] != nil:
			v.fault(path+".name", "there is a node %s already", n.Name)
		}
		if !slices.Contains([]NodeKind{Host, Container, Machine}, n.Kind) {
			v.fault(path+".kind", "%q is no kind of node: host, container or machine", n.Kind)
		}
		if v.interfaces[n.Name] == nil {
			v.interfaces[n.Name] = map[string]bool{"lo": true}
		}
		for j, b := range n.Bridges {
			v.newInterface(fmt.Sprintf("%s.bridges[%d].name", path, j), n.Name, b.Name)
			v.addresses(fmt.Sprintf("%s.bridges[%d].addresses", path, j), b.Addresses)
		}
		v.devices(path, n)
		v.settings(path, n)
	}
}

// devices checks the interfaces that lead nowhere: of those, only lo is there by
// itself.
func (v *validator) devices(path string, n Node) {
	for i, d := range n.Devices {
		at := fmt.Sprintf("%s.devices[%d]", path, i)
		if d.Name != "lo" || d.Kind != "loopback" || d.Bridge != "" {
			v.fault(at, "%q cannot be made: devices are only observed, apart from lo", d.Name)
		}
		v.addresses(at+".addresses", d.Addresses)
	}
}

// bridge checks the bridge that an interface of a node is a port of, if any.
func (v *validator) bridge(path string, n Node, name string) {
	if name != "" && !slices.ContainsFunc(n.Bridges, func(b Bridge) bool { return b.Name == name }) {
		v.fault(path, "there is no bridge %s on node %s", name, n.Name)
	}
}

// settings checks what a node is set to: its sysctls and rules.
func (v *validator) settings(path string, n Node) {
	for j, s := range n.Sysctls {
		at := fmt.Sprintf("%s.sysctls[%d]", path, j)
		if !s.belongsToNode() {
			v.fault(at, "%q is no sysctl of a network namespace: those begin with net.", s.Name)
		} else if strings.ContainsAny(s.Value, "\n\x00") || s.Value == "" {
			v.fault(at, "%q is no value for a sysctl", s.Value)
		}
	}
	for family, text := range map[string]string{"ipv4": n.Ruleset.IPv4, "ipv6": n.Ruleset.IPv6} {
		if line, problem := restorable(text); problem != "" {
			v.fault(path+".ruleset."+family, "line %d: %s", line, problem)
		}
	}
	for j, r := range n.Rules {
		var bad *CommandError
		if _, err := ParseCommand(r); errors.As(err, &bad) {
			v.fault(fmt.Sprintf("%s.rules[%d]", path, j), "%s", bad.Problem)
		}
	}
}

func (v *validator) links() {
	for i, l := range v.t.Links {
		for j, e := range l.Ends {
			path := fmt.Sprintf("links[%d].ends[%d]", i, j)
			n, ok := v.t.Node(e.Node)
			if !ok {
				v.noNode(path+".node", e.Node)
				continue
			}
			v.newInterface(path+".interface", e.Node, e.Interface)
			v.addresses(path+".addresses", e.Addresses)
			v.bridge(path+".bridge", n, e.Bridge)
		}
	}
}

func (v *validator) routes() {
	for i, n := range v.t.Nodes {
		for j, r := range n.Routes {
			path := fmt.Sprintf("nodes[%d].routes[%d]", i, j)
			switch {
			case !r.Via.IsValid() && r.Interface == "":
				v.fault(path, "a route needs a gateway or an interface")
			case r.Via.IsValid() && !v.onLink(n, r.Via):
				v.fault(path, "the gateway %s is not on any network of this node", r.Via)
			case r.Via.IsValid() && r.Destination.IsValid() && r.Via.Is4() != r.Destination.Addr().Is4():
				v.fault(path, "the gateway %s and the destination %s are of different IP versions", r.Via, r.Destination)
			}
			if r.Interface != "" && !v.interfaces[n.Name][r.Interface] {
				v.fault(path, "there is no interface %s on node %s", r.Interface, n.Name)
			}
			if r.Destination.IsValid() && r.Destination != r.Destination.Masked() {
				v.fault(path, "%s is no network: did you mean %s?", r.Destination, r.Destination.Masked())
			}
		}
	}
}

// onLink says whether an address lies in a network of the node. Link-local
// addresses always do; where an address of the node is faulty, it may.
func (v *validator) onLink(n Node, a netip.Addr) bool {
	if a.Is6() && a.IsLinkLocalUnicast() {
		return true
	}
	for _, i := range v.t.Interfaces(n.Name) {
		for _, p := range i.Addresses {
			if p.Contains(a) || !p.IsValid() {
				return true
			}
		}
	}
	return false
}

func (v *validator) services() {
	type place struct {
		node   string
		stream bool
		listen netip.AddrPort
	}
	taken := map[place]bool{}
	for i, s := range v.t.Services {
		path := fmt.Sprintf("services[%d]", i)
		if _, ok := v.t.Node(s.Node); !ok {
			v.noNode(path+".node", s.Node)
		}
		if !slices.Contains([]Protocol{HTTP, TCPEcho, UDPEcho}, s.Protocol) {
			v.fault(path+".protocol", "%q is no protocol of a service: http, tcp or udp", s.Protocol)
		}
		if !s.Listen.Addr().IsValid() || s.Listen.Port() == 0 {
			v.fault(path+".listen", "a service needs an address and a port to listen on")
			continue
		}
		p := place{s.Node, s.Protocol != UDPEcho, s.Listen}
		if taken[p] {
			v.fault(path+".listen", "another service of node %s listens on %s already", s.Node, s.Listen)
		}
		taken[p] = true
	}
}

func (v *validator) clients() {
	names := map[string]bool{}
	for i, c := range v.t.Clients {
		path := fmt.Sprintf("clients[%d]", i)
		if !IsName(c.Name) {
			v.fault(path+".name", "%q is no name for a client: letters, digits, '-', '_' and '.' only", c.Name)
		} else if names[c.Name] {
			v.fault(path+".name", "there is a client %s already", c.Name)
		}
		names[c.Name] = true
		if _, ok := v.t.Node(c.Node); !ok {
			v.noNode(path+".node", c.Node)
		}
		switch c.Protocol {
		case HTTP, TCPEcho, UDPEcho:
			if !c.To.Addr().IsValid() || c.To.Port() == 0 {
				v.fault(path+".to", "a client needs an address and a port to ask")
			}
		case Ping:
			if !c.To.Addr().IsValid() || c.To.Port() != 0 {
				v.fault(path+".to", "a ping needs an address, and no port")
			}
			if c.From != 0 {
				v.fault(path+".from", "a ping has no port of its own")
			}
		default:
			v.fault(path+".protocol", "%q is no protocol of a client: http, tcp, udp or ping", c.Protocol)
		}
		if fault := c.pathFault(); fault != "" {
			v.fault(path+".path", "%s", fault)
		}
		if c.Wait < 0 || c.Wait > MaxWait {
			v.fault(path+".wait", "a client waits for its answer up to %s, not %s", MaxWait, c.Wait)
		}
	}
}

func (v *validator) noNode(path, name string) {
	if name == "" {
		v.fault(path, "the node is missing")
		return
	}
	v.fault(path, "there is no node %s", name)
}

// newInterface checks the name of an interface and notes that it is taken. The
// kernel's own rules are those of dev_valid_name in net/core/dev.c.
func (v *validator) newInterface(path, node, name string) {
	taken := v.interfaces[node]
	switch {
	case name == "":
		v.fault(path, "the interface has no name")
	case len(name) > maxInterfaceName:
		v.fault(path, "%s is too long for an interface: %d characters, and %d are possible", name, len(name), maxInterfaceName)
	case name == "." || name == ".." || strings.ContainsAny(name, "/: \t\n\v\f\r\x00%"):
		v.fault(path, "%q is no name for an interface", name)
	case taken[name]:
		v.fault(path, "there is an interface %s on node %s already", name, node)
	}
	if taken != nil {
		taken[name] = true
	}
}

func (v *validator) addresses(path string, all []netip.Prefix) {
	for i, p := range all {
		at := fmt.Sprintf("%s[%d]", path, i)
		if problem := AddressProblem(p); problem != "" {
			v.fault(at, "%s", problem)
		} else if slices.Contains(all[:i], p) {
			v.fault(at, "the address %s is there already", p)
		}
	}
}

// AddressProblem says why no interface of a lab can have an address; empty where
// one can.
func AddressProblem(p netip.Prefix) string {
	switch a := p.Addr(); {
	case !p.IsValid():
		return "this is no address with the length of its network, such as 10.0.0.1/24"
	case a.IsUnspecified() || a.IsMulticast() || a.Is4In6():
		return fmt.Sprintf("%s is no address for an interface", a)
	case a.Is4() && p.Bits() < 31 && (a == p.Masked().Addr() || a == lastOf(p)):
		return fmt.Sprintf("%s is the network's own or its broadcast address, not one for an interface", a)
	}
	return ""
}

// lastOf is the highest address of an IPv4 network, its broadcast address.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b)
}

// IsName says whether a word may name a node, a client and the like: it is typed
// on command lines and used as a key.
func IsName(s string) bool {
	ok := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r)
	}
	return s != "" && len(s) <= 64 && s[0] != '-' && s[0] != '.' &&
		strings.IndexFunc(s, func(r rune) bool { return !ok(r) }) < 0
}

// String is the route in the words of ip-route(8): "default via 10.0.0.1 dev eth0".
func (r Route) String() string {
	words := []string{"default"}
	if r.Destination.IsValid() {
		words[0] = r.Destination.String()
	}
	if r.Via.IsValid() {
		words = append(words, "via", r.Via.String())
	}
	if r.Interface != "" {
		words = append(words, "dev", r.Interface)
	}
	return strings.Join(words, " ")
}
