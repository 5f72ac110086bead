package why

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every cause is in the document, has a lab of its name, and words in both languages.
func TestCausesAreComplete(t *testing.T) {
	document, err := os.ReadFile("../../docs/causes.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, line := range strings.Split(string(document), "\n") {
		cell, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		for _, m := range regexp.MustCompile("`([a-z0-9-]+)`").FindAllStringSubmatch(cell, -1) {
			if strings.HasPrefix(line, "| `") {
				named[m[1]] = true
			}
		}
	}
	for _, c := range Causes() {
		name := string(c.Name)
		if !named[name] {
			t.Errorf("docs/causes.md does not name %s", name)
		}
		delete(named, name)
		for _, w := range []Words{c.Title, c.Because} {
			if w.En == "" || w.Zh == "" {
				t.Errorf("%s: a text is missing in %+v", name, w)
			}
		}
		if (c.Opens.En == "") != (c.Opens.Zh == "") {
			t.Errorf("%s: what its fix opens is told in one language only", name)
		}
		labs, _ := filepath.Glob("testdata/causes/" + name + "*.yaml")
		if len(labs) == 0 {
			t.Errorf("%s has no lab in testdata/causes", name)
		}
	}
	for name := range named {
		t.Errorf("docs/causes.md names %s, which is no cause", name)
	}
}

// The texts of one language use the braces of the other.
func TestWordsFillAlike(t *testing.T) {
	braces := func(text string) map[string]bool {
		all := map[string]bool{}
		for _, b := range regexp.MustCompile(`\{[a-z]+\}`).FindAllString(text, -1) {
			all[b] = true
		}
		return all
	}
	for _, c := range Causes() {
		for _, w := range []Words{c.Title, c.Because, c.Opens} {
			en, zh := braces(w.En), braces(w.Zh)
			for b := range zh {
				if !en[b] {
					t.Errorf("%s: %s is in the Chinese text only: %s", c.Name, b, w.Zh)
				}
			}
		}
	}
}
