package scenarios

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// fields says how to read each field of a mapping; a reader gets the path of
// the field's value, and the value.
type fields map[string]func(path string, n ast.Node)

// indices are the places in lists within a path.
var indices = regexp.MustCompile(`\[\d+\]`)

// mapping reads a mapping with known fields and refuses every other.
func (r *reader) mapping(path string, n ast.Node, known fields) {
	r.known[indices.ReplaceAllString(path, "[]")] = known
	for _, e := range r.entries(path, n) {
		read, ok := known[e.key]
		if !ok {
			r.faultAt(e.at, "there is no field %q here; there are: %s", e.key, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
			r.incomplete[path] = true
			continue
		}
		read(join(path, e.key), e.value)
	}
}

// entry is a key with its value.
type entry struct {
	key   string
	at    position // of the key
	value ast.Node
}

// entries reads a mapping with any keys.
func (r *reader) entries(path string, n ast.Node) []entry {
	r.note(path, n)
	var values []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	default:
		r.fault(path, "here should be fields with values, not %s", describe(n))
		return nil
	}
	var all []entry
	for _, v := range values {
		at := positionOf(v.Key)
		key, ok := text(v.Key)
		if !ok {
			r.faultAt(at, "%s is no name of a field", describe(v.Key))
			continue
		}
		all = append(all, entry{key, at, v.Value})
		if path := join(path, key); v.Value == nil || v.Value.Type() == ast.NullType {
			r.at[path] = at
		}
	}
	return all
}

// list reads a list; an empty value is an empty list.
func (r *reader) list(path string, n ast.Node, read func(path string, n ast.Node)) {
	r.note(path, n)
	switch s := n.(type) {
	case *ast.SequenceNode:
		for i, v := range s.Values {
			at := fmt.Sprintf("%s[%d]", path, i)
			r.note(at, v)
			read(at, v)
		}
	case *ast.NullNode:
	default:
		r.fault(path, "here should be a list, not %s", describe(n))
	}
}

// scalar reads a single value as the text that stands in the file.
func (r *reader) scalar(path string, n ast.Node) (string, bool) {
	r.note(path, n)
	s, ok := text(n)
	if !ok {
		r.fault(path, "here should be a single value, not %s", describe(n))
	}
	return s, ok
}

// text is a scalar node's text: 1 and "1" are the same.
func text(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return v.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return v.GetToken().Value, true
	}
	return "", false
}

// note remembers where a value stands.
func (r *reader) note(path string, n ast.Node) {
	if n != nil && n.Type() != ast.NullType {
		r.at[path] = positionOf(n)
	}
}

// describe names the kind of a node for a message.
func describe(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "fields with values"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode, nil:
		return "nothing"
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		return "an anchor, alias or tag"
	}
	return "a single value"
}

// into reads a single value into a string.
func into[T ~string](r *reader, to *T) func(string, ast.Node) {
	return func(path string, n ast.Node) {
		if s, ok := r.scalar(path, n); ok {
			*to = T(s)
		}
	}
}

// boolean reads true or false.
func (r *reader) boolean(to *bool) func(string, ast.Node) {
	return parsed(r, to, parseBool, "true or false")
}

// words reads a list of single values.
func (r *reader) words(to *[]string) func(string, ast.Node) {
	return elements(r, to, func(path string, n ast.Node, word *string) { into(r, word)(path, n) })
}

// parsed reads a single value through a parser, whose error is not shown: what
// says what was expected instead.
func parsed[T any](r *reader, to *T, parse func(string) (T, error), what string) func(string, ast.Node) {
	return func(path string, n ast.Node) {
		s, ok := r.scalar(path, n)
		if !ok {
			return
		}
		v, err := parse(s)
		if err != nil {
			r.fault(path, "%q is not %s", s, what)
			return
		}
		*to = v
	}
}

// prefixes reads a list of addresses with the lengths of their networks.
func (r *reader) prefixes(to *[]netip.Prefix) func(string, ast.Node) {
	return func(path string, n ast.Node) {
		r.list(path, n, func(path string, n ast.Node) {
			var p netip.Prefix
			parsed(r, &p, netip.ParsePrefix, "an address with the length of its network, such as 10.0.0.1/24")(path, n)
			*to = append(*to, p)
		})
	}
}

// parseListen reads what a service listens on: a port alone means every IPv4
// address of the node.
func parseListen(s string) (netip.AddrPort, error) {
	if port, err := strconv.ParseUint(s, 10, 16); err == nil {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(port)), nil
	}
	return netip.ParseAddrPort(s)
}

// parseTo reads what a client asks: an address alone is one without a port.
func parseTo(s string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(a, 0), nil
	}
	return netip.ParseAddrPort(s)
}

// parsePort reads a port's number; there is no port 0.
func parsePort(s string) (uint16, error) {
	port, err := strconv.ParseUint(s, 10, 16)
	if err == nil && port == 0 {
		err = strconv.ErrRange
	}
	return uint16(port), err
}

// parseBool reads the two words that YAML has for it.
func parseBool(s string) (bool, error) {
	if s != "true" && s != "false" {
		return false, strconv.ErrSyntax
	}
	return s == "true", nil
}

func join(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}

// address reads an address with or without a port.
func (r *reader) address(to *netip.AddrPort) func(string, ast.Node) {
	return parsed(r, to, parseTo, "an address, with or without a port, such as 10.0.0.1:80")
}
