package why

import (
	"net/netip"
	"strings"
	"testing"

	"packetwalk/trace"
	"packetwalk/trace/host"
	"packetwalk/trace/ruleset"
)

// The actors of the evidence in these tests: a client asks a Docker host, which
// has a container behind docker0.
const (
	clientAddr = "192.168.23.1:40000"
	hostAddr   = "192.168.23.149:8080"
	webAddr    = "172.17.0.2:80"
)

func at(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

// rules reads what iptables-save would print, table by table.
func rules(t *testing.T, tables ...string) ruleset.Ruleset {
	t.Helper()
	r, err := ruleset.Parse(strings.Join(tables, "\n") + "\n")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// table is a table in the words of iptables-save: chains begin with a colon.
func table(name string, lines ...string) string {
	return "*" + name + "\n" + strings.Join(lines, "\n") + "\nCOMMIT"
}

// dockerHost is evidence of a request to the host's port 8080, with what a test
// has to say about it.
func dockerHost(t *testing.T, tables ...string) Evidence {
	t.Helper()
	return Evidence{
		Question: Question{From: "client", Target: Target{Proto: trace.TCP, Addr: at(hostAddr)}},
		Attempt:  Attempt{Result: Silent, Local: at(clientAddr)},
		Rules:    map[string]Variants{"host": {trace.NFTables: rules(t, tables...)}},
		Default:  map[string]trace.Variant{"host": trace.NFTables},
		Hosts: map[string]host.State{
			"client": {Node: "client", Links: []host.Link{{Name: "eth0", Kind: "veth", Up: true, Carrier: true, Addresses: prefixes("192.168.23.1/24")}}},
			"host": {Node: "host", Links: []host.Link{
				{Name: "ens33", Kind: "veth", Up: true, Carrier: true, Addresses: prefixes("192.168.23.149/24")},
				{Name: "docker0", Kind: "bridge", Up: true, Carrier: true, Addresses: prefixes("172.17.0.1/16")},
			}},
			"web": {
				Node: "web", Links: []host.Link{{Name: "eth0", Kind: "veth", Up: true, Carrier: true, Addresses: prefixes("172.17.0.2/16")}},
				Sockets: []host.Socket{{Proto: trace.TCP, Local: at("0.0.0.0:80")}},
			},
		},
	}
}

func prefixes(all ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range all {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

// syn is a walk of the request with these steps.
func syn(outcome trace.Outcome, steps ...trace.Step) trace.Walk {
	w := trace.Walk{ID: 1, Outcome: outcome, End: len(steps) - 1, Steps: steps}
	w.Packet = trace.Packet{Family: trace.IPv4, Proto: trace.TCP, Flags: trace.SYN, Src: at(clientAddr), Dst: at(hostAddr)}
	return w
}

// leaving is the step by which the client sends its packet.
func leaving() trace.Step {
	return trace.Step{Node: "client", Hook: trace.Output, Table: trace.Filter, Variant: trace.NFTables, Chain: "OUTPUT", Verdict: trace.Accept, Policy: true, Out: "eth0", Src: at(clientAddr), Dst: at(hostAddr)}
}

// on is a step of the packet in the host, where it has come in by ens33.
func on(hook trace.Hook, table trace.Table, dst string) trace.Step {
	return trace.Step{
		Node: "host", Hook: hook, Table: table, Variant: trace.NFTables, Chain: hook.String(), Verdict: trace.Accept, Policy: true,
		In: "ens33", Src: at(clientAddr), Dst: at(dst), CTState: trace.New,
	}
}

// forwarded is such a step on the way to the container.
func forwarded(table trace.Table) trace.Step {
	s := on(trace.Forward, table, webAddr)
	s.Out = "docker0"
	return s
}
