package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"packetwalk/scenarios"
)

func newList() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the scenarios, and how far you have come in them", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			flags, err := readRunFlags(cmd)
			if err != nil {
				return err
			}
			progress := readProgress(func(err error) { fmt.Fprintln(cmd.ErrOrStderr(), "packetwalk:", err) })
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for i, c := range scenarios.Chapters() {
				if i > 0 {
					fmt.Fprintln(w)
				}
				fmt.Fprintln(w, c.Title.In(flags.lang))
				for _, s := range c.Scenarios {
					p := progress[s.Name]
					fmt.Fprintf(w, "%s %s\t%s\t%s\n", p.Sign(), s.Name, s.Title.In(flags.lang), p.In(flags.lang))
				}
			}
			return w.Flush()
		},
	}
	addLangFlag(cmd)
	return cmd
}
