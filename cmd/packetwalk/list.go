package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"packetwalk/scenarios"
)

func newList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the scenarios", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			flags, err := readRunFlags(cmd)
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, s := range scenarios.List() {
				fmt.Fprintf(w, "%s\t%s\n", s.Name, s.Title.In(flags.lang))
			}
			return w.Flush()
		},
	}
	addLangFlag(cmd)
	return cmd
}
