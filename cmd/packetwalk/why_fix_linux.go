package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/charmbracelet/x/term"

	"packetwalk/assets"
	"packetwalk/trace/why"
)

// mend runs fixes, each after a yes, until the target is reached, and asks again
// after each. Where nothing must be changed the commands that were printed are
// all there is.
func (t *theater) mend(ctx context.Context, a why.Answer) error {
	w := assets.For(t.flags.lang).WhyFix
	for !a.Reachable {
		if problem := t.offer(ctx, a.Fix); problem != "" {
			fmt.Fprintln(os.Stderr, "packetwalk:", problem)
			break
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
		same := again.Answer.Fix.Node == a.Fix.Node && slices.Equal(again.Answer.Fix.Commands, a.Fix.Commands)
		a = again.Answer
		switch {
		case a.Reachable:
		case same:
			fmt.Fprintln(os.Stderr, "packetwalk:", w.Again)
			return exitOf(a)
		default:
			fmt.Fprintln(os.Stderr, "packetwalk:", w.Further)
		}
	}
	return exitOf(a)
}

// offer asks whether to run a fix. It gives why it is not run.
func (t *theater) offer(ctx context.Context, f why.Fix) (problem string) {
	w := assets.For(t.flags.lang).WhyFix
	question := w.Question
	if t.rebuilt {
		question = w.Try
	}
	switch {
	case len(f.Commands) == 0:
		return w.NoFix
	case t.run == nil:
		return assets.Fill(w.ByYourself, "node", f.Node)
	case t.unasked != "":
		return t.unasked
	case !t.confirm(ctx, assets.Fill(question, "node", f.Node, "commands", strings.Join(f.Commands, "; ")), strings.Fields(w.Yes)):
		return w.Nothing
	}
	return ""
}

// runFix runs the commands of a fix, up to the first that fails, and prints them.
func (t *theater) runFix(ctx context.Context, f why.Fix) error {
	for _, command := range f.Commands {
		output, exit, err := t.carryOut(ctx, f.Node, command)
		if err != nil {
			return fmt.Errorf("running %q in %s: %w", command, f.Node, err)
		}
		if err := t.printRan(t.ran[len(t.ran)-1]); err != nil {
			return err
		}
		if exit != 0 {
			return fmt.Errorf("running %q in %s: exit code %d: %s", command, f.Node, exit, strings.TrimSpace(output))
		}
	}
	return nil
}

// carryOut runs a command and keeps it on record.
func (t *theater) carryOut(ctx context.Context, node, command string) (output string, exit int, err error) {
	output, exit, err = t.run(ctx, node, command)
	if err == nil {
		t.ran = append(t.ran, commandJSON{"command", node, command, "fix", output, exit})
	}
	return output, exit, err
}

// printRan prints a command that was run.
func (t *theater) printRan(r commandJSON) error {
	if t.flags.json {
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	_, err := fmt.Println(assets.Fill(assets.For(t.flags.lang).WhyFix.Ran, "node", r.Node, "command", r.Command))
	return err
}

// confirm asks for one of the words that are a yes. The end of the input is a no,
// and so is the end of ctx.
func (t *theater) confirm(ctx context.Context, question string, yes []string) bool {
	if t.answers == nil {
		t.answers = bufio.NewReader(os.Stdin)
	}
	fmt.Fprint(os.Stderr, question)
	answered := make(chan string, 1)
	go func() {
		line, _ := t.answers.ReadString('\n') // what there is before an error counts
		answered <- line
	}()
	select {
	case line := <-answered:
		if !strings.HasSuffix(line, "\n") || !term.IsTerminal(os.Stdin.Fd()) { // which would have shown it
			fmt.Fprintln(os.Stderr)
		}
		return slices.Contains(yes, strings.ToLower(strings.TrimSpace(line)))
	case <-ctx.Done():
		fmt.Fprintln(os.Stderr)
		return false
	}
}
