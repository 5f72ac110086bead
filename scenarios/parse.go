package scenarios

import (
	"cmp"
	"errors"
	"fmt"
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
	r := &reader{file: filename, at: map[string]position{"": {1, 1}}}
	s := Scenario{Name: stem(filename)}
	if body := r.document(data); body != nil {
		r.scenario(body, &s)
	}
	// What could not be read would show again as missing.
	if len(r.faults) == 0 {
		for _, f := range lab.Faults(s.Topology.Validate()) {
			r.fault(f.Path, "%s", f.Problem)
		}
		if len(s.Topology.Clients) == 0 {
			r.fault("clients", "at least one client is needed: the first one's request is what is watched")
		}
	}
	if len(r.faults) > 0 {
		return Scenario{}, r.err()
	}
	return s, nil
}

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
}

// fault notes a fault at a path; where there is no value, at what should hold it.
func (r *reader) fault(path, format string, args ...any) {
	at, ok := r.at[path]
	for !ok {
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
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
