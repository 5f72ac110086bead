package assemble

import (
	"testing"
	"time"

	"packetwalk/trace"
)

// twoContainers are joined by the host's bridge.
func twoContainers(t testing.TB) *script {
	s := newScript(t)
	s.a = New(Config{
		Nodes: map[string]Node{"host": {trace.IPv4: {trace.Legacy: trace.Tables()}}, "c1": {trace.IPv4: {trace.Legacy: trace.Tables()}}, "c2": {trace.IPv4: {trace.Legacy: trace.Tables()}}},
		Segments: map[Port]int{
			{"host", "br0"}: 1, {"host", "veth1"}: 1, {"host", "veth2"}: 1, {"c1", "eth0"}: 1, {"c2", "eth0"}: 1,
		},
	})
	s.packet(1, trace.ACK, "172.18.0.2:4000", "172.18.0.3:80")
	return s
}

const (
	leavesC1 = `
		c1 OUTPUT mangle/OUTPUT empty out=eth0 physin= ct=ESTABLISHED
		c1 POSTROUTING mangle/POSTROUTING empty
	`
	crossesHost = `
		host PREROUTING mangle/PREROUTING empty in=br0 physin=veth1 ct=ESTABLISHED
		host FORWARD filter/FORWARD empty out=br0 physout=veth2
		host FORWARD security/FORWARD empty
		host POSTROUTING mangle/POSTROUTING empty
	`
	entersC2 = `
		c2 PREROUTING mangle/PREROUTING empty in=eth0 physin= ct=ESTABLISHED
		c2 INPUT security/INPUT empty
	`
)

// A bridge that netfilter has no part in is but a wire. That it says nothing
// shows only after a while.
func TestSilentBridge(t *testing.T) {
	for name, order := range map[string][]string{
		"in order": {leavesC1, entersC2}, "the far end is read first": {entersC2, leavesC1},
	} {
		t.Run(name, func(t *testing.T) {
			s := twoContainers(t)
			for _, events := range order {
				s.events(events)
			}
			s.wait(100 * time.Millisecond)
			s.expect()
			s.wait(time.Second)
			s.expect("walk 1 flow 1: delivered",
				"c1 mangle/OUTPUT 0 ACCEPT (policy)", "c1 mangle/POSTROUTING 0 ACCEPT (policy)",
				"c2 mangle/PREROUTING 0 ACCEPT (policy)", "c2 security/INPUT 0 ACCEPT (policy)")
		})
	}
}

// A bridge that netfilter sees has its place in the walk, in whatever order the
// namespaces are read.
func TestSeenBridge(t *testing.T) {
	for name, order := range map[string][]string{
		"in order": {leavesC1, crossesHost, entersC2}, "the bridge is read last": {leavesC1, entersC2, crossesHost},
		"backwards": {entersC2, crossesHost, leavesC1},
	} {
		t.Run(name, func(t *testing.T) {
			s := twoContainers(t)
			for _, events := range order {
				s.events(events)
				s.wait(100 * time.Millisecond)
			}
			s.wait(time.Second)
			s.expect("walk 1 flow 1: delivered",
				"c1 mangle/OUTPUT 0 ACCEPT (policy)", "c1 mangle/POSTROUTING 0 ACCEPT (policy)",
				"host mangle/PREROUTING 0 ACCEPT (policy)", "host filter/FORWARD 0 ACCEPT (policy)",
				"host security/FORWARD 0 ACCEPT (policy)", "host mangle/POSTROUTING 0 ACCEPT (policy)",
				"c2 mangle/PREROUTING 0 ACCEPT (policy)", "c2 security/INPUT 0 ACCEPT (policy)")
		})
	}
}

// Wires can come and go between packets.
func TestRewire(t *testing.T) {
	s := twoContainers(t)
	s.a.Rewire(nil)
	s.events(leavesC1)
	s.wait(10 * time.Millisecond)
	s.expect("walk 1 flow 1: forwarded", "c1 mangle/OUTPUT 0 ACCEPT (policy)", "c1 mangle/POSTROUTING 0 ACCEPT (policy)")
	s.a.Rewire(map[Port]int{{"c1", "eth0"}: 1, {"c2", "eth0"}: 1})
	s.packet(2, trace.ACK, "172.18.0.2:4000", "172.18.0.3:80")
	s.events(leavesC1 + entersC2)
	s.wait(10 * time.Millisecond)
	s.expect("walk 2 flow 1: delivered",
		"c1 mangle/OUTPUT 0 ACCEPT (policy)", "c1 mangle/POSTROUTING 0 ACCEPT (policy)",
		"c2 mangle/PREROUTING 0 ACCEPT (policy)", "c2 security/INPUT 0 ACCEPT (policy)")
}
