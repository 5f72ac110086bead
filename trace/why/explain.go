package why

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"packetwalk/trace"
)

// Finding is what a finder says when its cause is the one.
type Finding struct {
	Culprit Culprit
	Fix     Fix
	Values  Values
	Facts   []Fact
	Unseen  []Fact
}

// Unknown is the cause where the evidence does not suffice.
const Unknown Name = "unknown"

// Explain says whether the target was reached and, where it was not, why.
func Explain(e Evidence) Answer {
	c := newCase(e)
	a := Answer{Question: e.Question, Attempt: e.Attempt}
	if e.Attempt.Result == Answered {
		a.Reachable = true
		a.Evidence = append(c.course(), c.page()...)
		return a
	}
	entry, found := c.find()
	a.Cause, a.Fix, a.Evidence, a.Unseen = entry.Name, found.Fix, append(c.course(), found.Facts...), found.Unseen
	if found.Culprit.Kind != "" {
		a.Culprit = &found.Culprit
	}
	a.Values = c.values()
	maps.Copy(a.Values, found.Culprit.values())
	maps.Copy(a.Values, found.Values)
	a.Evidence = append(a.Evidence, c.kernelsWord(entry)...)
	if e.Lost > 0 {
		a.Unseen = append(a.Unseen, Fact{Kind: EventsLost, Values: Values{"events": strconv.FormatUint(e.Lost, 10)}, Step: -1})
	}
	return a
}

// find tries the causes in their order. The kernel's own word decides between
// those that fit otherwise.
func (c *Case) find() (Cause, Finding) {
	var first *Cause
	var finding Finding
	for i, entry := range causes {
		f := entry.Find(c)
		if f == nil {
			continue
		}
		if c.confirmed(entry) {
			return entry, *f
		}
		if first == nil {
			first, finding = &causes[i], *f
		}
	}
	if first == nil {
		return causeUnknown, c.unknown()
	}
	return *first, finding
}

// confirmed says whether the kernel gave a reason that the cause has. Where it
// gave none, that speaks for no cause.
func (c *Case) confirmed(entry Cause) bool {
	return slices.ContainsFunc(c.Drops, func(d Drop) bool { return slices.Contains(entry.Reasons, d.Reason) })
}

// kernelsWord are the kernel's reasons as evidence. They contradict only a cause that was named.
func (c *Case) kernelsWord(entry Cause) []Fact {
	var facts []Fact
	for _, d := range c.Drops {
		kind := KernelAgrees
		if entry.Name != causeUnknown.Name && !slices.Contains(entry.Reasons, d.Reason) {
			kind = KernelOther
		}
		facts = append(facts, Fact{Kind: kind, Values: Values{"reason": d.Reason, "function": d.Location, "node": d.Node}, Step: -1})
	}
	return facts
}

// values are those that every text may use.
func (c *Case) values() Values {
	t := c.Question.Target
	v := Values{"target": t.String(), "addr": t.Addr.Addr().String(), "port": strconv.Itoa(int(t.Addr.Port())), "proto": t.Proto.String(), "from": c.Question.From}
	if c.Attempt.Local.IsValid() {
		v["src"] = c.Attempt.Local.Addr().String()
	}
	if at, ok := c.Arrived(); ok {
		v["at"], v["dst"] = at.Node, endpoint(at.Dst)
	}
	return v
}

// values are those of the culprit.
func (p Culprit) values() Values {
	return Values{
		"node": p.Node, "table": string(p.Table), "chain": p.Chain, "rule": strconv.Itoa(p.Rule), "text": p.Text,
	}
}

// String is the target as one would type it.
func (t Target) String() string {
	addr := t.Name
	switch {
	case addr == "" && t.Addr.Port() == 0:
		addr = t.Addr.Addr().String()
	case addr == "":
		addr = t.Addr.String()
	case t.Addr.Port() != 0:
		addr = fmt.Sprintf("%s:%d", t.Name, t.Addr.Port())
	}
	switch {
	case t.HTTP:
		return "http://" + addr + cmp.Or(t.Path, "/")
	case t.Proto == trace.TCP:
		return addr
	case t.Proto == trace.ICMPv6:
		return trace.ICMP.String() + "/" + addr
	}
	return t.Proto.String() + "/" + addr
}

// culpritOf is the rule or policy of a step.
func culpritOf(s trace.Step) Culprit {
	p := Culprit{Kind: Rule, Node: s.Node, Variant: s.Variant.String(), Table: s.Table, Chain: s.Chain, Rule: s.Rule, Text: s.Text}
	if s.Policy {
		p.Kind, p.Rule, p.Text = Policy, 0, fmt.Sprintf("-P %s %s", s.Chain, s.Verdict)
	}
	return p
}
