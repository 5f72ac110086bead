package assemble

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packetwalk/trace"
)

// The tests write events in a line each:
//
//	NODE HOOK TABLE/CHAIN WHAT [in=IF] [out=IF] [physin=IF] [physout=IF] [src=A:P] [dst=A:P]
//
// where WHAT is "enter", "empty" (entered, and that is all of the chain), "end",
// or a rule: its number and verdict, "2:DNAT", "1:JUMP:DOCKER", with reach or
// passed instead of match as "reach:2:DROP", with asked for a rule that the
// kernel is asked about, and matched or unmatched for its answer. A policy other
// than ACCEPT is written behind the chain: "filter/FORWARD=DROP". Addresses and
// interfaces are kept from one line to the next.
type script struct {
	t    testing.TB
	a    *Assembler
	now  time.Time
	last trace.Event
	// variant is that of the probes.
	variant trace.Variant
}

var epoch = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

// newScript is a client, a host and a container on two segments, all tables probed.
func newScript(t testing.TB) *script {
	nodes := map[string]Node{}
	for _, n := range []string{"client", "host", "c1"} {
		nodes[n] = Node{trace.IPv4: {trace.Legacy: trace.Tables()}}
	}
	return &script{t: t, now: epoch, a: New(Config{
		Nodes: nodes,
		Segments: map[Port]int{
			{"client", "eth0"}: 1, {"host", "ens33"}: 1,
			{"host", "docker0"}: 2, {"host", "veth1"}: 2, {"c1", "eth0"}: 2,
			{"host", "wan"}: 3,
		},
	})}
}

// packet starts a new packet.
func (s *script) packet(identity int, flags trace.TCPFlags, src, dst string) {
	s.last = trace.Event{Packet: trace.Packet{
		Family: trace.IPv4, Proto: trace.TCP, Flags: flags, Seq: uint32(identity), Identity: trace.Identity(identity),
		Src: netip.MustParseAddrPort(src), Dst: netip.MustParseAddrPort(dst),
	}}
}

// events reads lines and adds them, a microsecond apart.
func (s *script) events(text string) {
	s.t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if f := strings.Fields(line); len(f) > 0 {
			s.now = s.now.Add(time.Microsecond)
			s.a.Add(s.event(f), s.now)
		}
	}
}

func (s *script) event(f []string) trace.Event {
	s.t.Helper()
	e := s.last
	e.Node, e.Time = f[0], s.now
	e.Hook, _ = trace.HookOf(f[1])
	if e.Hook == trace.Output {
		e.In = ""
	}
	table, chain, _ := strings.Cut(f[2], "/")
	chain, policy, _ := strings.Cut(chain, "=")
	e.Probe = trace.Probe{Variant: s.variant, Table: trace.Table(table), Chain: chain}
	if _, base := trace.HookOf(chain); base {
		if e.Probe.Policy = trace.Accept; policy != "" {
			e.Probe.Policy = trace.Verdict(policy)
		}
	}
	s.what(&e.Probe, f[3])
	for _, option := range f[4:] {
		key, value, _ := strings.Cut(option, "=")
		switch key {
		case "in":
			e.In, e.Out = value, ""
		case "out":
			e.Out = value
		case "physin":
			e.PhysIn, e.PhysOut = value, ""
		case "physout":
			e.PhysOut = value
		case "src":
			e.Packet.Src = netip.MustParseAddrPort(value)
		case "dst":
			e.Packet.Dst = netip.MustParseAddrPort(value)
		case "ct":
			e.Probe.CTState = trace.CTState(value)
		default:
			s.t.Fatalf("unknown option %q", option)
		}
	}
	s.last = e
	return e
}

func (s *script) what(p *trace.Probe, what string) {
	s.t.Helper()
	words := strings.Split(what, ":")
	p.Kind = trace.Match
	switch words[0] {
	case "enter", "empty":
		p.Kind, p.Last = trace.Enter, words[0] == "empty"
		return
	case "end":
		p.Kind = trace.End
		return
	case "reach":
		p.Kind, words = trace.Reach, words[1:]
	case "passed":
		p.Kind, words = trace.Passed, words[1:]
	case "asked", "matched", "unmatched":
		p.Kind = map[string]trace.ProbeKind{"asked": trace.Reach, "matched": trace.Matched, "unmatched": trace.Unmatched}[words[0]]
		p.Asked, words = true, words[1:]
	}
	if _, err := fmt.Sscan(words[0], &p.Rule); err != nil {
		s.t.Fatalf("%q is no rule", what)
	}
	p.Verdict = trace.Verdict(words[1])
	p.Text = "-A " + p.Chain
	if len(words) > 2 {
		p.Target = words[2]
	}
}

// wait lets time pass.
func (s *script) wait(d time.Duration) {
	s.now = s.now.Add(d)
	s.a.Tick(s.now)
}

// walks takes what is done, as text: a header, then a line a step.
func (s *script) walks() []string {
	var out []string
	for _, w := range s.a.Take(s.now, true) {
		out = append(out, fmt.Sprintf("walk %d flow %d: %s", w.ID, w.Flow, w.Outcome))
		for _, step := range w.Steps {
			out = append(out, stepText(step))
		}
	}
	return out
}

func stepText(s trace.Step) string {
	text := fmt.Sprintf("%s %s/%s %d %s", s.Node, s.Table, s.Chain, s.Rule, s.Verdict)
	if s.Table == trace.ConntrackTable {
		text = fmt.Sprintf("%s %s conntrack %s", s.Node, s.Hook, s.Verdict)
	}
	if s.Target != "" {
		text += " " + s.Target
	}
	if s.Policy {
		text += " (policy)"
	}
	if r := s.Remembered; r != nil {
		text += fmt.Sprintf(" walk %d %s/%s %d", r.Walk, r.Table, r.Chain, r.Rule)
		if r.Undone {
			text += " undone"
		}
	}
	return text
}

func (s *script) expect(want ...string) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.walks()); diff != "" {
		s.t.Errorf("(-want +got):\n%s", diff)
	}
}

// The ways of a packet out of the client and into the host.
const (
	clientOut = `
		client OUTPUT raw/OUTPUT empty out=eth0
		client OUTPUT mangle/OUTPUT empty ct=ESTABLISHED
		client OUTPUT filter/OUTPUT empty
		client OUTPUT security/OUTPUT empty
		client POSTROUTING mangle/POSTROUTING empty
	`
	hostIn = `
		host INPUT mangle/INPUT empty
		host INPUT filter/INPUT empty
		host INPUT security/INPUT empty
	`
)

func TestDestinationNATAndItsReply(t *testing.T) {
	s := newScript(t)
	s.packet(1, trace.SYN, "192.168.23.1:4000", "192.168.23.149:80")
	s.events(`
		client POSTROUTING mangle/POSTROUTING empty out=eth0 ct=NEW
		client POSTROUTING nat/POSTROUTING empty
		host PREROUTING raw/PREROUTING empty in=ens33
		host PREROUTING mangle/PREROUTING empty ct=NEW
		host PREROUTING nat/PREROUTING enter
		host PREROUTING nat/PREROUTING 1:JUMP:DOCKER
		host PREROUTING nat/DOCKER enter
		host PREROUTING nat/DOCKER 2:DNAT
		host FORWARD filter/FORWARD=DROP enter out=docker0 dst=172.17.0.2:80
		host FORWARD filter/FORWARD=DROP 4:JUMP:DOCKER
		host FORWARD filter/DOCKER enter
		host FORWARD filter/DOCKER 1:ACCEPT
		host POSTROUTING nat/POSTROUTING enter
		host POSTROUTING nat/POSTROUTING end
		c1 PREROUTING raw/PREROUTING empty in=eth0
		c1 PREROUTING mangle/PREROUTING empty ct=NEW
		c1 INPUT mangle/INPUT empty
		c1 INPUT filter/INPUT empty
		c1 INPUT security/INPUT empty
		c1 INPUT nat/INPUT empty
	`)
	s.packet(2, trace.SYN|trace.ACK, "172.17.0.2:80", "192.168.23.1:4000")
	s.events(`
		c1 OUTPUT mangle/OUTPUT empty out=eth0 ct=ESTABLISHED
		c1 POSTROUTING mangle/POSTROUTING empty
		host PREROUTING mangle/PREROUTING empty in=docker0 ct=ESTABLISHED
		host FORWARD filter/FORWARD=DROP 3:ACCEPT out=ens33
		host POSTROUTING mangle/POSTROUTING empty
		client PREROUTING mangle/PREROUTING empty in=eth0 src=192.168.23.149:80 ct=ESTABLISHED
		client INPUT filter/INPUT empty
		client INPUT security/INPUT empty
	`)
	// A later packet of the connection: the rule is not asked again.
	s.packet(3, trace.ACK, "192.168.23.1:4000", "192.168.23.149:80")
	s.events(`
		host PREROUTING mangle/PREROUTING empty in=ens33 ct=ESTABLISHED
		host FORWARD filter/FORWARD=DROP enter out=docker0 dst=172.17.0.2:80
		host FORWARD filter/FORWARD=DROP 9:DROP
	`)
	s.wait(300 * time.Millisecond) // nobody saw it leave the client
	s.expect(
		"walk 1 flow 1: delivered",
		"client mangle/POSTROUTING 0 ACCEPT (policy)",
		"client nat/POSTROUTING 0 ACCEPT (policy)",
		"host raw/PREROUTING 0 ACCEPT (policy)",
		"host mangle/PREROUTING 0 ACCEPT (policy)",
		"host nat/PREROUTING 0 CONTINUE",
		"host nat/PREROUTING 1 JUMP DOCKER",
		"host nat/DOCKER 0 CONTINUE",
		"host nat/DOCKER 2 DNAT",
		"host filter/FORWARD 0 CONTINUE",
		"host filter/FORWARD 4 JUMP DOCKER",
		"host filter/DOCKER 0 CONTINUE",
		"host filter/DOCKER 1 ACCEPT",
		"host nat/POSTROUTING 0 CONTINUE",
		"host nat/POSTROUTING 0 ACCEPT (policy)",
		"c1 raw/PREROUTING 0 ACCEPT (policy)",
		"c1 mangle/PREROUTING 0 ACCEPT (policy)",
		"c1 mangle/INPUT 0 ACCEPT (policy)",
		"c1 filter/INPUT 0 ACCEPT (policy)",
		"c1 security/INPUT 0 ACCEPT (policy)",
		"c1 nat/INPUT 0 ACCEPT (policy)",
		"walk 2 flow 1: delivered",
		"c1 mangle/OUTPUT 0 ACCEPT (policy)",
		"c1 mangle/POSTROUTING 0 ACCEPT (policy)",
		"host mangle/PREROUTING 0 ACCEPT (policy)",
		"host filter/FORWARD 3 ACCEPT",
		"host mangle/POSTROUTING 0 ACCEPT (policy)",
		"host POSTROUTING conntrack DNAT walk 1 nat/DOCKER 2 undone",
		"client mangle/PREROUTING 0 ACCEPT (policy)",
		"client filter/INPUT 0 ACCEPT (policy)",
		"client security/INPUT 0 ACCEPT (policy)",
		"walk 3 flow 1: dropped",
		"host mangle/PREROUTING 0 ACCEPT (policy)",
		"host PREROUTING conntrack DNAT walk 1 nat/DOCKER 2",
		"host filter/FORWARD 0 CONTINUE",
		"host filter/FORWARD 9 DROP",
	)
}

func TestAddressesAfterEachStep(t *testing.T) {
	s := newScript(t)
	s.packet(1, trace.SYN, "172.17.0.2:4000", "192.168.23.1:80")
	s.events(`
		host PREROUTING raw/PREROUTING empty in=docker0
		host POSTROUTING nat/POSTROUTING enter out=ens33
		host POSTROUTING nat/POSTROUTING 1:MASQUERADE
		client PREROUTING raw/PREROUTING empty in=eth0 src=192.168.23.149:61000
	`)
	s.wait(3 * time.Second)
	walks := s.a.Take(s.now, true)
	if len(walks) != 1 {
		t.Fatalf("%d walks, want 1", len(walks))
	}
	var got []string
	for _, step := range walks[0].Steps {
		got = append(got, fmt.Sprintf("%s %s", step.Node, step.Src))
	}
	want := []string{"host 172.17.0.2:4000", "host 172.17.0.2:4000", "host 192.168.23.149:61000", "client 192.168.23.149:61000"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEndings(t *testing.T) {
	const enterHost = "host PREROUTING raw/PREROUTING empty in=wan\n"
	for name, c := range map[string]struct {
		events  string
		wait    time.Duration
		outcome trace.Outcome
		end     string
	}{
		"rule drops":     {enterHost + "host INPUT filter/INPUT 3:DROP", 5 * time.Millisecond, trace.Dropped, "host filter/INPUT 3 DROP"},
		"rule rejects":   {enterHost + "host INPUT filter/INPUT 3:REJECT", 5 * time.Millisecond, trace.Rejected, "host filter/INPUT 3 REJECT"},
		"policy drops":   {enterHost + "host FORWARD filter/FORWARD=DROP end", 5 * time.Millisecond, trace.Dropped, "host filter/FORWARD 0 DROP (policy)"},
		"empty, dropped": {enterHost + "host FORWARD filter/FORWARD=DROP empty", 5 * time.Millisecond, trace.Dropped, "host filter/FORWARD 0 DROP (policy)"},
		"return from a base chain": {enterHost + "host FORWARD filter/FORWARD=DROP enter\nhost FORWARD filter/FORWARD=DROP 2:RETURN",
			5 * time.Millisecond, trace.Dropped, "host filter/FORWARD 0 DROP (policy)"},
		"return after a goto": {enterHost + `host FORWARD filter/FORWARD=DROP enter
			host FORWARD filter/FORWARD=DROP 1:GOTO:X
			host FORWARD filter/X enter
			host FORWARD filter/X end`,
			5 * time.Millisecond, trace.Dropped, "host filter/FORWARD 0 DROP (policy)"},
		"goto inside a called chain": {enterHost + `host FORWARD filter/FORWARD=DROP enter
			host FORWARD filter/FORWARD=DROP 1:JUMP:X
			host FORWARD filter/X enter
			host FORWARD filter/X 1:GOTO:Y
			host FORWARD filter/Y empty
			host FORWARD filter/FORWARD=DROP 2:REJECT`,
			5 * time.Millisecond, trace.Rejected, "host filter/FORWARD 2 REJECT"},
		"reached and never passed": {enterHost + "host INPUT filter/INPUT reach:2:DROP", 105 * time.Millisecond, trace.Dropped, "host filter/INPUT 2 DROP"},
		"reached and passed":       {enterHost + "host INPUT filter/INPUT reach:2:DROP\nhost INPUT filter/INPUT passed:2:DROP\nhost INPUT filter/INPUT 3:REJECT", 25 * time.Millisecond, trace.Rejected, "host filter/INPUT 3 REJECT"},
		"delivered, established":   {enterHost + "host PREROUTING mangle/PREROUTING empty ct=ESTABLISHED\n" + hostIn, 5 * time.Millisecond, trace.Delivered, "host security/INPUT 0 ACCEPT (policy)"},
		"delivered, nat not asked": {enterHost + "host PREROUTING mangle/PREROUTING empty ct=NEW\n" + hostIn, 105 * time.Millisecond, trace.Delivered, "host security/INPUT 0 ACCEPT (policy)"},
		"forwarded": {enterHost + `host PREROUTING mangle/PREROUTING empty ct=ESTABLISHED
			host FORWARD security/FORWARD empty out=wan
			host POSTROUTING mangle/POSTROUTING empty`, 5 * time.Millisecond, trace.Forwarded, "host mangle/POSTROUTING 0 ACCEPT (policy)"},
		"lost after routing": {enterHost, 1100 * time.Millisecond, trace.Lost, "host raw/PREROUTING 0 ACCEPT (policy)"},
		"lost on the wire":   {clientOut, 4100 * time.Millisecond, trace.Lost, "client mangle/POSTROUTING 0 ACCEPT (policy)"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.packet(1, trace.ACK, "192.168.23.1:4000", "192.168.23.149:80")
			s.events(c.events)
			s.wait(c.wait)
			walks := s.a.Take(s.now, true)
			if len(walks) != 1 {
				t.Fatalf("%d walks are done, want 1", len(walks))
			}
			end, _ := walks[0].EndStep()
			if walks[0].Outcome != c.outcome || stepText(end) != c.end {
				t.Errorf("%s at %q; want %s at %q", walks[0].Outcome, stepText(end), c.outcome, c.end)
			}
		})
	}
}

func TestNothingIsDecidedTooEarly(t *testing.T) {
	s := newScript(t)
	s.packet(1, trace.ACK, "192.168.23.1:4000", "192.168.23.149:80")
	s.events(clientOut)
	s.wait(3900 * time.Millisecond)
	s.expect()
	if !s.a.Waiting(true) {
		t.Error("the assembler is not waiting for a packet on its way")
	}
	s.a.Finish()
	if w := s.a.Take(s.now, true); len(w) != 1 || w[0].Outcome != trace.Unfinished {
		t.Errorf("after Finish: %+v, want one unfinished walk", w)
	}
}

// Events of two namespaces are read by two goroutines: those of the host can
// come before those of the client that sent the packet.
func TestEventsOutOfOrderBetweenNodes(t *testing.T) {
	s := newScript(t)
	s.packet(1, trace.ACK, "192.168.23.1:4000", "192.168.23.149:80")
	s.events("host PREROUTING raw/PREROUTING empty in=ens33\nhost PREROUTING mangle/PREROUTING empty ct=ESTABLISHED\n" + hostIn)
	s.events(clientOut)
	s.wait(5 * time.Millisecond)
	got := s.walks()
	if len(got) != 11 || got[0] != "walk 1 flow 1: delivered" || got[1] != "client raw/OUTPUT 0 ACCEPT (policy)" {
		t.Errorf("%q, want one walk that begins at the client", got)
	}
}

func TestPacketFromAnUntracedNeighbourIsNotHeldBack(t *testing.T) {
	s := newScript(t)
	s.packet(1, trace.ACK, "192.168.23.1:4000", "192.168.23.149:80")
	s.events("host PREROUTING raw/PREROUTING empty in=ens33")
	if w := s.a.Take(s.now.Add(30*time.Millisecond), false); len(w) != 0 {
		t.Errorf("a packet that a traced node may have sent was shown too early: %+v", w)
	}
	s.wait(300 * time.Millisecond)
	if w := s.a.Take(s.now, false); len(w) != 1 {
		t.Errorf("after the wait: %d walks, want 1", len(w))
	}
	s.packet(2, trace.ACK, "192.0.2.1:4000", "192.168.23.149:80")
	s.events("host PREROUTING raw/PREROUTING empty in=wan")
	if w := s.a.Take(s.now.Add(30*time.Millisecond), false); len(w) != 1 {
		t.Errorf("a packet that no traced node can have sent: %d walks, want 1", len(w))
	}
}

// The acknowledgement was read to its end while the reader of the namespace
// where the packet before it ends is behind.
func TestWalksOfAFlowComeInOrder(t *testing.T) {
	s := newScript(t)
	s.packet(1, trace.SYN, "192.0.2.1:4000", "192.168.23.149:80")
	s.events("host PREROUTING raw/PREROUTING empty in=wan")
	s.packet(2, trace.ACK, "192.0.2.1:4000", "192.168.23.149:80")
	s.events("host INPUT filter/INPUT 1:DROP in=wan")
	s.wait(100 * time.Millisecond)
	s.expect()
	s.packet(1, trace.SYN, "192.0.2.1:4000", "192.168.23.149:80")
	s.events("host INPUT filter/INPUT 1:REJECT in=wan")
	s.wait(5 * time.Millisecond)
	s.expect(
		"walk 1 flow 1: rejected", "host raw/PREROUTING 0 ACCEPT (policy)", "host filter/INPUT 1 REJECT",
		"walk 2 flow 1: dropped", "host filter/INPUT 1 DROP",
	)
}

// The packet has arrived, but the reader of a namespace that it came through is
// behind: the walk must not be handed out with a hole in it.
func TestWalkWaitsForTheMiddle(t *testing.T) {
	s := newScript(t)
	s.packet(1, trace.SYN, "192.0.2.1:4000", "172.17.0.2:80")
	s.events(`
		host PREROUTING raw/PREROUTING empty in=wan
		host PREROUTING mangle/PREROUTING empty ct=NEW
		host PREROUTING nat/PREROUTING empty
		host POSTROUTING mangle/POSTROUTING empty out=docker0
		c1 PREROUTING mangle/PREROUTING empty in=eth0 ct=NEW
		c1 PREROUTING nat/PREROUTING empty
		c1 INPUT security/INPUT empty
		c1 INPUT nat/INPUT empty
	`)
	s.wait(10 * time.Millisecond)
	s.expect()
	s.events("host POSTROUTING nat/POSTROUTING empty out=docker0")
	s.wait(10 * time.Millisecond)
	if got := s.walks(); len(got) != 10 || got[5] != "host nat/POSTROUTING 0 ACCEPT (policy)" {
		t.Errorf("%q, want one walk of nine steps", got)
	}
}

// Under way, too, walks are numbered in the order of their packets: here the
// reader of the namespace that sent the first one is behind.
func TestWalksUnderWayComeInOrder(t *testing.T) {
	s := newScript(t)
	s.packet(2, trace.SYN|trace.ACK, "172.17.0.2:80", "192.168.23.1:4000")
	s.last.KernelTime = true
	s.now = epoch.Add(10 * time.Millisecond)
	s.events("c1 OUTPUT mangle/OUTPUT empty out=eth0 ct=ESTABLISHED")
	s.packet(1, trace.SYN, "192.168.23.1:4000", "172.17.0.2:80")
	s.last.KernelTime = true
	first := s.event(strings.Fields("client OUTPUT mangle/OUTPUT empty out=eth0 ct=NEW"))
	first.Time = epoch
	s.now = s.now.Add(5 * time.Millisecond)
	s.a.Add(first, s.now)
	s.wait(30 * time.Millisecond)
	walks := s.a.Take(s.now, false)
	if len(walks) != 2 || walks[0].Packet.Seq != 1 || walks[0].ID != 1 || walks[0].Flow != 1 || walks[1].Flow != 1 {
		t.Errorf("%+v, want the SYN as walk 1 and the answer as walk 2 of flow 1", walks)
	}
}

// What a rule of the nat table made of a packet that was not seen again is told
// by the rule's text.
func TestTranslationOfALostPacket(t *testing.T) {
	for text, want := range map[string]string{
		"-A DOCKER -p tcp -j DNAT --to-destination 172.17.0.2:80":         "172.17.0.2:80",
		"-A DOCKER -p tcp -j DNAT --to-destination 172.17.0.2":            "172.17.0.2:8080",
		"-A DOCKER -p tcp -j DNAT --to-destination 172.17.0.2-172.17.0.9": "192.168.23.149:8080",
	} {
		s := newScript(t)
		s.packet(1, trace.SYN, "192.0.2.1:4000", "192.168.23.149:8080")
		e := s.event(strings.Fields("host PREROUTING nat/DOCKER 1:DNAT in=wan"))
		e.Probe.Text = text
		s.a.Add(e, s.now)
		s.wait(2 * time.Second)
		walks := s.a.Take(s.now, true)
		if len(walks) != 1 || walks[0].Outcome != trace.Lost || walks[0].Steps[0].Dst.String() != want {
			t.Errorf("%s: %+v, want a lost walk to %s", text, walks, want)
		}
	}
}

// Where the host alone is traced, nobody sees the reply behind it.
func TestReplyThatLeavesUnseen(t *testing.T) {
	s := newScript(t)
	s.packet(1, trace.SYN, "192.0.2.1:4000", "192.168.23.149:80")
	s.events(`
		host PREROUTING mangle/PREROUTING empty in=wan ct=NEW
		host PREROUTING nat/DOCKER 2:DNAT
		host FORWARD filter/FORWARD 1:DROP dst=172.17.0.2:80
	`)
	s.packet(2, trace.SYN|trace.ACK, "172.17.0.2:80", "192.0.2.1:4000")
	reply := s.event(strings.Fields("host PREROUTING mangle/PREROUTING empty in=wan ct=ESTABLISHED"))
	reply.Probe.Direction = trace.Reply
	s.a.Add(reply, s.now)
	s.events("host POSTROUTING mangle/POSTROUTING empty out=wan")
	s.wait(10 * time.Millisecond)
	got := s.walks()
	if want := "host POSTROUTING conntrack DNAT walk 1 nat/DOCKER 2 undone"; len(got) == 0 || got[len(got)-1] != want {
		t.Errorf("%q, want the last step to be %q", got, want)
	}
}

func TestResetIsTiedToWhatItRefuses(t *testing.T) {
	s := newScript(t)
	s.packet(1, trace.SYN, "192.0.2.1:4000", "192.168.23.149:80")
	syn := s.event(strings.Fields("host INPUT filter/INPUT 1:ACCEPT in=wan ct=NEW"))
	syn.Probe.Direction = trace.Original
	s.a.Add(syn, s.now)
	s.now = s.now.Add(time.Millisecond)
	s.packet(2, trace.RST|trace.ACK, "192.168.23.149:80", "192.0.2.1:4000")
	reset := s.event(strings.Fields("host OUTPUT mangle/OUTPUT empty out=wan ct=ESTABLISHED"))
	reset.Probe.Direction = trace.Reply
	s.a.Add(reset, s.now)
	s.wait(2 * time.Second)
	walks := s.a.Take(s.now, true)
	if len(walks) != 2 || walks[0].Answers != 0 || walks[1].Answers != walks[0].ID {
		t.Errorf("%+v, want the second walk to answer the first", walks)
	}
}

// Nobody answers for the neighbour, and the client tells itself so before the
// packet counts as lost.
func TestRefusalComesBehindWhatItRefuses(t *testing.T) {
	s := newScript(t)
	s.packet(1, trace.SYN, "192.168.23.1:4000", "192.168.23.149:80")
	s.events(clientOut)
	s.wait(3 * time.Second)
	s.packet(2, 0, "192.168.23.1:0", "192.168.23.1:0")
	s.last.Packet.Proto, s.last.Packet.ICMPType, s.last.Packet.ICMPCode = trace.ICMP, 3, 1
	s.last.Packet.Embedded = &trace.Packet{
		Family: trace.IPv4, Proto: trace.TCP, Seq: 1,
		Src: netip.MustParseAddrPort("192.168.23.1:4000"), Dst: netip.MustParseAddrPort("192.168.23.149:80"),
	}
	s.events("client INPUT filter/INPUT 1:DROP in=lo ct=RELATED")
	s.wait(500 * time.Millisecond)
	s.expect()
	s.wait(time.Second)
	walks := s.a.Take(s.now, true)
	if len(walks) != 2 || walks[0].Outcome != trace.Lost || walks[1].Answers != walks[0].ID {
		t.Errorf("%+v, want a lost walk and one that answers it", walks)
	}
}

// A ping's answer is lost, and the error quotes it: the request, which has the
// same sequence number, is not what is refused. The reader of the namespace that
// the request came from is behind.
func TestErrorIsTiedToTheAnswerOfAPing(t *testing.T) {
	s := newScript(t)
	ping := func(identity int, icmpType uint8, src, dst string) {
		s.packet(identity, 0, src, dst)
		p := &s.last.Packet
		p.Proto, p.Seq, p.ICMPType, p.ICMPSeq = trace.ICMP, 0, icmpType, 1
	}
	ping(2, 0, "192.168.23.149:0", "192.168.23.1:0")
	answer := s.last.Packet
	s.now = epoch.Add(10 * time.Millisecond)
	s.events("host OUTPUT mangle/OUTPUT empty out=wan ct=ESTABLISHED")
	ping(1, 8, "192.168.23.1:0", "192.168.23.149:0")
	request := s.event(strings.Fields("client OUTPUT mangle/OUTPUT empty out=eth0 ct=NEW"))
	request.Time = epoch
	s.a.Add(request, s.now)
	s.wait(time.Second)
	ping(3, 3, "192.168.23.149:0", "192.168.23.149:0")
	s.last.Packet.ICMPSeq, s.last.Packet.Embedded = 0, &answer
	s.events("host INPUT filter/INPUT 1:DROP in=lo ct=RELATED")
	s.wait(10 * time.Second)
	for _, w := range s.a.Take(s.now, true) {
		if w.Packet.ICMPType == 3 && w.Answers != 2 || w.Packet.ICMPType == 0 && w.ID != 2 {
			t.Errorf("%+v, want the answer as walk 2, and an error that answers it", w)
		}
	}
}

func TestSamePacketTwiceIsTwoWalks(t *testing.T) {
	s := newScript(t)
	for range 2 {
		s.packet(1, trace.ACK, "192.0.2.1:4000", "192.168.23.149:80")
		s.events("host PREROUTING raw/PREROUTING empty in=wan\nhost PREROUTING mangle/PREROUTING empty ct=ESTABLISHED\n" + hostIn)
	}
	s.wait(5 * time.Millisecond)
	headers := slices.DeleteFunc(s.walks(), func(line string) bool { return !strings.HasPrefix(line, "walk") })
	if diff := cmp.Diff([]string{"walk 1 flow 1: delivered", "walk 2 flow 1: delivered"}, headers); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLoopbackIsOneWalk(t *testing.T) {
	s := newScript(t)
	s.packet(1, trace.ACK, "127.0.0.1:4000", "127.0.0.1:80")
	s.events(`
		host OUTPUT raw/OUTPUT empty out=lo
		host OUTPUT mangle/OUTPUT empty ct=ESTABLISHED
		host POSTROUTING mangle/POSTROUTING empty
		host PREROUTING raw/PREROUTING empty in=lo
		host PREROUTING mangle/PREROUTING empty ct=ESTABLISHED
	` + hostIn)
	s.wait(5 * time.Millisecond)
	if got := s.walks(); len(got) != 9 || got[0] != "walk 1 flow 1: delivered" {
		t.Errorf("%q, want one delivered walk of eight steps", got)
	}
}

func TestPortReuseIsANewFlow(t *testing.T) {
	s := newScript(t)
	for i, flags := range []trace.TCPFlags{trace.SYN, trace.FIN | trace.ACK, trace.SYN} {
		s.packet(i+1, flags, "192.0.2.1:4000", "192.168.23.149:80")
		s.events("host INPUT filter/INPUT 1:DROP in=wan")
	}
	s.wait(5 * time.Millisecond)
	var flows []int
	for _, w := range s.a.Take(s.now, true) {
		flows = append(flows, w.Flow)
	}
	if diff := cmp.Diff([]int{1, 1, 2}, flows); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
}

// A missing event must not tear the walk apart.
func TestLostEventLeavesTheWalkWhole(t *testing.T) {
	s := newScript(t)
	s.packet(1, trace.ACK, "192.0.2.1:4000", "192.168.23.149:80")
	s.events("host PREROUTING raw/PREROUTING empty in=wan\nhost INPUT filter/INPUT enter\nhost INPUT security/INPUT empty ct=ESTABLISHED")
	s.wait(25 * time.Millisecond)
	s.expect("walk 1 flow 1: delivered", "host raw/PREROUTING 0 ACCEPT (policy)", "host filter/INPUT 0 CONTINUE", "host security/INPUT 0 ACCEPT (policy)")
}

// In nf_tables the security table comes after source NAT at INPUT.
func TestVariantDecidesTheOrder(t *testing.T) {
	s := newScript(t)
	s.a.config.Nodes["host"] = Node{trace.IPv4: {trace.NFTables: trace.Tables()}}
	s.variant = trace.NFTables
	s.packet(1, trace.SYN, "192.0.2.1:4000", "192.168.23.149:80")
	s.events("host INPUT filter/INPUT empty in=wan\nhost INPUT nat/INPUT empty\nhost INPUT security/INPUT empty")
	s.wait(3 * time.Millisecond)
	s.expect("walk 1 flow 1: delivered", "host filter/INPUT 0 ACCEPT (policy)", "host nat/INPUT 0 ACCEPT (policy)", "host security/INPUT 0 ACCEPT (policy)")
}

// Where both variants hold rules, a packet passes both filter tables, in an
// order that only the kernel knows.
func TestBothVariants(t *testing.T) {
	for _, order := range [][]trace.Variant{{trace.Legacy, trace.NFTables}, {trace.NFTables, trace.Legacy}} {
		s := newScript(t)
		s.a.config.Nodes["host"] = Node{trace.IPv4: {trace.Legacy: {trace.Filter}, trace.NFTables: {trace.Filter}}}
		s.packet(1, trace.SYN, "192.0.2.1:4000", "192.168.23.149:80")
		s.variant = order[0]
		s.events("host INPUT filter/INPUT empty in=wan")
		s.wait(10 * time.Millisecond)
		s.expect()
		s.variant = order[1]
		s.events("host INPUT filter/INPUT empty in=wan")
		s.wait(10 * time.Millisecond)
		s.expect("walk 1 flow 1: delivered", "host filter/INPUT 0 ACCEPT (policy)", "host filter/INPUT 0 ACCEPT (policy)")
	}
}

func TestTimesNeverRunBackwards(t *testing.T) {
	s := newScript(t)
	s.packet(1, trace.ACK, "192.168.23.1:4000", "192.168.23.149:80")
	s.events(clientOut)
	// The host's events carry the kernel's time, before the client's were read.
	s.last.KernelTime = true
	s.now = s.now.Add(-time.Millisecond)
	s.events("host PREROUTING raw/PREROUTING empty in=ens33\nhost PREROUTING mangle/PREROUTING empty ct=ESTABLISHED\n" + hostIn)
	s.wait(5 * time.Millisecond)
	walks := s.a.Take(s.now, true)
	if len(walks) != 1 {
		t.Fatalf("%d walks, want 1", len(walks))
	}
	if !slices.IsSortedFunc(walks[0].Steps, func(a, b trace.Step) int { return a.Time.Compare(b.Time) }) {
		t.Errorf("the times of the steps run backwards: %v", walks[0].Steps)
	}
}

func TestMemoryIsGivenBack(t *testing.T) {
	s := newScript(t)
	for i := range 1000 {
		s.packet(i, trace.SYN, fmt.Sprintf("192.0.2.1:%d", 1000+i), "192.168.23.149:80")
		s.events("host INPUT filter/INPUT 1:DROP in=wan")
		if i%100 == 0 {
			s.a.Take(s.now.Add(5*time.Millisecond), true)
		}
	}
	s.wait(10 * time.Millisecond)
	s.a.Take(s.now, true)
	s.wait(20 * time.Minute)
	if len(s.a.walks) != 0 || len(s.a.legs) != 0 || len(s.a.flows.byTuple) != 0 {
		t.Errorf("%d walks, %d packets, %d flows are kept", len(s.a.walks), len(s.a.legs), len(s.a.flows.byTuple))
	}
}

func BenchmarkAdd(b *testing.B) {
	s := newScript(b)
	for i := 0; b.Loop(); i++ {
		s.packet(i, trace.ACK, "192.0.2.1:4000", "192.168.23.149:80")
		s.events("host PREROUTING raw/PREROUTING empty in=wan\nhost PREROUTING mangle/PREROUTING empty ct=ESTABLISHED\n" + hostIn)
		if i%100 == 0 {
			s.wait(3 * time.Second)
			s.a.Take(s.now, true)
		}
	}
}

// The families have their own tables: what only IPv6 packets visit is not
// waited for.
func TestFamiliesHaveTheirOwnTables(t *testing.T) {
	s := newScript(t)
	s.a.config.Nodes["host"] = Node{
		trace.IPv4: {trace.Legacy: {trace.Mangle, trace.Filter}},
		trace.IPv6: {trace.NFTables: trace.Tables()},
	}
	s.packet(1, trace.ACK, "192.0.2.1:4000", "192.168.23.149:80")
	s.events("host INPUT mangle/INPUT empty in=wan\nhost INPUT filter/INPUT empty")
	s.wait(10 * time.Millisecond)
	s.expect("walk 1 flow 1: delivered", "host mangle/INPUT 0 ACCEPT (policy)", "host filter/INPUT 0 ACCEPT (policy)")
}
