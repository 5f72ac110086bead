package scenarios

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// docs reads the description of the format.
func docs(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/scenarios.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// documented is the example of the description.
func documented(t *testing.T) []byte {
	t.Helper()
	_, rest, found := strings.Cut(docs(t), "```yaml\n")
	example, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("there is no example in docs/scenarios.md")
	}
	return []byte(example)
}

// TestDocsExample reads the example, and holds it to the schema that it names.
func TestDocsExample(t *testing.T) {
	example := documented(t)
	s, err := Parse("closed-door.yaml", example)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Steps) < 2 || s.Steps[1].Goal == nil || s.Steps[0].Ask == nil {
		t.Error("the example lacks a question or a goal")
	}
	if err := validateYAML(t, compileSchema(t), example); err != nil {
		t.Error(err)
	}
}

// TestDocsFields sees that the description names every field there is.
func TestDocsFields(t *testing.T) {
	text := docs(t)
	for path, known := range Read("complete.yaml", []byte(complete)).reader.known {
		for _, name := range slices.Sorted(maps.Keys(known)) {
			if !strings.Contains(text, "`"+name+"`") && !strings.Contains(text, "`"+name+":") {
				t.Errorf("docs/scenarios.md does not name the field %q of %s", name, path)
			}
		}
	}
}
