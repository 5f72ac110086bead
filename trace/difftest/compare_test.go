package difftest

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"packetwalk/trace"
)

// line is one thing that both sides report of a packet: a base chain that it
// entered, a rule that matched, a chain that returned at its end, or a policy.
type line struct {
	hook    trace.Hook
	table   trace.Table
	chain   string
	rule    int // 0 for the chain itself
	policy  bool
	verdict trace.Verdict
	target  string // the chain of a jump or goto; on entering, the packet's addresses
	text    string // only from packetwalk
}

// entering is the line of a packet that enters the base chain of a hook.
func entering(h trace.Hook, table trace.Table, src, dst netip.AddrPort) line {
	return line{hook: h, table: table, chain: h.String(), verdict: trace.Continue, target: fmt.Sprintf("entered, %s > %s", src, dst)}
}

func (l line) String() string {
	s := fmt.Sprintf("%s %s/%s %d %s", l.hook, l.table, l.chain, l.rule, l.verdict)
	if l.target != "" {
		s += " " + l.target
	}
	if l.policy {
		s += " (policy)"
	}
	return s
}

// packetKey is what both sides know of a packet and nothing on its way changes.
type packetKey struct {
	window int
	family trace.Family
	proto  trace.Proto
	flags  trace.TCPFlags
	seq    uint32
	ack    uint32
	typ    uint8
	code   uint8
	echo   uint16
	length int
}

func keyOf(p trace.Packet, window int) packetKey {
	k := packetKey{
		window: window, family: p.Family, proto: p.Proto, flags: p.Flags, seq: p.Seq, ack: p.Ack,
		typ: p.ICMPType, code: p.ICMPCode, echo: p.ICMPSeq, length: p.Length,
	}
	if p.Proto == trace.TCP {
		k.length = 0 // TCPMSS may add an option
	}
	return k
}

// packets is how many packets lines tell of: errors and redirects may be alike
// in all that a key holds. No packet enters a base chain twice.
func packets(lines []line) int {
	entered := map[line]int{}
	most := 0
	for _, l := range lines {
		if l.rule == 0 && l.verdict == trace.Continue {
			l.target = "" // wherever it was going
			entered[l]++
			most = max(most, entered[l])
		}
	}
	return most
}

// linesOf are the lines of a walk. Entering a user-defined chain is no line: the
// kernel does not report it.
func linesOf(w trace.Walk) []line {
	var lines []line
	type station struct {
		hook  trace.Hook
		table trace.Table
	}
	var at station
	for _, s := range w.Steps {
		if s.Table == trace.ConntrackTable {
			continue
		}
		if here := (station{s.Hook, s.Table}); here != at {
			at = here
			lines = append(lines, entering(s.Hook, s.Table, s.Src, s.Dst))
		}
		if s.Rule == 0 && !s.Policy && s.Verdict != trace.Return {
			continue
		}
		l := line{s.Hook, s.Table, s.Chain, s.Rule, s.Policy, s.Verdict, "", s.Text}
		if s.Verdict == trace.Jump || s.Verdict == trace.Goto {
			l.target = s.Target
		}
		lines = append(lines, l)
	}
	return lines
}

// agrees says whether a line of packetwalk is the one of the kernel.
func agrees(walk, kernel line) bool {
	same := walk
	same.verdict, same.text = kernel.verdict, kernel.text
	return same == kernel && slices.Contains(kernelVerdicts(walk.verdict), kernel.verdict)
}

// kernelVerdicts are the verdicts that the kernel may give where packetwalk
// names a target: that of REJECT is to drop the packet, a translation accepts
// it, or drops it where there is no address to translate to.
func kernelVerdicts(v trace.Verdict) []trace.Verdict {
	switch {
	case v == trace.Reject:
		return []trace.Verdict{trace.Drop}
	case v == "NFQUEUE":
		return []trace.Verdict{"QUEUE"}
	case v == "TPROXY":
		return []trace.Verdict{trace.Accept, trace.Drop}
	case v == "SYNPROXY":
		return []trace.Verdict{"STOLEN", trace.Drop, trace.Continue}
	case v.Rewrites():
		return []trace.Verdict{trace.Accept, trace.Drop}
	}
	return []trace.Verdict{v}
}

// difference compares the lines of one packet. It is empty where the two agree.
func difference(walk, kernel []line) string {
	var out strings.Builder
	equal := true
	for len(walk) > 0 || len(kernel) > 0 {
		switch {
		case len(walk) > 0 && len(kernel) > 0 && agrees(walk[0], kernel[0]):
			fmt.Fprintf(&out, "    %s\n", kernel[0])
			walk, kernel = walk[1:], kernel[1:]
		case len(kernel) > 0 && !slices.ContainsFunc(walk, func(l line) bool { return agrees(l, kernel[0]) }):
			equal = false
			fmt.Fprintf(&out, "  - %s\n", kernel[0])
			kernel = kernel[1:]
		case len(walk) > 0:
			equal = false
			fmt.Fprintf(&out, "  + %s   %s\n", walk[0], walk[0].text)
			walk = walk[1:]
		}
	}
	if equal {
		return ""
	}
	return out.String()
}
