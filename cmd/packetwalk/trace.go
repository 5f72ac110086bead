package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"packetwalk/trace/filter"
)

// traceFlags are the flags of trace.
type traceFlags struct {
	runFlags
	filter filter.Filter
	count  int
	over   time.Duration
	rate   int
	netns  []string
}

func newTrace() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trace [FILTER]",
		Short: "Trace this machine",
		Long: "Inserts probes in front of the machine's iptables rules, and shows the walk of every packet that the filter is for, until Ctrl-C. " +
			"The rules themselves are left as they are, and the probes go again however the program ends.\n\n" +
			"A filter is written in pcap's words: ip, ip6, tcp, udp, icmp, icmp6, host, net, port, interface, with src and dst, joined by and. " +
			"It stands for connections: both directions are shown, through NAT.",
		Example: "  packetwalk trace 'tcp port 80'\n  packetwalk trace --plain --for 30s 'tcp dst port 8080 and src host 192.0.2.7'\n" +
			"  packetwalk trace --netns web --json 'udp port 53'",
		RunE: func(cmd *cobra.Command, args []string) error {
			flags, err := readTraceFlags(cmd, args)
			if err != nil {
				return err
			}
			return traceMachine(cmd.Context(), flags)
		},
	}
	addViewFlags(cmd)
	f := cmd.Flags()
	f.Int("count", 0, "end after so many walks (0: no limit)")
	f.Duration("for", 0, "end after this time, for example 30s (0: no limit)")
	f.Int("rate", defaultRate, "follow at most so many packets a second, and count the others (0: no limit; the host then pays for every packet)")
	f.StringArray("netns", nil, "trace this network namespace (a name of ip netns, or a process ID) instead of the machine's own; can be repeated")
	return cmd
}

func readTraceFlags(cmd *cobra.Command, args []string) (traceFlags, error) {
	var t traceFlags
	var err error
	if t.runFlags, err = readRunFlags(cmd); err != nil {
		return t, err
	}
	if t.filter, err = filter.Parse(strings.Join(args, " ")); err != nil {
		return t, usageError{err}
	}
	f := cmd.Flags()
	t.count, _ = f.GetInt("count")
	t.over, _ = f.GetDuration("for")
	t.netns, _ = f.GetStringArray("netns")
	t.rate, _ = f.GetInt("rate")
	switch {
	case t.rate < 0:
		return t, usageError{fmt.Errorf("--rate %d: expected a number of packets a second, or 0 for no limit", t.rate)}
	case t.count < 0:
		return t, usageError{fmt.Errorf("--count %d: expected a number of walks, or 0 for no limit", t.count)}
	case t.over < 0:
		return t, usageError{fmt.Errorf("--for %v: expected a time such as 30s, or 0 for no limit", t.over)}
	}
	return t, nil
}

// defaultRate is how many walks may begin in a second if nothing else is said:
// far more than anybody can read, and few enough that a busy machine does not feel it.
const defaultRate = 100

func newClean() *cobra.Command {
	cmd := &cobra.Command{
		Use: "clean", Short: "Remove probes that a killed trace left behind", Args: noArgs,
		Long: "Removes the probes of traces that nobody reads any more from the machine's iptables rules and from those of every other network namespace: of containers, of ip netns. Traces that are running are left alone.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			netns, _ := cmd.Flags().GetStringArray("netns")
			return cleanMachine(cmd.Context(), cmd.OutOrStdout(), netns)
		},
	}
	cmd.Flags().StringArray("netns", nil, "clean only this network namespace (a name of ip netns, or a process ID); can be repeated")
	return cmd
}

// newGuard is the process that a trace starts to clean up after it; see
// nflog.Guard.
func newGuard() *cobra.Command {
	cmd := &cobra.Command{
		Use: "guard RUN FAMILY:COMMAND...", Hidden: true, Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return guardMachine(cmd.Context(), cmd.InOrStdin(), args[0], args[1:])
		},
	}
	return cmd
}
