package tui

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"packetwalk/trace"
	"packetwalk/trace/why"
)

func printed(t *testing.T, a why.Answer, lang string, w int) string {
	t.Helper()
	var b strings.Builder
	if err := (&Plain{W: &b, Lang: lang, Width: w}).Why(a); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPlainWhy(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		var b strings.Builder
		all := answers()
		for _, name := range slices.Sorted(maps.Keys(all)) {
			fmt.Fprintf(&b, "== %s\n%s", name, printed(t, all[name], lang, 80))
		}
		fmt.Fprintf(&b, "== no terminal\n%s", printed(t, blocked(), lang, 0))
		golden(t, "why-plain-"+lang, b.String())
	}
}

// An answer of the usual size is seen at once, and its commands can be copied.
func TestPlainWhyFitsTheScreen(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		for name, a := range answers() {
			text := printed(t, a, lang, 80)
			lines := strings.Split(strings.TrimSpace(text), "\n")
			if len(lines) > 23 {
				t.Errorf("%s, %s: %d lines", name, lang, len(lines))
			}
			for _, c := range a.Fix.Commands {
				if !strings.Contains(text, "\n    "+c+"\n") {
					t.Errorf("%s, %s: the command %q is not whole", name, lang, c)
				}
			}
			for _, l := range lines {
				if width(l) > 80 && !strings.HasPrefix(l, codeIndent) {
					t.Errorf("%s, %s: %d columns: %q", name, lang, width(l), l)
				}
			}
		}
	}
}

func TestPlainWhyIsSafe(t *testing.T) {
	for _, w := range []int{0, 20, 80} {
		for _, r := range printed(t, hostile(), "en", w) {
			if r != '\n' && unsafe(r) {
				t.Fatalf("width %d: %q reaches the terminal", w, r)
			}
		}
	}
}

// Of many walks the request's, the reply's and the one that decided are told.
func TestToldWalks(t *testing.T) {
	a := unheard()
	for id := 3; id <= 7; id++ {
		w := resetWalk()
		w.ID = id
		a.Attempt.Walks = append(a.Attempt.Walks, w)
		a.Evidence = append(a.Evidence, fact(why.RefusalCame, w, -1))
	}
	last := &a.Attempt.Walks[len(a.Attempt.Walks)-1]
	last.Steps[2].Rule, last.Steps[2].Policy = 4, false
	a.Culprit = &why.Culprit{Kind: why.Rule, Node: "c1", Table: last.Steps[2].Table, Chain: last.Steps[2].Chain, Rule: 4}
	told, more := toldWalks(a)
	var ids []int
	for _, w := range told {
		ids = append(ids, w.ID)
	}
	if !slices.Equal(ids, []int{1, 2, 7}) || more != 4 {
		t.Errorf("told are the walks %v, and %d more", ids, more)
	}
	if text := printed(t, a, "en", 80); !strings.Contains(text, "decided here") || !strings.Contains(text, "more walks of this request: 4\n") {
		t.Errorf("the step that decided or the other walks are missing:\n%s", text)
	}
}

// What the kernel says twice is said once, and the way of a lost notice not at all.
func TestPlainWhyIsBrief(t *testing.T) {
	a := blocked()
	notice := resetWalk()
	notice.Packet.Embedded, notice.Outcome = &trace.Packet{}, trace.Lost
	a.Attempt.Walks = append(a.Attempt.Walks, notice)
	a.Evidence = append(a.Evidence, fact(why.RefusalCame, notice, -1), a.Evidence[2])
	text := printed(t, a, "en", 80)
	if n := strings.Count(text, "NETFILTER_DROP"); n != 1 {
		t.Errorf("the kernel's word is said %d times", n)
	}
	if !strings.Contains(text, "notice (walk 2), lost") || strings.Contains(text, "c1: OUTPUT") {
		t.Errorf("the notice is missing, or its way is told:\n%s", text)
	}
}

func TestDecided(t *testing.T) {
	policy := blocked()
	policy.Culprit = &why.Culprit{Kind: why.Policy, Node: "host", Table: trace.Filter, Chain: "FORWARD"}
	policy.Attempt.Walks = []trace.Walk{droppedWalk()}
	elsewhere := blocked()
	elsewhere.Culprit.Rule = 7
	before := blocked()
	before.Culprit = &why.Culprit{Kind: why.Rule, Node: "host", Table: trace.NAT, Chain: "DOCKER", Rule: 2}
	other := before
	other.Culprit = &why.Culprit{Kind: why.Rule, Node: "host", Variant: "nft", Table: trace.NAT, Chain: "DOCKER", Rule: 2}
	// A reset that got lost is of less interest than the reply that did.
	replyLost := unheard()
	reply := synAckWalk()
	reply.ID, reply.Outcome = 3, trace.Lost
	replyLost.Attempt.Walks[1].Outcome = trace.Lost
	replyLost.Attempt.Walks = append(replyLost.Attempt.Walks, reply)
	replyLost.Evidence = append(replyLost.Evidence, fact(why.ReplyEnded, reply, reply.End))
	noWalk := blocked()
	noWalk.Attempt.Walks = nil
	pointed := unheard()
	pointed.Evidence = pointed.Evidence[:1]
	for name, c := range map[string]struct {
		a    why.Answer
		want decision
		ok   bool
	}{
		"the culprit's rule":          {blocked(), decision{1, blockedWalk().End}, true},
		"the culprit's policy":        {policy, decision{4, droppedWalk().End}, true},
		"the walk's bad end":          {elsewhere, decision{1, blockedWalk().End}, true},
		"a culprit before the end":    {before, decision{1, 12}, true},
		"another variant's rule":      {other, decision{1, blockedWalk().End}, true},
		"the reply's bad end":         {replyLost, decision{3, reply.End}, true},
		"what the evidence says last": {unheard(), decision{1, synWalk().End}, true},
		"what it says at all":         {pointed, decision{1, 12}, true},
		"the request's arrival":       {served(), decision{1, synWalk().End}, true},
		"nothing was seen":            {noWalk, decision{}, false},
	} {
		if got, ok := decided(c.a); got != c.want || ok != c.ok {
			t.Errorf("%s: %v, %v; want %v, %v", name, got, ok, c.want, c.ok)
		}
	}
}
