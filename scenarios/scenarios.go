// Package scenarios is the catalogue of labs that come with the program, and
// the reader of the YAML files that describe them. What a file means is said in
// the comments of the type Scenario; building what it describes is left to
// package lab.
package scenarios

import (
	"maps"
	"slices"

	"packetwalk/lab"
)

// Scenario is a lab, and the steps that lead through it. docs/scenarios.md
// describes its file.
type Scenario struct {
	Name    string
	Title   Text
	Summary Text
	Kind    Kind
	// Iptables is the variant of iptables that the scenario is about: "nft",
	// "legacy" or "both"; empty where it makes no difference.
	Iptables string
	Topology lab.Topology
	// Steps may be empty: then the request of the first client is all there is.
	Steps []Step
}

// Kind says what a scenario wants of its user.
type Kind string

// The kinds of scenario.
const (
	Lesson    Kind = "lesson"    // explains, and asks for something now and then
	Challenge Kind = "challenge" // something is broken, and the user is to mend it
)

// Text is a text in several languages, by language code: "en", "zh".
type Text map[string]string

// In is the text in a language: English where that is missing, and the first
// language of the alphabet where there is no English either.
func (t Text) In(lang string) string {
	for _, l := range []string{lang, "en"} {
		if s, ok := t[l]; ok {
			return s
		}
	}
	for _, l := range slices.Sorted(maps.Keys(t)) {
		return t[l]
	}
	return ""
}
