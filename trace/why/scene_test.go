package why

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"packetwalk/trace"
	"packetwalk/trace/host"
)

// world is hosts and their wires, as they could have been read.
type world map[string]*host.State

// docker is a client, a host with two containers on docker0, and the routes that
// they need. The host's port 8080 is that of c1.
func docker() world {
	w := world{}
	w.wire("client eth0 192.168.23.1/24", "host ens33 192.168.23.149/24")
	w.add("host docker0 172.17.0.1/16").Kind = "bridge"
	w.wire("host veth-c1", "c1 eth0 172.17.0.2/16")
	w.wire("host veth-c2", "c2 eth0 172.17.0.3/16")
	w.link("host", "veth-c1").Bridge, w.link("host", "veth-c2").Bridge = "docker0", "docker0"
	w.route("client", "default via 192.168.23.149 dev eth0")
	w.route("c1", "default via 172.17.0.1 dev eth0")
	w.route("c2", "default via 172.17.0.1 dev eth0")
	w.set("host", "net.ipv4.ip_forward=1", "net.ipv4.conf.ens33.forwarding=1", "net.ipv4.conf.docker0.forwarding=1",
		"net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.ens33.rp_filter=0", "net.ipv4.conf.docker0.rp_filter=0")
	return w
}

func (w world) node(name string) *host.State {
	if w[name] == nil {
		w[name] = &host.State{Node: name, Sysctls: map[string]string{}, Routes: []host.Route{
			{Family: trace.IPv4, Table: host.TableLocal, Type: host.Local, Destination: netip.MustParsePrefix("127.0.0.0/8"), Interface: "lo", Kernel: true},
		}}
	}
	return w[name]
}

// add makes an interface ("host docker0 172.17.0.1/16") and the routes that the
// kernel makes with its address.
func (w world) add(text string) *host.Link {
	words := strings.Fields(text)
	n := w.node(words[0])
	l := host.Link{Name: words[1], Up: true, Carrier: true, MTU: 1500, MAC: "02:" + words[0] + words[1]}
	if len(words) > 2 {
		p := netip.MustParsePrefix(words[2])
		l.Addresses = []netip.Prefix{p}
		n.Routes = append(n.Routes,
			host.Route{Family: trace.IPv4, Table: host.TableLocal, Type: host.Local, Destination: netip.PrefixFrom(p.Addr(), 32), Interface: l.Name, Kernel: true, Scope: "host"},
			host.Route{Family: trace.IPv4, Table: host.TableMain, Type: host.Unicast, Destination: p.Masked(), Interface: l.Name, Kernel: true, Scope: "link", Source: p.Addr()})
	}
	n.Links = append(n.Links, l)
	return &n.Links[len(n.Links)-1]
}

func (w world) wire(a, b string) {
	la, lb := w.add(a), w.add(b)
	la.Kind, lb.Kind = "veth", "veth"
	na, nb := strings.Fields(a)[0], strings.Fields(b)[0]
	la.Peer, lb.Peer = host.Port{Node: nb, Interface: lb.Name}, host.Port{Node: na, Interface: la.Name}
	lb.State, la.State = "forwarding", "forwarding"
}

func (w world) link(node, name string) *host.Link {
	for i := range w[node].Links {
		if w[node].Links[i].Name == name {
			return &w[node].Links[i]
		}
	}
	panic("no link " + name)
}

// route adds one in the words of ip-route(8), as far as they are needed here.
func (w world) route(node, text string) {
	r := host.Route{Family: trace.IPv4, Table: host.TableMain, Type: host.Unicast, Scope: "global"}
	words := strings.Fields(text)
	if t := host.RouteType(words[0]); t == host.Blackhole || t == host.Prohibit || t == host.Unreachable {
		r.Type, words = t, words[1:]
	}
	if words[0] != "default" {
		r.Destination = netip.MustParsePrefix(words[0])
	}
	for i := 1; i+1 < len(words); i += 2 {
		switch words[i] {
		case "via":
			r.Via = netip.MustParseAddr(words[i+1])
		case "dev":
			r.Interface = words[i+1]
		case "table":
			_, _ = fmt.Sscan(words[i+1], &r.Table)
		}
	}
	w[node].Routes = append(w[node].Routes, r)
}

// unroute deletes the routes of the main table whose words begin so.
func (w world) unroute(node, text string) {
	var rest []host.Route
	for _, r := range w[node].Routes {
		if r.Table != host.TableMain || !strings.HasPrefix(r.String(), text) {
			rest = append(rest, r)
		}
	}
	w[node].Routes = rest
}

// rule adds a rule of ip-rule(8) beside the usual ones.
func (w world) rule(node string, c host.Choice) {
	c.Family = trace.IPv4
	w[node].Choices = []host.Choice{
		{Family: trace.IPv4, Table: host.TableLocal, Type: host.Unicast}, c,
		{Family: trace.IPv4, Priority: 32766, Table: host.TableMain, Type: host.Unicast},
	}
}

func (w world) set(node string, settings ...string) {
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		w.node(node).Sysctls[name] = value
	}
}

func (w world) neighbor(node, dev, addr, state, mac string) {
	w[node].Neighbors = append(w[node].Neighbors, host.Neighbor{Addr: netip.MustParseAddr(addr), Interface: dev, State: state, MAC: mac})
}

// evidence is that of a request from the client to the host's port 8080.
func (w world) evidence(result Result, walks ...trace.Walk) Evidence {
	e := Evidence{
		Question: Question{From: "client", Target: Target{Proto: trace.TCP, Addr: netip.MustParseAddrPort("192.168.23.149:8080")}},
		Attempt:  Attempt{Result: result, Walks: walks}, Hosts: map[string]host.State{}, Default: map[string]trace.Variant{"host": trace.NFTables},
	}
	for i := range e.Attempt.Walks {
		e.Attempt.Walks[i].ID = i + 1
	}
	for node, s := range w {
		e.Hosts[node] = *s
	}
	return e
}

const (
	fromClient = "192.168.23.1:40000"
	toHost     = "192.168.23.149:8080"
	toC1       = "172.17.0.2:80"
)

// packet is a walk from src to dst, lost where its last leg ends. A leg is
// "NODE IN>OUT": without IN the node's own packet, without OUT one that is not
// seen behind PREROUTING, or with "!" for it delivered. " = ADDRESS" behind it is
// a DNAT by the first rule of nat/DOCKER.
func packet(src, dst string, legs ...string) trace.Walk {
	at := struct{ src, dst netip.AddrPort }{netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)}
	w := trace.Walk{Packet: trace.Packet{Family: trace.IPv4, Proto: trace.TCP, Src: at.src, Dst: at.dst, Flags: trace.SYN, Length: 60, TTL: 64}, Outcome: trace.Lost, End: -1}
	for _, l := range legs {
		text, to, translated := strings.Cut(l, " = ")
		node, ports, _ := strings.Cut(text, " ")
		in, out, _ := strings.Cut(ports, ">")
		step := func(h trace.Hook, in, out string) {
			w.Steps = append(w.Steps, trace.Step{
				Node: node, Hook: h, Variant: trace.NFTables, Table: trace.Mangle, Chain: h.String(), Policy: true, Verdict: trace.Accept,
				In: in, Out: out, Src: at.src, Dst: at.dst,
			})
		}
		if in != "" {
			step(trace.Prerouting, in, "")
		}
		if translated {
			at.dst = netip.MustParseAddrPort(to)
			h := trace.Prerouting
			if in == "" {
				h = trace.Output
			}
			w.Steps = append(w.Steps, trace.Step{
				Node: node, Hook: h, Variant: trace.NFTables, Table: trace.NAT, Chain: "DOCKER", Rule: 1, Verdict: trace.DNAT, In: in,
				Text: "-A DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination " + to, Src: at.src, Dst: at.dst,
			})
		}
		switch {
		case out == "!":
			step(trace.Input, in, "")
			w.Outcome = trace.Delivered
		case out != "" && in == "":
			step(trace.Output, "", out)
			step(trace.Postrouting, "", out)
		case out != "":
			step(trace.Forward, in, out)
			step(trace.Postrouting, in, out)
		}
	}
	w.End = len(w.Steps) - 1
	return w
}

// expect explains, and compares cause and culprit.
func expect(t *testing.T, e Evidence, cause Name, culprit string) Answer {
	t.Helper()
	a := Explain(e)
	got := ""
	if a.Culprit != nil {
		got = a.Culprit.Node + ": " + a.Culprit.Text
	}
	if a.Cause != cause || got != culprit {
		t.Errorf("cause %q, culprit %q; want %q, %q", a.Cause, got, cause, culprit)
	}
	for _, lang := range []string{"en", "zh"} {
		text := a.Text(lang)
		all := text.Title + text.Because + text.Opens
		for _, f := range append(a.Evidence, a.Unseen...) {
			all += f.Text(lang)
		}
		if strings.ContainsAny(all, "{}") {
			t.Errorf("%s: a brace is left in %s", a.Cause, all)
		}
	}
	return a
}
