package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"packetwalk/assets"
	"packetwalk/lab"
	"packetwalk/scenarios"
)

func newCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use: "check FILE.yaml", Short: "Check a scenario file",
		Long: "Reads a scenario file and reports every fault in it with its line and column. Its iptables commands are tried out, " +
			"in empty network namespaces that are thrown away; nothing of the scenario is built, and nothing of the machine is touched.",
		Example: "  packetwalk check my-lab.yaml\n  packetwalk check --schema > scenario.schema.json",
		Args: func(cmd *cobra.Command, args []string) error {
			if schema, _ := cmd.Flags().GetBool("schema"); schema {
				return noArgs(cmd, args)
			}
			return exactly(1, "a file")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if schema, _ := cmd.Flags().GetBool("schema"); schema {
				_, err := cmd.OutOrStdout().Write(assets.ScenarioSchema())
				return err
			}
			flags, err := readRunFlags(cmd)
			if err != nil {
				return err
			}
			draft, err := readScenario(args[0])
			if err != nil {
				return err
			}
			if err := tryRules(cmd.Context(), draft, flags.iptables); err != nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "packetwalk: the rules were not tried out, only read: %v\n", err)
			}
			if err := draft.Err(); err != nil {
				fmt.Fprintln(cmd.ErrOrStderr(), err)
				return exitError(exitUsage)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: no faults in scenario %s\n", args[0], draft.Scenario.Name)
			return err
		},
	}
	cmd.Flags().Bool("schema", false, "print the JSON schema of scenario files, for editors")
	addIptablesFlag(cmd)
	return cmd
}

// tryRules adds the faults that iptables finds in the scenario's commands. The
// error says why they cannot be tried.
func tryRules(ctx context.Context, d *scenarios.Draft, variant string) error {
	faults, err := lab.TryRules(ctx, d.Scenario.Variant(variant), d.Trials())
	for _, f := range faults {
		d.Fault(f)
	}
	return err
}
