// Command packetwalk shows one packet's walk through the Linux network stack:
// every iptables table, chain and rule it meets, every address that NAT
// rewrites, and where and why it ends.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"charm.land/fang/v2"
	"github.com/spf13/cobra"
)

// version is set by the linker from the repository's tag.
var version = "development"

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1 // it did not work, or the answer is no
	exitUsage  = 2 // the call was wrong, and nothing was done
)

// usageError is a wrong call.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitError ends the program with a code and no further word.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	os.Exit(exitCode(fang.Execute(ctx, newRoot(),
		fang.WithVersion(version), fang.WithErrorHandler(printError), fang.WithoutManpage())))
}

func exitCode(err error) int {
	var usage usageError
	var code exitError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &usage):
		return exitUsage
	}
	return exitFailed
}

func printError(w io.Writer, _ fang.Styles, err error) {
	var code exitError
	if errors.As(err, &code) {
		return
	}
	fmt.Fprintln(w, "packetwalk:", err)
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintln(w, "See packetwalk --help.")
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "packetwalk",
		Short: "Watch a packet walk through Linux netfilter",
		Long: "packetwalk shows one packet's walk through the Linux network stack: every iptables table, chain and rule it meets, " +
			"every address that NAT rewrites, and where and why it ends.\n\n" +
			"Without a command, on a terminal, it offers the scenarios to choose from.",
		Args: noArgs,
		RunE: pick,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	addRunFlags(root)
	for _, c := range []*cobra.Command{newRun(), newList(), newCheck(), newDoctor(), newVersion()} {
		root.AddCommand(c)
	}
	return root
}

// noArgs is cobra.NoArgs as a usage error.
func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return usageError{err}
	}
	return nil
}

// exactly is cobra.ExactArgs with an error that says what is missing.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("expected %s, got %d arguments", what, len(args))}
		}
		return nil
	}
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "packetwalk", version)
			return err
		},
	}
}
