package scenarios

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"packetwalk/lab"
)

// maxSize is the largest file that is read, in bytes: far beyond what anybody
// writes by hand.
const maxSize = 1 << 20

// Fault is one thing wrong with a scenario file. Line and column count from 1.
type Fault struct {
	File         string
	Line, Column int
	Problem      string
}

func (f *Fault) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Problem)
}

// Faults lists the faults that an error of Parse is made of, from the top of
// the file to its end.
func Faults(err error) []*Fault { return lab.Parts[*Fault](err) }

// Parse reads a scenario file and checks it, its topology included. The error
// joins every *Fault there is; see Faults. The file's name serves messages and,
// where the file gives no name, the scenario; nothing is opened.
func Parse(filename string, data []byte) (Scenario, error) {
	d := Read(filename, data)
	if err := d.Err(); err != nil {
		return Scenario{}, err
	}
	return d.Scenario, nil
}

// Draft is a scenario file as far as it can be read: where Err is not nil, parts
// of Scenario are missing.
type Draft struct {
	Scenario Scenario
	reader   *reader
}

// Read reads a file as Parse does, and gives what there is of it beside its faults.
func Read(filename string, data []byte) *Draft {
	r := &reader{
		file: filename, at: map[string]position{"": {1, 1}}, faulty: map[string]bool{},
		incomplete: map[string]bool{}, known: map[string]fields{},
	}
	d := &Draft{Scenario{Name: stem(filename), Kind: Lesson}, r}
	body := r.document(data)
	if body == nil {
		return d
	}
	if r.scenario(body, &d.Scenario); r.faulty[""] {
		return d // it is no mapping
	}
	unread := r.unread()
	for _, f := range lab.Faults(d.Scenario.Validate()) {
		if !unread(f.Path) {
			r.fault(f.Path, "%s", f.Problem)
		}
	}
	r.translations()
	return d
}

// Err joins the faults, each a *Fault, in the order of the file.
func (d *Draft) Err() error { return d.reader.err() }

// Fault adds a fault that was found otherwise, at a value in the words of lab.Fault.
func (d *Draft) Fault(f *lab.Fault) { d.reader.fault(f.Path, "%s", f.Problem) }

// stem is a file's name without its folder and what follows the dot.
func stem(filename string) string {
	base := filepath.Base(filename)
	return strings.TrimSuffix(base, filepath.Ext(base))
}

type position struct{ line, column int }

// reader walks through the syntax tree of a file. Instead of stopping at the
// first fault it gathers all of them.
type reader struct {
	file   string
	faults []*Fault
	// at holds where each value stands, by its path in the form of lab.Fault.
	at map[string]position
	// faulty holds the paths that have a fault, incomplete those of mappings
	// with a field that nobody knows: it may be a known one, misspelt.
	faulty, incomplete map[string]bool
	// known holds the fields of every mapping that was read, by its path
	// without indices.
	known map[string]fields
	texts []placedText
}

// placedText is a text and where it stands.
type placedText struct {
	path string
	text Text
}

// unread says of a path whether what was not understood there, within, or
// around it would show again: as a value that is missing.
func (r *reader) unread() func(path string) bool {
	faulty, incomplete := maps.Clone(r.faulty), maps.Clone(r.incomplete)
	return func(path string) bool {
		for f := range faulty {
			if isWithin(path, f) || isWithin(f, path) {
				return true
			}
		}
		_, there := r.at[path]
		return !there && incomplete[parent(path)]
	}
}

// isWithin says whether a path is another or leads into it.
func isWithin(path, of string) bool {
	rest, ok := strings.CutPrefix(path, of)
	return ok && (rest == "" || of == "" || rest[0] == '.' || rest[0] == '[')
}

// parent is the path of what holds a value.
func parent(path string) string { return path[:max(strings.LastIndexAny(path, ".["), 0)] }

// translations looks for texts that lack a language that others have.
func (r *reader) translations() {
	all := Text{}
	for _, t := range r.texts {
		maps.Copy(all, t.text)
	}
	for _, t := range r.texts {
		for _, lang := range slices.Sorted(maps.Keys(all)) {
			if _, ok := t.text[lang]; !ok && len(t.text) > 0 {
				r.fault(t.path, "the text is not there in %q, which other texts of this file are written in", lang)
			}
		}
	}
}

// fault notes a fault at a path; where there is no value, at what should hold it.
func (r *reader) fault(path, format string, args ...any) {
	at, ok := r.at[path]
	r.faulty[path] = true
	for !ok {
		path = parent(path)
		at, ok = r.at[path]
	}
	r.faultAt(at, format, args...)
}

func (r *reader) faultAt(at position, format string, args ...any) {
	r.faults = append(r.faults, &Fault{File: r.file, Line: at.line, Column: at.column, Problem: fmt.Sprintf(format, args...)})
}

// err joins the faults in the order of the file.
func (r *reader) err() error {
	slices.SortStableFunc(r.faults, func(a, b *Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	r.faults = slices.CompactFunc(r.faults, func(a, b *Fault) bool { return *a == *b })
	all := make([]error, len(r.faults))
	for i, f := range r.faults {
		all[i] = f
	}
	return errors.Join(all...)
}

// document reads the file as YAML; nil where there is nothing to go on with.
func (r *reader) document(data []byte) ast.Node {
	switch {
	case len(data) > maxSize:
		r.fault("", "the file is larger than %d bytes", maxSize)
		return nil
	case !utf8.Valid(data):
		r.fault("", "the file is not in UTF-8")
		return nil
	}
	file, err := parseYAML(data)
	if err != nil {
		r.syntax(err)
		return nil
	}
	var bodies []ast.Node
	for _, d := range file.Docs {
		if d != nil && d.Body != nil {
			bodies = append(bodies, d.Body)
		}
	}
	switch len(bodies) {
	case 0:
		r.fault("", "the file is empty")
		return nil
	case 1:
		return bodies[0]
	}
	r.faultAt(positionOf(bodies[1]), "a second document begins; one file holds one scenario")
	return nil
}

// parseYAML turns a panic of the YAML parser into an error: the file is what
// someone is just writing.
func parseYAML(data []byte) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("this is no YAML: %v", p)
		}
	}()
	return parser.ParseBytes(data, 0)
}

// syntax notes what the YAML parser found.
func (r *reader) syntax(err error) {
	var bad yaml.Error
	if errors.As(err, &bad) && bad.GetToken() != nil && bad.GetToken().Position != nil {
		p := bad.GetToken().Position
		r.faultAt(position{p.Line, p.Column}, "%s", bad.GetMessage())
		return
	}
	r.fault("", "%v", err)
}

// positionOf is where a node begins.
func positionOf(n ast.Node) position {
	switch m := n.(type) {
	case *ast.MappingNode:
		if !m.IsFlowStyle && len(m.Values) > 0 {
			return positionOf(m.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return positionOf(m.Key)
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return position{t.Position.Line, t.Position.Column}
	}
	return position{1, 1}
}
