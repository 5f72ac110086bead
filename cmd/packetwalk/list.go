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

func newCheck() *cobra.Command {
	return &cobra.Command{
		Use: "check FILE.yaml", Short: "Check a scenario file", Args: exactly(1, "a file"),
		Long: "Reads a scenario file and reports every fault in it with its line and column. Nothing is built.",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := loadScenario(args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: no faults in scenario %s\n", args[0], s.Name)
			return err
		},
	}
}
