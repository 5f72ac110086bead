package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// exitLost is the exit code where the lab ended before the program in it did;
// ssh(1) uses the same.
const exitLost = 255

func newShell() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "shell [NODE]",
		Short: "Open a shell in a node of the running lab",
		Long: "Opens your shell in a node of the lab that is running in another terminal. Everything that is typed there happens in the lab. " +
			"Without a node it is the host, if there is only one.\n\n" +
			"In a lab everybody is root, iptables lists the rules without probes, and serve starts a service: " +
			"serve --reply TEXT http 0.0.0.0:80.",
		Example: "  packetwalk shell host\n  packetwalk shell --lab publish-port c1",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{errors.New("expected one node; to run a command, use packetwalk exec NODE -- COMMAND")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			which, _ := cmd.Flags().GetString("lab")
			return runInLab(cmd.Context(), which, append(args, "")[0], nil)
		},
	}
	addLabFlag(cmd)
	return cmd
}

func newExec() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "exec NODE -- COMMAND [ARGUMENT...]",
		Short: "Run a command in a node of the running lab",
		Long: "Runs a command in a node of the lab that is running in another terminal, and ends with its exit code: " +
			"128 and the signal's number where a signal ended it, 126 and 127 where it could not be started or found, 255 where the lab ended first. " +
			"Pipes and files stand in for the terminal as they would for the command itself.",
		Example: "  packetwalk exec host -- iptables -t nat -L -n\n  packetwalk exec c1 -- tcpdump -U -w - -i eth0 | wireshark -k -i -",
		RunE: func(cmd *cobra.Command, args []string) error {
			node, command, err := splitExec(args)
			if err != nil {
				return usageError{err}
			}
			which, _ := cmd.Flags().GetString("lab")
			return runInLab(cmd.Context(), which, node, command)
		},
	}
	addLabFlag(cmd)
	cmd.Flags().SetInterspersed(false) // what follows the node is the command's
	return cmd
}

// splitExec takes the arguments of exec apart: NODE [--] COMMAND...
func splitExec(args []string) (node string, command []string, err error) {
	if len(args) == 0 {
		return "", nil, errors.New("expected a node and a command: packetwalk exec NODE -- COMMAND")
	}
	node, command = args[0], args[1:]
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	switch {
	case len(command) == 0:
		err = errors.New("expected a command behind the node: packetwalk exec " + node + " -- COMMAND")
	case command[0] == "":
		err = errors.New("the command has no name")
	}
	return node, command, err
}

func addLabFlag(cmd *cobra.Command) {
	cmd.Flags().String("lab", "", "the lab, by its scenario or process ID, where several are running")
}
