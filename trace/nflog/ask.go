package nflog

import (
	"slices"

	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

// An Ask probe is a rule with the TRACE target right in front of a rule whose
// matches must not run twice and whose target may let the packet go on. From
// there on the kernel's trace of nf_tables tells which rules the packet
// matches: the next thing that it tells is that rule, or something behind it.
// TRACE takes no prefix; a comment stands in for it.

// around plans the probes around a rule whose matches must not run twice: those
// directly in front of it, and those directly behind. What may be asked twice
// narrows them down: a packet that fails it cannot match, and costs no event.
func (p *Plan) around(rule trace.Probe, own own) (before, behind []wanted) {
	match := sideEffectFree(own.parts)
	rule.Asked = p.subject.Ask && !rule.Verdict.Leaves()
	before = []wanted{{as(rule, trace.Reach), match, own}}
	if rule.Asked {
		before = append(before, wanted{as(rule, trace.Ask), sideEffectFree(withoutComments(own.parts)), own})
	}
	if tells(rule) {
		behind = []wanted{{as(rule, trace.Passed), match, own}}
	}
	return before, behind
}

// withoutComments leaves out what matches every packet, and might be taken for
// the comment of an Ask probe.
func withoutComments(all []part) []part {
	return slices.DeleteFunc(slices.Clone(all), func(p part) bool { return p.module == "comment" })
}

// asks says whether the plan has Ask probes.
func (p *Plan) asks() bool {
	for _, probe := range p.Probes {
		if probe.Kind == trace.Ask {
			return true
		}
	}
	return false
}

// prefixOption names the option that holds the prefix where a rule is a probe,
// and the words of the rule among which it stands.
func prefixOption(r ruleset.Rule) (words []string, option string) {
	switch r.Target {
	case "NFLOG":
		return r.Options, "--nflog-prefix"
	case "TRACE":
		return r.Match, "--comment"
	}
	return nil, ""
}

// probePrefix reads the prefix of a rule that is a probe, of this or another trace.
func probePrefix(r ruleset.Rule) (Prefix, bool) {
	words, option := prefixOption(r)
	i := slices.Index(words, option)
	if i < 0 || i+1 == len(words) {
		return Prefix{}, false
	}
	return ParsePrefix(words[i+1])
}
