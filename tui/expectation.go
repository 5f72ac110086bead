package tui

import (
	"net/netip"
	"slices"
	"strings"

	"packetwalk/scenarios"
	"packetwalk/scenarios/expect"
	"packetwalk/trace"
)

// expectation says what is expected: in the scenario's own words, or in ours.
func (w words) expectation(e scenarios.Expectation) string {
	if text := e.Text.In(w.lang); text != "" {
		return text
	}
	m := w.m.Expect
	parts := w.clauses(e)
	subject := map[scenarios.Which]string{"": m.First, scenarios.First: m.First, scenarios.Reply: m.Reply, scenarios.Every: m.Every, scenarios.None: m.None}[e.Packet]
	if len(parts) > 0 || e.Packet == scenarios.None || e.Answered == nil {
		subject = fill(subject, "what", w.packets(e))
		if len(parts) > 0 {
			subject = fill(m.Sentence, "subject", subject, "clauses", strings.Join(parts, m.Join))
		}
		parts = []string{subject}
	}
	if e.Answered != nil {
		parts = append(parts, choose(*e.Answered, m.Answered, m.NotAnswered))
	}
	return escapeMarkdown(clean(strings.Join(parts, m.Join)))
}

// packets names the packets that an expectation is about.
func (w words) packets(e scenarios.Expectation) string {
	m := w.m.Expect
	if e.Request != "" {
		return fill(m.Request, "request", e.Request)
	}
	from, to := "", ""
	if e.From != "" {
		from = fill(m.From, "node", e.From)
	}
	if e.To.IsValid() {
		to = fill(m.To, "addr", addr(e.To))
	}
	return fill(m.Packets, "protocol", strings.ToUpper(string(e.Protocol)), "from", from, "to", to)
}

// clauses are what must hold of a walk.
func (w words) clauses(e scenarios.Expectation) []string {
	m := w.m.Expect
	var parts []string
	if e.Outcome != "" {
		parts = append(parts, fill(m.Outcome, "outcome", w.outcomeWord(e.Outcome)))
	}
	if e.At != "" {
		parts = append(parts, fill(m.At, "node", e.At))
	}
	if e.End != nil {
		parts = append(parts, fill(m.End, "place", w.where(*e.End)))
	}
	for _, way := range []struct {
		text   string
		places []scenarios.Place
	}{{m.Through, e.Through}, {m.Avoids, e.Avoids}} {
		if len(way.places) > 0 {
			parts = append(parts, fill(way.text, "places", w.wheres(way.places)))
		}
	}
	for _, end := range []struct {
		text string
		addr netip.AddrPort
	}{{m.Src, e.Src}, {m.Dst, e.Dst}} {
		if end.addr.IsValid() {
			parts = append(parts, fill(end.text, "addr", addr(end.addr)))
		}
	}
	return parts
}

func (w words) wheres(places []scenarios.Place) string {
	all := make([]string, len(places))
	for i, p := range places {
		all[i] = w.where(p)
	}
	return strings.Join(all, ", ")
}

// where names a place as far as it is described: "host nat/DOCKER rule 2 DNAT".
func (w words) where(p scenarios.Place) string {
	m := w.m.Expect
	table := string(p.Table)
	if p.Chain != "" {
		table = choose(table == "", p.Chain, table+"/"+p.Chain)
	}
	parts := []string{p.Node, p.Hook, table}
	if p.Rule > 0 {
		parts = append(parts, fill(m.Rule, "rule", itoa(p.Rule)))
	}
	if p.Policy {
		parts = append(parts, m.Policy)
	}
	parts = append(parts, string(p.Verdict), p.Target)
	for _, f := range []struct{ text, name string }{{m.In, p.In}, {m.Out, p.Out}} {
		if f.name != "" {
			parts = append(parts, fill(f.text, "name", f.name))
		}
	}
	if p.State != "" {
		parts = append(parts, fill(m.State, "state", string(p.State)))
	}
	for _, f := range []struct {
		text string
		addr netip.AddrPort
	}{{w.m.Packet.Src, p.Src}, {w.m.Packet.Dst, p.Dst}} {
		if f.addr.IsValid() {
			parts = append(parts, f.text+" "+addr(f.addr))
		}
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

// fault says why an expectation does not hold, and what happened instead where
// the walk that decided is known.
func (w words) fault(r expect.Result, walks []trace.Walk) string {
	m := w.m.Fault
	text, ok := map[expect.Fault]string{
		expect.NoPacket: m.NoPacket, expect.SeenPacket: m.SeenPacket, expect.NoAnswer: m.NoAnswer, expect.HasAnswer: m.HasAnswer,
		expect.WrongOutcome: m.WrongOutcome, expect.WrongNode: m.WrongNode, expect.WrongEnd: m.WrongEnd,
		expect.NotThrough: m.NotThrough, expect.NotAvoided: m.NotAvoided, expect.WrongAddress: m.WrongAddress,
	}[r.Fault]
	if !ok {
		text = string(r.Fault)
	}
	i := slices.IndexFunc(walks, func(walk trace.Walk) bool { return walk.ID == r.Walk })
	if i < 0 {
		return clean(text)
	}
	switch r.Fault {
	case expect.WrongOutcome, expect.WrongNode, expect.WrongEnd:
		text = fill(m.Instead, "fault", text, "outcome", w.outcome(walks[i]))
	case expect.WrongAddress:
		end := walks[i].Steps[len(walks[i].Steps)-1]
		text = fill(m.Instead, "fault", text, "outcome", addr(end.Src)+" → "+addr(end.Dst))
	}
	return clean(fill(m.InWalk, "fault", text, "walk", itoa(r.Walk)))
}
