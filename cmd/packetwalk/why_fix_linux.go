package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"packetwalk/trace/why"
)

// mend runs the fix after a yes, and asks again. Where nothing must be changed
// the commands that were printed are all there is.
func (t *theater) mend(ctx context.Context, a why.Answer) error {
	if len(a.Fix.Commands) == 0 {
		fmt.Fprintln(os.Stderr, "packetwalk: no command is known that mends it")
		return exitOf(a)
	}
	if t.run == nil {
		fmt.Fprintf(os.Stderr, "packetwalk: nothing was changed: on a host the commands are for you to run in %s\n", a.Fix.Node)
		return exitOf(a)
	}
	if t.unasked != "" {
		fmt.Fprintln(os.Stderr, "packetwalk:", t.unasked)
		return exitOf(a)
	}
	if !confirm(ctx, fmt.Sprintf("Run this in %s: %s? [y/N] ", a.Fix.Node, strings.Join(a.Fix.Commands, "; "))) {
		fmt.Fprintln(os.Stderr, "packetwalk: nothing was changed")
		return exitOf(a)
	}
	if err := t.runFix(ctx, a.Fix); err != nil {
		return err
	}
	again, err := t.ask(ctx)
	if err != nil {
		return err
	}
	if err := printAnswer(os.Stdout, again.Answer, t.flags.runFlags); err != nil {
		return err
	}
	return exitOf(again.Answer)
}

// runFix runs the commands of a fix, up to the first that fails.
func (t *theater) runFix(ctx context.Context, f why.Fix) error {
	for _, command := range f.Commands {
		output, exit, err := t.run(ctx, f.Node, command)
		if err != nil {
			return fmt.Errorf("running %q in %s: %w", command, f.Node, err)
		}
		if exit != 0 {
			return fmt.Errorf("running %q in %s: exit code %d: %s", command, f.Node, exit, strings.TrimSpace(output))
		}
	}
	return nil
}

// confirm asks for a yes. The end of the input is a no, and so is the end of ctx.
func confirm(ctx context.Context, question string) bool {
	fmt.Fprint(os.Stderr, question)
	answered := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(os.Stdin).ReadString('\n') // what there is before an error counts
		answered <- line
	}()
	select {
	case line := <-answered:
		if !strings.HasSuffix(line, "\n") {
			fmt.Fprintln(os.Stderr)
		}
		line = strings.ToLower(strings.TrimSpace(line))
		return line == "y" || line == "yes"
	case <-ctx.Done():
		fmt.Fprintln(os.Stderr)
		return false
	}
}
