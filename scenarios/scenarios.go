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

// Scenario is a lab with the words that present it. Its file has these fields:
//
//	name:     a word; the file's own name where it is missing
//	title:    one line; one text, or one for each language (en: …, zh: …)
//	summary:  a few sentences, likewise
//	nodes:    a list of
//	    name, kind (host, container or machine),
//	    bridges:  a list of name, addresses
//	    sysctls:  a map, in order: "net.ipv4.ip_forward: 1"
//	    rules:    a list of iptables commands, as typed
//	    routes:   a list of routes as ip-route(8) has them: "default via 10.0.0.1 dev eth0"
//	links:    a list of veth pairs, each with
//	    ends:     two of node, interface, addresses, bridge
//	services: a list of node, protocol (http, tcp or udp), listen (a port, or
//	          address:port), reply
//	clients:  a list of name, node, protocol (also ping), to (address:port; an
//	          address for a ping)
type Scenario struct {
	Name     string
	Title    Text
	Summary  Text
	Topology lab.Topology
}

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
