package rebuild

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"packetwalk/lab"
	"packetwalk/trace"
)

// Build makes the plan live, in the sandbox. What iptables here refuses is left
// out and noted in the plan, rule by rule, and so are commands that fail.
func (p *Plan) Build(ctx context.Context, o lab.Options) (*lab.Lab, error) {
	if err := p.Fit(ctx, o.Iptables); err != nil {
		return nil, err
	}
	l, err := lab.Build(ctx, p.Topology, o)
	if err != nil {
		return nil, fmt.Errorf("rebuilding the host: %w", err)
	}
	if err := p.run(ctx, l); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Fit leaves out of the plan the rules that this variant of iptables refuses,
// and notes them. It needs the sandbox.
func (p *Plan) Fit(ctx context.Context, variant string) error {
	s, err := lab.NewScratch(variant)
	if err != nil {
		return fmt.Errorf("trying out the rules: %w", err)
	}
	defer s.Close()
	f := fitter{scratch: s, file: p.rules.file}
	fitted := listing{file: p.rules.file, variant: p.rules.variant}
	for _, t := range p.rules.tables {
		ok, err := f.fit(ctx, &t)
		if err != nil {
			return fmt.Errorf("trying out the table %s: %w", t.name, err)
		}
		if ok {
			fitted.tables = append(fitted.tables, t)
		}
	}
	// The file stays as it is, so that fitting again with another variant begins anew.
	i := slices.IndexFunc(p.Topology.Nodes, func(n lab.Node) bool { return n.Name == p.Host })
	p.Topology.Nodes = slices.Clone(p.Topology.Nodes)
	p.Topology.Nodes[i].Ruleset = fitted.ruleset()
	p.Notes = slices.DeleteFunc(slices.Clone(p.Notes), func(n Note) bool { return n.Kind == RuleLeftOut || n.Kind == TableLeftOut })
	p.Notes = append(p.Notes, f.notes.all...)
	return nil
}

// fitter finds out which rules are refused.
type fitter struct {
	scratch *lab.Scratch
	file    File
	notes   notes
}

// fit takes refused rules out of a table; ok is false where iptables takes none of it.
func (f *fitter) fit(ctx context.Context, t *table) (ok bool, err error) {
	whole, err := f.try(ctx, *t, nil)
	if err != nil || whole != "" {
		f.notes.add(TableLeftOut, "table", string(t.name), "why", whole)
		return false, err
	}
	refused := map[int]bool{}
	if err := f.search(ctx, *t, t.rules, refused); err != nil {
		return false, err
	}
	if len(refused) == 0 {
		return true, nil
	}
	t.rules = slices.DeleteFunc(slices.Clone(t.rules), func(r rule) bool { return refused[r.line] })
	// Each rule alone can be right and all together wrong, where chains jump in a circle.
	whole, err = f.try(ctx, *t, t.rules)
	if err != nil || whole != "" {
		f.notes.add(TableLeftOut, "table", string(t.name), "why", whole)
		return false, err
	}
	return true, nil
}

// search halves the rules until it knows which are refused.
func (f *fitter) search(ctx context.Context, t table, rules []rule, refused map[int]bool) error {
	why, err := f.try(ctx, t, rules)
	if err != nil || why == "" {
		return err
	}
	if len(rules) == 1 {
		refused[rules[0].line] = true
		f.notes.at(f.file, rules[0].line, RuleLeftOut, "rule", rules[0].Text, "why", why)
		return nil
	}
	half := len(rules) / 2
	return errors.Join(f.search(ctx, t, rules[:half], refused), f.search(ctx, t, rules[half:], refused))
}

// try loads a table with these rules only, and says why it was refused.
func (f *fitter) try(ctx context.Context, t table, rules []rule) (why string, err error) {
	err = f.scratch.Restore(ctx, t.family == trace.IPv6, t.text(rules))
	var refused *lab.RestoreError
	if errors.As(err, &refused) {
		return refused.Message, nil
	}
	return "", err
}

// run runs the commands of the plan.
func (p *Plan) run(ctx context.Context, l *lab.Lab) error {
	n := notes{all: slices.DeleteFunc(slices.Clone(p.Notes), func(n Note) bool { return n.Kind == CommandRefused })}
	for _, c := range p.Commands {
		r, err := l.Run(ctx, c.Node, c.Line)
		if err != nil {
			return fmt.Errorf("rebuilding %s: %w", c.Node, err)
		}
		if r.Exit != 0 {
			why, _, _ := strings.Cut(strings.TrimSpace(string(r.Output)), "\n")
			n.at(File{Name: c.File}, c.Number, CommandRefused, "command", c.Line, "why", why)
		}
	}
	p.Notes = n.all
	return nil
}
