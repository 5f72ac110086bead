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
	"path/filepath"
	"slices"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"packetwalk/lab/toolbox"
)

// version is set by the linker from the repository's tag.
var version = "development"

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1 // it did not work, or the answer is no
	exitUsage  = 2 // the call was wrong, and nothing was done
	// exitInterrupted is what shells make of SIGINT: the program was ended before it
	// was done.
	exitInterrupted = 130
)

// usageError is a wrong call.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// inputError is a wrong call too, but what is wrong is the input: no help on
// calls helps there.
type inputError struct{ error }

func (e inputError) Unwrap() error { return e.error }

// exitError ends the program with a code and no further word.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

func main() {
	if code, ok := toolbox.Run(os.Args); ok {
		os.Exit(code) // in a lab, under the name of one of its tools
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// As the first process of its namespace the program could not die of
	// SIGPIPE; a write that nobody reads is told by its error instead. The signal
	// is caught and not ignored, since programs that it starts would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	findSystemCommands()
	err := newRoot().ExecuteContext(ctx)
	printError(os.Stderr, err)
	os.Exit(exitCode(err))
}

// findSystemCommands makes sure that iptables is found: an ordinary user's PATH
// may lack the folders that it is in.
func findSystemCommands() {
	path := os.Getenv("PATH")
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if !slices.Contains(filepath.SplitList(path), dir) {
			path += string(filepath.ListSeparator) + dir
		}
	}
	os.Setenv("PATH", path)
}

func exitCode(err error) int {
	var usage usageError
	var code exitError
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE): // whoever read has seen enough
		return exitDone
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	return exitFailed
}

func printError(w io.Writer, err error) {
	var code exitError
	if err == nil || errors.As(err, &code) || errors.Is(err, syscall.EPIPE) {
		return
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(w, "packetwalk: interrupted")
		return
	}
	fmt.Fprintln(w, "packetwalk:", err)
	var usage usageError
	var input inputError
	if errors.As(err, &usage) && !errors.As(err, &input) {
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
		Args:          noArgs,
		RunE:          pick,
		Version:       version,
		SilenceErrors: true, // main prints them
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("packetwalk {{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{flagError(err)} })
	addRunFlags(root)
	for _, c := range []*cobra.Command{newRun(), newShell(), newExec(), newList(), newCheck(), newTrace(), newWhy(), newClean(), newGuard(), newDoctor(), newVersion()} {
		root.AddCommand(c)
	}
	return root
}

// flagError is what is wrong with a flag, in the words of the field where its
// value is.
func flagError(err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err
	}
	expected, known := map[string]string{
		"duration": "a time such as 5s or 1m30s", "uint16": "a port from 0 to 65535", "int": "a number", "bool": "true or false",
	}[invalid.GetFlag().Value.Type()]
	if !known {
		return err
	}
	return fmt.Errorf("--%s %q: expected %s", invalid.GetFlag().Name, invalid.GetValue(), expected)
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
