package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"packetwalk/trace/why"
)

// whyFlags are the flags of why.
type whyFlags struct {
	runFlags
	target string // as the user wrote it
	wanted why.Wanted
	// from is where the request comes from: a node of a lab, or on a host local,
	// outside or "container NAME"; empty where the user said nothing.
	from     string
	port     uint16 // the sender's own; 0 for any
	wait     time.Duration
	fix      bool
	lab      string // a running lab
	scenario string // a lab to build
	inside   bool   // this process runs in the lab that is asked about
	mail     mailFlags
}

// mailFlags name the files of a mailed ruleset.
type mailFlags struct{ ruleset, addresses, routes string }

// fromStdin counts the files that are the standard input.
func (m mailFlags) fromStdin() int {
	n := 0
	for _, path := range []string{m.ruleset, m.addresses, m.routes} {
		if isStdin(path) {
			n++
		}
	}
	return n
}

// isStdin says whether a path stands for the standard input, of which there is one.
func isStdin(path string) bool {
	return slices.Contains([]string{"-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"}, path)
}

func newWhy() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "why TARGET",
		Short: "Say why a target can not be reached, and what mends it",
		Long: "Sends a request to the target, follows its packets, and says what became of them: the one thing to blame, the evidence, " +
			"and the command that mends it. It ends with 0 if the target is reached, with 1 if it is not, and with 2 if the question was wrong.\n\n" +
			"A target is HOST:PORT over TCP; udp/HOST:PORT, icmp/HOST, or http://HOST:PORT/PATH to ask for a page, so that data flows too (of https://HOST/ the connection is made, no page is asked for). " +
			"HOST is an address, the name of a node or container, or a name that the system resolves; without one it is the host itself.\n\n" +
			"Where a lab is running, the question is about that lab, and --from names a node of it (as root with --lab, or if the lab has a node of that name). On a host, as root, --from says where the request comes from: " +
			"local (the host itself), container NAME, outside (a temporary client behind a veth pair), or anyone, as without it: then the next real request is waited for. " +
			"With --ruleset the question is about a host that is rebuilt from the output of iptables-save; --addresses then tells which address is its own.",
		Example: "  packetwalk why 192.168.23.149:80 --from client\n  packetwalk why web:80 --from outside\n" +
			"  packetwalk why 8080 --from container db\n  packetwalk why udp/192.0.2.1:53 --scenario docker-default --from c1\n" +
			"  packetwalk why 192.168.23.149:80 --from 203.0.113.5 --ruleset iptables-save.txt --json",
		Args: func(cmd *cobra.Command, args []string) error {
			if from, _ := cmd.Flags().GetString("from"); from == fromContainer && len(args) == 2 {
				return nil // the container's name is one
			}
			return exactly(1, "one target such as 192.0.2.1:80")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			target, container, err := apart(os.Args, args)
			if err != nil {
				return err
			}
			flags, err := readWhyFlags(cmd, target)
			if err != nil {
				return err
			}
			if container != "" {
				flags.from += " " + container
			}
			return answerWhy(cmd.Context(), flags)
		},
	}
	addPrintFlags(cmd)
	addIptablesFlag(cmd)
	f := cmd.Flags()
	f.String("from", "", "where the request comes from: a node of the lab; on a host local, outside, container NAME or anyone; with --ruleset an address")
	f.Uint16("from-port", 0, "the port that the request comes from (0: any)")
	f.Duration("wait", 0, "how long an answer is waited for, and without --from how long a request (default 2.5s and 5m)")
	f.Bool("fix", false, "print the commands that mend it and, in a lab, run them after a yes")
	f.String("lab", "", "ask in this running lab, by its scenario or process ID")
	f.String("scenario", "", "build the lab of a SCENARIO or FILE.yaml, and ask in it")
	f.String("ruleset", "", "ask about a host that is rebuilt from this output of iptables-save (- is the standard input)")
	f.String("addresses", "", "with --ruleset: the host's output of ip addr")
	f.String("routes", "", "with --ruleset: the host's output of ip route")
	f.Bool("inside", false, "")
	_ = f.MarkHidden("inside") // it is there
	return cmd
}

func readWhyFlags(cmd *cobra.Command, target string) (w whyFlags, err error) {
	if w.runFlags, err = readRunFlags(cmd); err != nil {
		return w, err
	}
	w.target = target
	if w.wanted, err = why.ParseTarget(target); err != nil {
		return w, usageError{inputError{err}}
	}
	f := cmd.Flags()
	w.from, _ = f.GetString("from")
	w.port, _ = f.GetUint16("from-port")
	w.wait, _ = f.GetDuration("wait")
	w.fix, _ = f.GetBool("fix")
	w.lab, _ = f.GetString("lab")
	w.scenario, _ = f.GetString("scenario")
	w.inside, _ = f.GetBool("inside")
	w.mail.ruleset, _ = f.GetString("ruleset")
	w.mail.addresses, _ = f.GetString("addresses")
	w.mail.routes, _ = f.GetString("routes")
	return w, w.check()
}

// check finds flags that do not go together.
func (w whyFlags) check() error {
	var places []string
	for name, value := range map[string]string{"--lab": w.lab, "--scenario": w.scenario, "--ruleset": w.mail.ruleset} {
		if value != "" {
			places = append(places, name)
		}
	}
	var problem string
	switch {
	case len(places) > 1:
		problem = "--lab, --scenario and --ruleset exclude each other"
	case w.mail.ruleset == "" && (w.mail.addresses != "" || w.mail.routes != ""):
		problem = "--addresses and --routes need --ruleset"
	case w.mail.fromStdin() > 1:
		problem = "only one of --ruleset, --addresses and --routes can be the standard input"
	case w.mail.ruleset != "" && w.from == "":
		problem = "--ruleset needs --from with the sender's address"
	case w.scenario != "" && w.from == "":
		problem = "--scenario needs --from with a node of the lab"
	case w.wait < 0:
		problem = fmt.Sprintf("--wait %v: expected a time such as 5s", w.wait)
	case w.iptables != "" && w.scenario == "" && w.mail.ruleset == "":
		problem = "--iptables goes with --scenario or --ruleset: elsewhere both variants are looked at"
	default:
		return nil
	}
	return usageError{inputError{errors.New(problem)}}
}

// fromContainer is the value of --from that a container's name follows.
const fromContainer = "container"

// apart tells which of two arguments is the target, and which the name of a
// container: that which follows --from container on the command line. Of one
// argument it is the target.
func apart(line, args []string) (target, container string, err error) {
	if len(args) == 1 {
		return args[0], "", nil
	}
	for i, word := range line[:len(line)-1] {
		if word == "--from="+fromContainer || word == fromContainer && i > 0 && line[i-1] == "--from" {
			container = line[i+1]
		}
	}
	switch container {
	case args[0]:
		return args[1], container, nil
	case args[1]:
		return args[0], container, nil
	}
	return "", "", usageError{fmt.Errorf("--from %s: the container's name has to follow at once", fromContainer)}
}
