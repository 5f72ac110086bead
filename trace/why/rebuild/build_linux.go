package rebuild

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"packetwalk/lab"
)

// Choose makes Variant one that works here. Where the one that the ruleset was
// saved from does not and the other does, that is noted. It needs the sandbox.
func (p *Plan) Choose(ctx context.Context) error {
	saved := p.Variant
	used, problem, err := lab.Usable(ctx, saved, p.Source.Is6())
	if err != nil || problem == "" {
		return err
	}
	p.Variant = used
	if saved != "" {
		n := notes{all: slices.Clone(p.Notes)}
		n.add(VariantDiffers, "saved", saved, "used", used, "why", problem)
		p.Notes = n.all
	}
	return nil
}

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
	f := fitter{scratch: s, file: p.rules.file, lacks: map[string]bool{}}
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
	slices.SortStableFunc(f.notes.all, func(x, y Note) int { return cmp.Compare(x.Line, y.Line) })
	p.Notes = append(p.Notes, f.notes.all...)
	return nil
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
