package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"packetwalk/lab"
)

func newDoctor() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Check what this machine has for labs and traces", Args: noArgs,
		Long: "Tries out, in a sandbox that it throws away, everything that a lab needs, and prints what is there, what is missing and the command that mends it. " +
			"The exit code is 1 when something is missing.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks := lab.Doctor(cmd.Context())
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
