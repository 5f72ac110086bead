package main

import (
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"packetwalk/lab"
	"packetwalk/trace/dropped"
)

func newDoctor() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Check what this machine has for labs and traces", Args: noArgs,
		Long: "Tries out what labs and traces need, all but the drop reasons in a sandbox that it throws away, and prints what is there, what is missing and the command that mends it. " +
			"The exit code is 1 when something is missing.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks := append(lab.Doctor(cmd.Context()), dropReasons())
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			missing := false
			fmt.Fprintln(w, "CHECK\tSTATUS\tFOUND")
			for _, c := range checks {
				missing = missing || c.Status == lab.Missing
				fmt.Fprintf(w, "%s\t%s\t%s\n", c.Name, c.Status, c.Detail)
				if c.Fix != "" {
					fmt.Fprintf(w, "\t\tmend it: %s\n", c.Fix)
				}
			}
			if err := w.Flush(); err != nil {
				return err
			}
			if missing {
				return exitError(exitFailed)
			}
			return nil
		},
	}
}

// dropReasons checks for the kernel's own word on the packets that it drops. All
// but that is there without it.
func dropReasons() lab.Check {
	c := lab.Check{Name: "drop reasons", Status: lab.OK, Detail: "works"}
	w, err := dropped.Watch()
	if err == nil {
		err = w.Close()
	}
	var lack *dropped.Unavailable
	switch {
	case errors.As(err, &lack):
		c.Status, c.Detail = lab.Warning, lack.Missing+"; why answers without them"
	case err != nil:
		c.Status, c.Detail = lab.Warning, err.Error()
	default:
		if names, err := dropped.Reasons(); err == nil && len(names) == 0 {
			c.Detail = "this kernel names functions only (reasons: since 5.17)"
		}
	}
	return c
}
