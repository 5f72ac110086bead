package why

import (
	"net/netip"
	"slices"
	"testing"

	"packetwalk/trace"
	"packetwalk/trace/host"
)

// A packet that is not seen behind POSTROUTING was lost on a wire, in a bridge,
// or for want of a hardware address.
func TestLostOnWire(t *testing.T) {
	silent := func(w world) { w.neighbor("host", "docker0", "172.17.0.2", "failed", "") }
	gone := func(w world) {
		delete(w, "c1")
		w.link("host", "veth-c1").Peer = host.Port{}
	}
	const rule = "host: -A DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination " + toC1
	for _, c := range []struct {
		name    string
		change  []func(world)
		cause   Name
		culprit string
		fix     string
	}{
		{"nothing wrong that was read", nil, Unknown, "", ""},
		{"the port is down", []func(world){silent, func(w world) { w.link("host", "veth-c1").Up = false }}, "link-down", "host: veth-c1", "ip link set veth-c1 up"},
		{"the bridge is down", []func(world){silent, func(w world) { w.link("host", "docker0").Up = false }}, "link-down", "host: docker0", "ip link set docker0 up"},
		{"the other port is down", []func(world){func(w world) { w.link("host", "veth-c2").Up = false }}, Unknown, "", ""},
		{"attached to nothing", []func(world){silent, func(w world) { w.link("host", "veth-c1").Bridge = "" }},
			"bridge-detached", "host: veth-c1", "ip link set veth-c1 master docker0"},
		{"attached to another bridge", []func(world){silent, func(w world) {
			w.add("host br-x 172.30.0.1/16").Kind = "bridge"
			w.link("host", "veth-c1").Bridge = "br-x"
		}}, "bridge-detached", "host: veth-c1", "ip link set veth-c1 master docker0"},
		{"the port is disabled", []func(world){silent, func(w world) { w.link("host", "veth-c1").State = "disabled" }},
			"port-blocked", "host: veth-c1", "bridge link set dev veth-c1 state 3"},
		{"one port is isolated", []func(world){func(w world) { w.link("host", "veth-c1").Isolated = true }}, Unknown, "", ""},
		{"a permanent entry is wrong", []func(world){func(w world) { w.neighbor("host", "docker0", "172.17.0.2", "permanent", "02:00:00:00:00:01") }},
			"wrong-neighbor", "host: 172.17.0.2 dev docker0 lladdr 02:00:00:00:00:01 PERMANENT", "ip neigh del 172.17.0.2 dev docker0"},
		{"a permanent entry is right", []func(world){func(w world) { w.neighbor("host", "docker0", "172.17.0.2", "permanent", w.link("c1", "eth0").MAC) }},
			Unknown, "", ""},
		{"nobody has the address", []func(world){silent, gone}, "dnat-target-gone", rule, ""},
		{"nobody who was looked at has the address, but it answers", []func(world){gone, func(w world) {
			w.neighbor("host", "docker0", "172.17.0.2", "reachable", "02:00:00:00:00:01")
		}}, Unknown, "", ""},
		{"somebody has it and does not answer", []func(world){silent}, "neighbor-silent", "host: 172.17.0.2 dev docker0 FAILED", ""},
	} {
		for _, outcome := range []trace.Outcome{trace.Lost, trace.Forwarded} {
			t.Run(c.name+"/"+string(outcome), func(t *testing.T) {
				w := docker()
				for _, change := range c.change {
					change(w)
				}
				walk := packet(fromClient, toHost, "client >eth0", "host ens33>docker0 = "+toC1)
				walk.Outcome = outcome
				a := expect(t, w.evidence(Silent, walk), c.cause, c.culprit)
				if want := words(c.fix); !slices.Equal(a.Fix.Commands, want) {
					t.Errorf("fix %q, want %q", a.Fix.Commands, want)
				}
			})
		}
	}
}

// An interface with addresses of its own is no stray port of a bridge.
func TestNoPortOfABridge(t *testing.T) {
	w := docker()
	w.route("host", "192.168.23.1/32 dev docker0")
	w.neighbor("host", "docker0", "192.168.23.1", "failed", "")
	reply := packet(toC1, fromClient, "c1 >eth0", "host docker0>docker0")
	request := packet(fromClient, toHost, "client >eth0", "host ens33>docker0 = "+toC1, "c1 eth0>!")
	expect(t, w.evidence(Silent, request, reply), "wrong-route", "host: 192.168.23.1 dev docker0")
}

// A request that left what was looked at and was answered is not what was lost.
func TestReplyLostOnWire(t *testing.T) {
	w := docker()
	w.route("host", "default via 192.168.23.254 dev ens33")
	w.neighbor("host", "ens33", "192.168.23.254", "failed", "")
	request := packet("172.17.0.2:40000", "198.51.100.1:80", "c1 >eth0", "host docker0>ens33")
	request.Outcome = trace.Forwarded
	reply := packet("198.51.100.1:80", "172.17.0.2:40000", "host ens33>docker0")
	ask := func(walks ...trace.Walk) Evidence {
		e := w.evidence(Silent, walks...)
		e.Question.From, e.Question.Target.Addr = "c1", netip.MustParseAddrPort("198.51.100.1:80")
		return e
	}
	expect(t, ask(request), "neighbor-silent", "host: 192.168.23.254 dev ens33 FAILED")
	expect(t, ask(request, reply), Unknown, "")
	w.neighbor("host", "docker0", "172.17.0.2", "failed", "")
	expect(t, ask(request, reply), "neighbor-silent", "host: 172.17.0.2 dev docker0 FAILED")
	w.link("host", "veth-c1").Up = false
	expect(t, ask(request, reply), "link-down", "host: veth-c1")
}

// A published port whose container came back with another address.
func TestTargetMoved(t *testing.T) {
	w := docker()
	w.link("c1", "eth0").Addresses = nil
	w.neighbor("host", "docker0", "172.17.0.2", "incomplete", "")
	w["c2"].Sockets = []host.Socket{{Proto: trace.TCP, Local: netip.MustParseAddrPort("0.0.0.0:80")}}
	walk := packet(fromClient, toHost, "client >eth0", "host ens33>docker0 = "+toC1)
	a := expect(t, w.evidence(Silent, walk), "dnat-target-gone", "host: -A DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination "+toC1)
	if want := []string{"iptables -t nat -R DOCKER 1 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.3:80"}; !slices.Equal(a.Fix.Commands, want) {
		t.Errorf("fix %q, want %q", a.Fix.Commands, want)
	}
}

func TestIsolated(t *testing.T) {
	for _, both := range []bool{true, false} {
		w := docker()
		w.neighbor("c2", "eth0", "172.17.0.2", "failed", "")
		w.link("host", "veth-c1").Isolated, w.link("host", "veth-c2").Isolated = true, both
		e := w.evidence(Silent, packet("172.17.0.3:40000", toC1, "c2 >eth0"))
		e.Question.From, e.Question.Target.Addr = "c2", netip.MustParseAddrPort(toC1)
		if both {
			expect(t, e, "port-isolated", "host: veth-c1")
		} else {
			expect(t, e, "neighbor-silent", "c2: 172.17.0.2 dev eth0 FAILED")
		}
	}
}

// Only what is larger than a link is lost for its size.
func TestMTU(t *testing.T) {
	walks := func(length int) []trace.Walk {
		request := packet(fromClient, toHost, "client >eth0", "host ens33>docker0 = "+toC1, "c1 eth0>!")
		reply := packet(toC1, fromClient, "c1 >eth0", "host docker0>ens33", "client eth0>!")
		reply.Packet.Flags = trace.SYN | trace.ACK
		data := packet(toC1, fromClient, "c1 >eth0", "host docker0>")
		data.Packet.Flags, data.Packet.Length = trace.ACK, length
		return []trace.Walk{request, reply, data}
	}
	w := docker()
	w.link("host", "ens33").MTU = 1300
	expect(t, w.evidence(Stalled, walks(1400)...), "mtu", "host: ens33")
	expect(t, w.evidence(Stalled, walks(1300)...), Unknown, "")

	refusal := packet("172.17.0.1:0", "172.17.0.2:0", "host >docker0")
	refusal.Packet.Proto, refusal.Packet.ICMPType, refusal.Packet.ICMPCode = trace.ICMP, 3, 4
	refusal.Packet.Embedded = &trace.Packet{}
	refusal.Steps, refusal.End, refusal.Outcome = refusal.Steps[:1], 0, trace.Dropped
	refusal.Steps[0].Policy, refusal.Steps[0].Rule, refusal.Steps[0].Table, refusal.Steps[0].Text = false, 3, trace.Filter, "-A OUTPUT -p icmp -j DROP"
	refusal.Steps[0].Verdict = trace.Drop
	a := expect(t, w.evidence(Stalled, append(walks(1400), refusal)...), "mtu", "host: -A OUTPUT -p icmp -j DROP")
	if want := []string{"iptables -I OUTPUT 3 -p icmp -m icmp --icmp-type fragmentation-needed -j ACCEPT"}; !slices.Equal(a.Fix.Commands, want) {
		t.Errorf("fix %q, want %q", a.Fix.Commands, want)
	}

	w = docker() // the far end of the wire is too small
	w.link("client", "eth0").MTU = 1300
	big := walks(1400)
	big[2] = packet(toC1, fromClient, "c1 >eth0", "host docker0>ens33")
	big[2].Packet.Flags, big[2].Packet.Length = trace.ACK, 1400
	expect(t, w.evidence(Stalled, big...), "mtu", "client: eth0")
}

// The kernel forgets entries that failed; its own error for the packet, or its
// word on the drop, tell as much.
func TestNeighborForgotten(t *testing.T) {
	walk := packet(fromClient, "192.168.23.50:80", "client >eth0")
	ask := func(walks ...trace.Walk) Evidence {
		e := docker().evidence(Silent, walks...)
		e.Question.Target.Addr = netip.MustParseAddrPort("192.168.23.50:80")
		return e
	}
	const culprit = "client: 192.168.23.50 dev eth0 FAILED"
	expect(t, ask(walk), Unknown, "")

	refusal := packet("192.168.23.1:0", "192.168.23.1:0", "client >lo", "client lo>!")
	refusal.Packet.Proto, refusal.Packet.ICMPType, refusal.Packet.ICMPCode, refusal.Packet.Embedded = trace.ICMP, 3, 1, &trace.Packet{}
	expect(t, ask(walk, refusal), "neighbor-silent", culprit)
	refusal.Packet.ICMPCode = 13 // prohibited, by somebody's rule
	expect(t, ask(walk, refusal), Unknown, "")

	e := ask(walk)
	e.Drops = []Drop{{Node: "client", Reason: "NEIGH_FAILED"}}
	expect(t, e, "neighbor-silent", culprit)
}
