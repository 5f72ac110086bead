package rebuild

import (
	"context"
	"errors"
	"slices"
	"strings"

	"packetwalk/lab"
	"packetwalk/trace"
)

// fitter finds out which rules are refused.
type fitter struct {
	scratch *lab.Scratch
	file    File
	notes   notes
	// lacks are the things found missing, by what iptables says of them.
	lacks map[string]bool
}

// fit takes refused rules out of a table; ok is false where iptables takes none of it.
func (f *fitter) fit(ctx context.Context, t *table) (ok bool, err error) {
	why, err := f.try(ctx, *t, t.rules)
	if err != nil || why == "" {
		return err == nil, err
	}
	leave := func(why string, err error) (bool, error) {
		if err == nil {
			f.notes.add(TableLeftOut, "table", string(t.name), "why", why)
		}
		return false, err
	}
	if why, err := f.try(ctx, *t, nil); err != nil || why != "" {
		return leave(why, err)
	}
	refused := map[int]bool{}
	if err := f.search(ctx, *t, t.rules, refused); err != nil {
		return false, err
	}
	t.rules = slices.DeleteFunc(slices.Clone(t.rules), func(r rule) bool { return refused[r.line] })
	// Each rule alone can be right and all together wrong, where chains jump in a circle.
	if why, err := f.try(ctx, *t, t.rules); err != nil || why != "" {
		return leave(why, err)
	}
	return true, nil
}

// search halves the rules until it knows which are refused.
func (f *fitter) search(ctx context.Context, t table, rules []rule, refused map[int]bool) error {
	rules = slices.DeleteFunc(slices.Clone(rules), func(r rule) bool {
		why, missing := f.missing(r)
		if missing {
			f.refuse(r, why, refused)
		}
		return missing
	})
	if len(rules) == 0 {
		return nil
	}
	why, err := f.try(ctx, t, rules)
	if err != nil || why == "" {
		return err
	}
	if len(rules) == 1 {
		f.lacks[why] = true
		f.refuse(rules[0], why, refused)
		return nil
	}
	half := len(rules) / 2
	return errors.Join(f.search(ctx, t, rules[:half], refused), f.search(ctx, t, rules[half:], refused))
}

func (f *fitter) refuse(r rule, why string, refused map[int]bool) {
	refused[r.line] = true
	f.notes.at(f.file, r.line, RuleLeftOut, "rule", r.Text, "why", why)
}

// missing says whether a rule needs something that was found missing: a match, a
// target, or a set. A host may have thousands of rules that do.
func (f *fitter) missing(r rule) (why string, missing bool) {
	for why := range f.lacks {
		for _, module := range r.Modules() {
			if strings.HasPrefix(why, "Couldn't load match `"+module+"'") {
				return why, true
			}
		}
		if r.Target != "" && strings.HasPrefix(why, "Couldn't load target `"+r.Target+"'") {
			return why, true
		}
		if i := slices.Index(r.Match, "--match-set"); i >= 0 && i+1 < len(r.Match) && why == "Set "+r.Match[i+1]+" doesn't exist." {
			return why, true
		}
	}
	return "", false
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
