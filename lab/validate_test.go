package lab

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// small is a faultless topology to spoil.
func small() Topology {
	at := netip.MustParsePrefix
	return Topology{
		Nodes: []Node{
			{
				Name: "a", Kind: Host, Bridges: []Bridge{{Name: "br0", Addresses: []netip.Prefix{at("10.1.0.1/24")}}},
				Sysctls: []Sysctl{{"net.ipv4.ip_forward", "1"}}, Rules: []string{"iptables -N X"},
			},
			{Name: "b", Kind: Machine, Routes: []Route{{Via: netip.MustParseAddr("10.0.0.1")}}},
		},
		Links: []Link{{Ends: [2]End{
			{Node: "a", Interface: "eth0", Addresses: []netip.Prefix{at("10.0.0.1/24")}},
			{Node: "b", Interface: "eth0", Addresses: []netip.Prefix{at("10.0.0.2/24"), at("fd00::2/64")}},
		}}},
		Services: []Service{{Node: "a", Protocol: HTTP, Listen: netip.MustParseAddrPort("0.0.0.0:80")}},
		Clients:  []Client{{Name: "get", Node: "b", Protocol: HTTP, To: netip.MustParseAddrPort("10.0.0.1:80")}},
	}
}

func TestValidate(t *testing.T) {
	if err := small().Validate(); err != nil {
		t.Fatal(err)
	}
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	tests := map[string]struct {
		spoil func(*Topology)
		want  string
	}{
		"no nodes":         {func(t *Topology) { *t = Topology{} }, "nodes: there is no node"},
		"bad node name":    {func(t *Topology) { t.Nodes[0].Name = "a b" }, `nodes[0].name: "a b" is no name`},
		"same node":        {func(t *Topology) { t.Nodes[1].Name = "a" }, "nodes[1].name: there is a node a already"},
		"bad kind":         {func(t *Topology) { t.Nodes[0].Kind = "router" }, `nodes[0].kind: "router" is no kind`},
		"long interface":   {func(t *Topology) { t.Links[0].Ends[1].Interface = "averylonginterface" }, "links[0].ends[1].interface: averylonginterface is too long"},
		"no interface":     {func(t *Topology) { t.Links[0].Ends[0].Interface = "" }, "links[0].ends[0].interface: the interface has no name"},
		"bad interface":    {func(t *Topology) { t.Links[0].Ends[0].Interface = "a/b" }, `"a/b" is no name for an interface`},
		"lo":               {func(t *Topology) { t.Links[0].Ends[0].Interface = "lo" }, "there is an interface lo on node a already"},
		"same interface":   {func(t *Topology) { t.Links[0].Ends[0].Interface = "br0" }, "links[0].ends[0].interface: there is an interface br0 on node a already"},
		"unknown node":     {func(t *Topology) { t.Links[0].Ends[1].Node = "c" }, "links[0].ends[1].node: there is no node c"},
		"missing node":     {func(t *Topology) { t.Services[0].Node = "" }, "services[0].node: the node is missing"},
		"foreign bridge":   {func(t *Topology) { t.Links[0].Ends[1].Bridge = "br0" }, "links[0].ends[1].bridge: there is no bridge br0 on node b"},
		"device":           {func(t *Topology) { t.Nodes[1].Devices = []Device{{Name: "d0"}} }, `nodes[1].devices[0]: "d0" cannot be made`},
		"ruleset":          {func(t *Topology) { t.Nodes[1].Ruleset.IPv6 = "*filter\n" }, "nodes[1].ruleset.ipv6: line 1: the text ends"},
		"no address":       {func(t *Topology) { t.Nodes[0].Bridges[0].Addresses[0] = netip.Prefix{} }, "nodes[0].bridges[0].addresses[0]: this is no address"},
		"network address":  {func(t *Topology) { t.Nodes[0].Bridges[0].Addresses[0] = prefix("10.1.0.0/24") }, "10.1.0.0 is the network's own"},
		"broadcast":        {func(t *Topology) { t.Nodes[0].Bridges[0].Addresses[0] = prefix("10.1.0.255/24") }, "10.1.0.255 is the network's own"},
		"multicast":        {func(t *Topology) { t.Nodes[0].Bridges[0].Addresses[0] = prefix("224.0.0.1/24") }, "224.0.0.1 is no address"},
		"same address":     {func(t *Topology) { t.Links[0].Ends[1].Addresses[1] = prefix("10.0.0.2/24") }, "the address 10.0.0.2/24 is there already"},
		"route to nowhere": {func(t *Topology) { t.Nodes[1].Routes[0] = Route{} }, "nodes[1].routes[0]: a route needs a gateway or an interface"},
		"far gateway":      {func(t *Topology) { t.Nodes[1].Routes[0].Via = addr("10.9.0.1") }, "the gateway 10.9.0.1 is not on any network of this node"},
		"route interface":  {func(t *Topology) { t.Nodes[1].Routes[0].Interface = "eth9" }, "there is no interface eth9 on node b"},
		"mixed route":      {func(t *Topology) { t.Nodes[1].Routes[0].Destination = prefix("fd01::/64") }, "of different IP versions"},
		"host bits":        {func(t *Topology) { t.Nodes[1].Routes[0].Destination = prefix("10.2.0.1/16") }, "did you mean 10.2.0.0/16"},
		"foreign sysctl":   {func(t *Topology) { t.Nodes[0].Sysctls[0].Name = "kernel.panic" }, "nodes[0].sysctls[0]: \"kernel.panic\" is no sysctl of a network namespace"},
		"escaping sysctl":  {func(t *Topology) { t.Nodes[0].Sysctls[0].Name = "net.//.kernel.panic" }, "is no sysctl of a network namespace"},
		"empty sysctl":     {func(t *Topology) { t.Nodes[0].Sysctls[0].Value = "" }, `"" is no value for a sysctl`},
		"bad rule":         {func(t *Topology) { t.Nodes[0].Rules[0] = "iptables -N" }, "nodes[0].rules[0]: -N has no chain"},
		"service protocol": {func(t *Topology) { t.Services[0].Protocol = Ping }, `services[0].protocol: "ping" is no protocol of a service`},
		"service address":  {func(t *Topology) { t.Services[0].Listen = netip.AddrPort{} }, "services[0].listen: a service needs an address and a port"},
		"same service":     {func(t *Topology) { t.Services = append(t.Services, t.Services[0]) }, "services[1].listen: another service of node a"},
		"client name":      {func(t *Topology) { t.Clients[0].Name = "-x" }, `clients[0].name: "-x" is no name`},
		"same client":      {func(t *Topology) { t.Clients = append(t.Clients, t.Clients[0]) }, "clients[1].name: there is a client get already"},
		"client protocol":  {func(t *Topology) { t.Clients[0].Protocol = "ftp" }, `clients[0].protocol: "ftp" is no protocol`},
		"client address":   {func(t *Topology) { t.Clients[0].To = netip.AddrPortFrom(addr("10.0.0.1"), 0) }, "clients[0].to: a client needs an address and a port"},
		"path":             {func(t *Topology) { t.Clients[0].Path = "x" }, `clients[0].path: the path "x" does not begin with a slash`},
		"blank in a path":  {func(t *Topology) { t.Clients[0].Path = "/a b" }, `clients[0].path: the path "/a b" has white space`},
		"line in a path":   {func(t *Topology) { t.Clients[0].Path = "/a\x00" }, `clients[0].path: the path "/a\x00" has white space or control`},
		"path over TCP":    {func(t *Topology) { t.Clients[0].Protocol, t.Clients[0].Path = TCPEcho, "/" }, "clients[0].path: only an http client"},
		"ping from a port": {func(t *Topology) {
			t.Clients[0] = Client{Name: "get", Node: "b", Protocol: Ping, To: netip.AddrPortFrom(addr("10.0.0.1"), 0), From: 7}
		}, "clients[0].from: a ping has no port of its own"},
		"long wait":        {func(t *Topology) { t.Clients[0].Wait = time.Hour }, "clients[0].wait: a client waits for its answer up to 1m0s, not 1h0m0s"},
		"negative wait":    {func(t *Topology) { t.Clients[0].Wait = -1 }, "clients[0].wait: a client waits"},
		"variant":          {func(t *Topology) { t.Nodes[0].Rules[0] = "iptables-xtables -N X" }, "nodes[0].rules[0]: it does not start with iptables"},
		"ping with a port": {func(t *Topology) { t.Clients[0].Protocol = Ping }, "clients[0].to: a ping needs an address, and no port"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			topology := small()
			test.spoil(&topology)
			err := topology.Validate()
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Validate = %v, want %q in it", err, test.want)
			}
		})
	}
}

// TestValidateAll sees that one fault does not hide another.
func TestValidateAll(t *testing.T) {
	topology := small()
	topology.Nodes[0].Rules[0] = "iptables"
	topology.Links[0].Ends[1].Node = "c"
	topology.Clients[0].Node = "d"
	var paths []string
	for _, f := range Faults(topology.Validate()) {
		paths = append(paths, f.Path)
	}
	// The gateway of b went with the link that led to it.
	if got, want := strings.Join(paths, " "), "nodes[0].rules[0] links[0].ends[1].node nodes[1].routes[0] clients[0].node"; got != want {
		t.Errorf("faults at %s, want %s", got, want)
	}
}

func TestSysctlPath(t *testing.T) {
	tests := map[string]string{
		"net.ipv4.ip_forward":              "net/ipv4/ip_forward",
		"net.ipv4.conf.eth0/100.rp_filter": "net/ipv4/conf/eth0.100/rp_filter",
	}
	for name, want := range tests {
		s := Sysctl{Name: name}
		if got := s.path(); got != want || !s.belongsToNode() {
			t.Errorf("path of %s = %s (belongs to the node: %t), want %s", name, got, s.belongsToNode(), want)
		}
	}
	if !sameValue("1024 65000", "1024\t65000\n") {
		t.Error("values that differ in white space only are not the same")
	}
}

func TestClientCommand(t *testing.T) {
	at := netip.MustParseAddrPort
	tests := map[string]Client{
		"curl http://10.0.0.1/":                   {Protocol: HTTP, To: at("10.0.0.1:80")},
		"curl http://10.0.0.1/a/b":                {Protocol: HTTP, To: at("10.0.0.1:80"), Path: "/a/b"},
		"curl 'http://10.0.0.1/a?b=%27&c'":        {Protocol: HTTP, To: at("10.0.0.1:80"), Path: "/a?b='&c"},
		"curl http://[fd00::1]:8080/":             {Protocol: HTTP, To: at("[fd00::1]:8080")},
		"nc -z 10.0.0.1 7":                        {Protocol: TCPEcho, To: at("10.0.0.1:7")},
		"nc -u 10.0.0.1 7":                        {Protocol: UDPEcho, To: at("10.0.0.1:7")},
		"ping -c 1 10.0.0.1":                      {Protocol: Ping, To: at("10.0.0.1:0")},
		"nc -u -p 5353 10.0.0.1 53":               {Protocol: UDPEcho, To: at("10.0.0.1:53"), From: 5353},
		"nc -z -p 5353 10.0.0.1 53":               {Protocol: TCPEcho, To: at("10.0.0.1:53"), From: 5353},
		"curl --local-port 5353 http://10.0.0.1/": {Protocol: HTTP, To: at("10.0.0.1:80"), From: 5353},
	}
	for want, c := range tests {
		if got := c.Command(); got != want {
			t.Errorf("Command = %q, want %q", got, want)
		}
	}
}
