package tui

import (
	"packetwalk/trace/why"
)

// Why prints an answer: whether the target is reachable and the one thing to
// blame, the evidence with the walks in brief, the fix, and what could not be
// seen. Commands are never broken, so that they can be copied.
func (p *Plain) Why(a why.Answer) error {
	t := newAnswerText(newWords(p.Lang), a, p.Width)
	t.whole = true
	var lines []string
	for _, l := range t.join(t.headline(), t.asked(), t.because(), t.culprit(), t.evidence(), t.fix(), t.unseen(), t.assumed()) {
		lines = append(lines, lineText(l))
	}
	return p.write("the answer", lines)
}
