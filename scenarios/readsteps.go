package scenarios

import (
	"fmt"
	"strconv"

	"github.com/goccy/go-yaml/ast"
)

func (r *reader) step(path string, n ast.Node, to *Step) {
	r.mapping(path, n, fields{
		"name":   into(r, &to.Name),
		"title":  r.text(&to.Title),
		"text":   r.text(&to.Text),
		"run":    elements(r, &to.Run, r.command),
		"ask":    optional(&to.Ask, r.question),
		"send":   r.words(&to.Send),
		"expect": elements(r, &to.Expect, r.expectation),
		"after":  r.text(&to.After),
		"goal":   optional(&to.Goal, r.goal),
	})
}

// optional reads a mapping that may be missing.
func optional[T any](to **T, read func(string, ast.Node, *T)) func(string, ast.Node) {
	return func(path string, n ast.Node) {
		*to = new(T)
		read(path, n, *to)
	}
}

// command reads {NODE: COMMAND} or, where there is more to say, a mapping with
// named fields.
func (r *reader) command(path string, n ast.Node, to *Command) {
	entries := r.entries(path, n)
	for _, e := range entries {
		if e.key == "node" || e.key == "command" || e.key == "fails" {
			r.mapping(path, n, fields{"node": into(r, &to.Node), "command": into(r, &to.Text), "fails": r.boolean(&to.Fails)})
			return
		}
	}
	if len(entries) != 1 {
		if len(entries) > 1 {
			r.fault(path, "here should be one node and what is typed there, not %d nodes", len(entries))
		}
		return
	}
	e := entries[0]
	r.at[path+".node"] = e.at
	to.Node = e.key
	into(r, &to.Text)(path+".command", e.value)
}

func (r *reader) question(path string, n ast.Node, to *Question) {
	r.mapping(path, n, fields{
		"text": r.text(&to.Text),
		"choices": elements(r, &to.Choices, func(path string, n ast.Node, c *Choice) {
			r.mapping(path, n, fields{"text": r.text(&c.Text), "right": r.boolean(&c.Right), "why": r.text(&c.Why)})
		}),
	})
}

func (r *reader) goal(path string, n ast.Node, to *Goal) {
	r.mapping(path, n, fields{
		"text":   r.text(&to.Text),
		"send":   r.words(&to.Send),
		"expect": elements(r, &to.Expect, r.expectation),
		"hints": elements(r, &to.Hints, func(path string, n ast.Node, hint *Text) {
			r.text(hint)(path, n)
		}),
		"solution": elements(r, &to.Solution, r.command),
	})
}

func (r *reader) expectation(path string, n ast.Node, to *Expectation) {
	r.mapping(path, n, fields{
		"text":     r.text(&to.Text),
		"request":  into(r, &to.Request),
		"from":     into(r, &to.From),
		"to":       r.address(&to.To),
		"protocol": into(r, &to.Protocol),
		"packet":   into(r, &to.Packet),
		"answered": optional(&to.Answered, func(path string, n ast.Node, b *bool) { r.boolean(b)(path, n) }),
		"outcome":  into(r, &to.Outcome),
		"at":       into(r, &to.At),
		"end":      optional(&to.End, r.place),
		"through":  elements(r, &to.Through, r.place),
		"avoids":   elements(r, &to.Avoids, r.place),
		"src":      r.address(&to.Src),
		"dst":      r.address(&to.Dst),
	})
}

// place reads a place in one line or as a mapping.
func (r *reader) place(path string, n ast.Node, to *Place) {
	if s, ok := text(n); ok {
		r.note(path, n)
		p, err := parsePlace(s)
		if err != nil {
			r.fault(path, "%q is not a place such as \"host nat/DOCKER 2 DNAT\": %v", s, err)
		}
		*to = p
		return
	}
	r.mapping(path, n, fields{
		"node": into(r, &to.Node), "hook": into(r, &to.Hook), "table": into(r, &to.Table),
		"chain": func(path string, n ast.Node) {
			var s string
			into(r, &s)(path, n)
			table, chain := splitChain(s)
			if to.Chain = chain; table != "" {
				to.Table = table
			}
		},
		"rule":    parsed(r, &to.Rule, parseRule, "the number of a rule, from 1 on"),
		"policy":  r.boolean(&to.Policy),
		"verdict": into(r, &to.Verdict), "target": into(r, &to.Target),
		"in": into(r, &to.In), "out": into(r, &to.Out), "state": into(r, &to.State),
		"src": r.address(&to.Src), "dst": r.address(&to.Dst),
	})
}

// parseRule reads a rule's number, which counts from 1.
func parseRule(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err == nil && n < 1 {
		err = fmt.Errorf("%d is no rule: rules count from 1", n)
	}
	return n, err
}
