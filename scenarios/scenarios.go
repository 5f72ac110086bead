// Package scenarios is the catalogue of labs that come with the program, and
// the reader of the YAML files that describe them. What a file means is said in
// the comments of the type Scenario; building what it describes is left to
// package lab.
package scenarios

import (
	"embed"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"packetwalk/lab"
)

//go:embed *.yaml
var files embed.FS

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

// UnknownError says that the catalogue has no scenario of this name.
type UnknownError struct{ Name string }

func (e *UnknownError) Error() string {
	return fmt.Sprintf("there is no scenario %q; there are: %s", e.Name, strings.Join(names(), ", "))
}

// names lists the scenarios of the catalogue in the order of the alphabet.
func names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic("reading the embedded scenarios: " + err.Error()) // the compiler has put them there
	}
	all := make([]string, len(entries))
	for i, e := range entries {
		all[i] = strings.TrimSuffix(e.Name(), path.Ext(e.Name()))
	}
	return all
}

// List is the catalogue, in the order of the alphabet.
func List() []Scenario {
	var all []Scenario
	for _, name := range names() {
		s, err := Load(name)
		if err != nil {
			panic(err) // a test reads every embedded scenario
		}
		all = append(all, s)
	}
	return all
}

// Load finds a scenario of the catalogue by name. The error is an *UnknownError
// where there is none.
func Load(name string) (Scenario, error) {
	if !slices.Contains(names(), name) {
		return Scenario{}, &UnknownError{name}
	}
	file := name + ".yaml"
	data, err := files.ReadFile(file)
	if err != nil {
		return Scenario{}, fmt.Errorf("reading scenario %s: %w", name, err)
	}
	return Parse(file, data)
}
