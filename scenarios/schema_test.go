package scenarios

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"packetwalk/assets"
	"packetwalk/lab"
	"packetwalk/trace"
)

// schema is as much of JSON schema as the schema of scenarios uses to say what
// fields there are.
type schema struct {
	Ref         string             `json:"$ref"`
	Enum        []string           `json:"enum"`
	Properties  map[string]*schema `json:"properties"`
	Items       *schema            `json:"items"`
	AllOf       []*schema          `json:"allOf"`
	OneOf       []*schema          `json:"oneOf"`
	Definitions map[string]*schema `json:"definitions"`
}

func readSchema(t *testing.T) *schema {
	t.Helper()
	var s schema
	if err := json.Unmarshal(assets.ScenarioSchema(), &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// fields gathers the fields of every mapping and the words of every enumeration
// of a schema, by path without indices.
func (s *schema) fields(path string, defs map[string]*schema, names, words map[string][]string) {
	if name, ok := strings.CutPrefix(s.Ref, "#/definitions/"); ok {
		s = defs[name]
	}
	for _, part := range slices.Concat(s.AllOf, s.OneOf) {
		part.fields(path, defs, names, words)
	}
	if len(s.Enum) > 0 {
		words[path] = s.Enum
	}
	if s.Items != nil {
		s.Items.fields(path+"[]", defs, names, words)
	}
	if s.Properties != nil {
		names[path] = slices.Sorted(maps.Keys(s.Properties))
	}
	for name, p := range s.Properties {
		p.fields(join(path, name), defs, names, words)
	}
}

// TestSchemaFields holds the schema's fields to those that the reader knows, in
// every mapping of a file: complete has one of each.
func TestSchemaFields(t *testing.T) {
	d := Read("complete.yaml", []byte(complete))
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	known := map[string][]string{}
	for path, f := range d.reader.known {
		known[path] = slices.Sorted(maps.Keys(f))
	}
	s := readSchema(t)
	names := map[string][]string{}
	s.fields("", s.Definitions, names, map[string][]string{})
	// Expectations, commands and places are read alike wherever they stand.
	for path, twin := range map[string]string{
		"steps[].goal.expect[]": "steps[].expect[]", "steps[].goal.expect[].end": "steps[].expect[].through[]",
		"steps[].goal.expect[].through[]": "steps[].expect[].through[]", "steps[].goal.expect[].avoids[]": "steps[].expect[].through[]",
		"steps[].expect[].end": "steps[].expect[].through[]", "steps[].expect[].avoids[]": "steps[].expect[].through[]",
		"steps[].goal.solution[]": "steps[].run[]",
	} {
		known[path] = known[twin]
	}
	if diff := cmp.Diff(known, names); diff != "" {
		t.Errorf("(-reader +schema):\n%s", diff)
	}
}

// TestSchemaWords holds the schema's words to those that Validate lets pass.
func TestSchemaWords(t *testing.T) {
	s := readSchema(t)
	words := map[string][]string{}
	s.fields("", s.Definitions, map[string][]string{}, words)
	place := "steps[].expect[].through[]."
	want := map[string][]string{
		"kind": wordsOf(Lesson, Challenge), "iptables": {"nft", "legacy", "both"},
		"nodes[].kind":        wordsOf(lab.Host, lab.Container, lab.Machine),
		"nodes[].loopback":    {"up", "down"},
		"services[].protocol": wordsOf(lab.HTTP, lab.TCPEcho, lab.UDPEcho), "clients[].protocol": wordsOf(protocols...),
		"steps[].expect[].protocol": wordsOf(protocols...), "steps[].expect[].packet": wordsOf(packets...),
		"steps[].expect[].outcome": wordsOf(outcomes...),
		place + "hook":             hookNames(), place + "table": wordsOf(append(trace.Tables(), trace.ConntrackTable)...),
		place + "verdict": wordsOf(verdicts...), place + "state": wordsOf(states...),
	}
	for path, w := range words {
		twin := strings.Replace(path, ".goal.expect[]", ".expect[]", 1)
		for _, other := range []string{".end.", ".avoids[]."} {
			twin = strings.Replace(twin, other, ".through[].", 1)
		}
		if diff := cmp.Diff(want[twin], w); diff != "" {
			t.Errorf("%s (-reader +schema):\n%s", path, diff)
		}
	}
	for path := range want {
		if words[path] == nil {
			t.Errorf("%s has no enumeration in the schema", path)
		}
	}
}

func wordsOf[T ~string](all ...T) []string {
	out := make([]string, len(all))
	for i, w := range all {
		out[i] = string(w)
	}
	return out
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(assets.ScenarioSchema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("scenario.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("scenario.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func validateYAML(t *testing.T, s *jsonschema.Schema, data []byte) error {
	t.Helper()
	text, err := yaml.YAMLToJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

// TestSchemaLetsPass validates every scenario of the catalogue, and complete.
func TestSchemaLetsPass(t *testing.T) {
	s := compileSchema(t)
	if err := validateYAML(t, s, []byte(complete)); err != nil {
		t.Error(err)
	}
	for _, folder := range folders {
		paths, err := fs.Glob(files, folder+"/*.yaml")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			data, err := files.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := validateYAML(t, s, data); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}

// TestSchemaRefuses sees that a file whose form is wrong does not validate.
func TestSchemaRefuses(t *testing.T) {
	s := compileSchema(t)
	for _, name := range []string{"fields", "steps", "scalar", "challenge"} {
		data, err := os.ReadFile(filepath.Join("testdata", "faults", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if err := validateYAML(t, s, data); err == nil {
			t.Errorf("%s.yaml validates", name)
		}
	}
}
