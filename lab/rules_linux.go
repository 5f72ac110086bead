package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/coreos/go-iptables/iptables"
	"golang.org/x/sync/errgroup"
)

// tools are the iptables programs that a lab needs, by their names, found once per lab.
type tools struct {
	variant string // of commands that name none
	found   map[string]*iptables.IPTables
}

func newTools(variant string) *tools {
	return &tools{variant: variant, found: map[string]*iptables.IPTables{}}
}

// findTools looks for the programs that the topology's rules need.
func findTools(variant string, t Topology) (*tools, error) {
	found := newTools(variant)
	for _, n := range t.Nodes {
		for _, r := range n.Rules {
			c, _ := ParseCommand(r) // Validate has let it pass
			if err := found.need(c); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// need looks for the program that a command needs.
func (t *tools) need(c RuleCommand) error {
	name := t.name(c.Variant, c.IPv6)
	if t.found[name] != nil {
		return nil
	}
	proto := iptables.ProtocolIPv4
	if c.IPv6 {
		proto = iptables.ProtocolIPv6
	}
	tool, err := iptables.New(iptables.IPFamily(proto), iptables.Path(name))
	if errors.Is(err, exec.ErrNotFound) {
		return &MissingError{What: name + " is not installed", Fix: "sudo apt-get install iptables", Err: err}
	}
	t.found[name] = tool
	return err
}

// name is the name of a program: that of the lab's variant where none is asked for.
func (t *tools) name(variant string, ipv6 bool) string {
	names := Command(cmp.Or(variant, t.variant))
	if ipv6 {
		return names.Iptables6
	}
	return names.Iptables
}

// ruleWorkers is how many commands of a node run at once. It is more than most
// machines have processors to spare, since some wait for others.
const ruleWorkers = 4

// setRules loads the ruleset of a node and runs its rules, as many at once as do
// not depend on each other.
func (l *Lab) setRules(ctx context.Context, n Node) error {
	if n.Ruleset != (Ruleset{}) {
		err := l.nodes[n.Name].Do(func() error { return l.tools.setRuleset(ctx, n.Ruleset) })
		if err != nil {
			return step(n.Name, "loading the ruleset", err)
		}
	}
	commands, err := parseRules(n)
	if err != nil {
		return err
	}
	deps := dependencies(commands)
	done := make([]chan struct{}, len(commands))
	for i := range done {
		done[i] = make(chan struct{})
	}
	work, ctx := errgroup.WithContext(ctx)
	var taken atomic.Int64
	// Workers take commands in their order, so what a command waits for is
	// always in some worker's hands.
	worker := func() error {
		for i := int(taken.Add(1) - 1); i < len(commands); i = int(taken.Add(1) - 1) {
			for _, d := range deps[i] {
				select {
				case <-done[d]:
				case <-ctx.Done():
					return step(n.Name, "setting rules", context.Cause(ctx))
				}
			}
			if err := l.tools.run(ctx, commands[i]); err != nil {
				return step(n.Name, "setting rules", &RuleError{n.Rules[i], iptablesMessage(err), err})
			}
			close(done[i])
		}
		return nil
	}
	for range min(ruleWorkers, len(commands)) {
		work.Go(func() error { return l.nodes[n.Name].Do(worker) })
	}
	return work.Wait()
}

// parseRules takes the rules of a node apart.
func parseRules(n Node) ([]RuleCommand, error) {
	commands := make([]RuleCommand, len(n.Rules))
	for i, text := range n.Rules {
		var err error
		if commands[i], err = ParseCommand(text); err != nil {
			return nil, step(n.Name, "reading a rule", err)
		}
	}
	return commands, nil
}

// run carries out one command in the network namespace of the calling thread.
func (t *tools) run(ctx context.Context, c RuleCommand) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	name := t.name(c.Variant, c.IPv6)
	tool := t.found[name]
	switch {
	case c.Action == 'A':
		return tool.Append(c.Table, c.Chain, c.Spec...)
	case c.Action == 'I':
		return tool.Insert(c.Table, c.Chain, max(c.Number, 1), c.Spec...)
	case c.Action == 'R':
		return tool.Replace(c.Table, c.Chain, c.Number, c.Spec...)
	case c.Action == 'D' && c.Number > 0:
		return tool.DeleteById(c.Table, c.Chain, c.Number)
	case c.Action == 'D':
		return tool.Delete(c.Table, c.Chain, c.Spec...)
	case c.Action == 'N':
		return tool.NewChain(c.Table, c.Chain)
	case c.Action == 'X' && c.Chain != "":
		return tool.DeleteChain(c.Table, c.Chain)
	case c.Action == 'P':
		return tool.ChangePolicy(c.Table, c.Chain, c.To)
	case c.Action == 'E':
		return tool.RenameChain(c.Table, c.Chain, c.To)
	}
	// The library has no flush that does not also make the chain, and nothing
	// that deletes every chain of a table.
	if slices.ContainsFunc(c.Args, isWait) {
		return runProgram(ctx, name, c.Args...)
	}
	return runProgram(ctx, name, append([]string{"--wait"}, c.Args...)...)
}

// runProgram runs a program and turns what it complained of into the error.
func runProgram(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// iptablesMessage is what iptables said, without the account of how it was
// called, and without its warning that the other variant has tables too.
func iptablesMessage(err error) string {
	message := err.Error()
	var failed *iptables.Error
	var exit *exec.ExitError
	switch {
	case errors.As(err, &failed):
		if _, rest, found := strings.Cut(message, fmt.Sprintf(": exit status %v: ", failed.ExitStatus())); found {
			message = rest
		}
	case errors.As(err, &exit):
		message = strings.TrimPrefix(message, exit.Error()+": ")
	}
	for line := range strings.Lines(message) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "# Warning:") {
			return line
		}
	}
	return strings.TrimSpace(message)
}
