package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"packetwalk/assets"
	"packetwalk/lab"
	"packetwalk/scenarios"
	"packetwalk/scenarios/progress"
	"packetwalk/tui"
)

// view is one of the ways to show walks.
type view int

const (
	viewTUI view = iota
	viewPlain
	viewJSON
)

// runFlags are the flags that decide how a scenario is run and shown.
type runFlags struct {
	plain, json bool
	allRules    bool
	answer      bool // print solutions
	patience    int  // how many times as long as usual answers are waited for
	remote      bool // a teacher leads through the lesson with a clicker
	ownFile     bool // the scenario is from a file of the user's own
	lang        string
	iptables    string
}

func addRunFlags(cmd *cobra.Command) {
	addViewFlags(cmd)
	cmd.Flags().Bool("answer", false, "with --plain or --json, carry out and print the solutions of challenges, and print those of lessons")
	cmd.Flags().Bool("remote", false, "a teacher's remote control: space and page down go on, b and page up go back")
	cmd.Flags().Int("patience", 1, "wait this many times as long for answers, on a slow machine")
	addIptablesFlag(cmd)
}

func addIptablesFlag(cmd *cobra.Command) {
	cmd.Flags().String("iptables", "", "variant of iptables: nft or legacy (default: what the system calls iptables)")
}

// addViewFlags adds the flags that decide how walks are shown.
func addViewFlags(cmd *cobra.Command) {
	addPrintFlags(cmd)
	cmd.Flags().Bool("all-rules", false, "with --plain or --json, show the rules too that were passed over because they did not match, and why")
}

// addPrintFlags adds those of the view flags that every output has.
func addPrintFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Bool("plain", false, "print text instead of drawing (the default where there is no terminal)")
	f.Bool("json", false, "print one JSON object a line")
	addLangFlag(cmd)
}

func addLangFlag(cmd *cobra.Command) {
	cmd.Flags().String("lang", "", "language: "+strings.Join(assets.Languages(), " or ")+" (default: from LC_ALL, LC_MESSAGES or LANG)")
}

// readRunFlags reads and checks the flags.
func readRunFlags(cmd *cobra.Command) (runFlags, error) {
	f := cmd.Flags()
	var r runFlags
	r.plain, _ = f.GetBool("plain")
	r.json, _ = f.GetBool("json")
	r.allRules, _ = f.GetBool("all-rules")
	r.lang, _ = f.GetString("lang")
	r.iptables, _ = f.GetString("iptables")
	r.answer, _ = f.GetBool("answer")
	r.remote, _ = f.GetBool("remote")
	r.patience, _ = f.GetInt("patience")
	switch {
	case r.plain && r.json:
		return r, usageError{errors.New("--plain and --json exclude each other")}
	case r.lang != "" && !slices.Contains(assets.Languages(), r.lang):
		return r, usageError{fmt.Errorf("--lang %q: expected %s", r.lang, strings.Join(assets.Languages(), " or "))}
	case f.Lookup("patience") != nil && r.patience < 1:
		return r, usageError{fmt.Errorf("--patience %d: expected 1 or more", r.patience)}
	case !slices.Contains(lab.Variants(), r.iptables):
		return r, usageError{fmt.Errorf("--iptables %q: expected nft or legacy", r.iptables)}
	}
	if r.lang == "" {
		r.lang = systemLanguage(os.Getenv)
	}
	return r, nil
}

// systemLanguage is the language of the locale, in the order of precedence of
// locale(7), if the program speaks it; else English.
func systemLanguage(getenv func(string) string) string {
	return assets.Match(cmp.Or(getenv("LC_ALL"), getenv("LC_MESSAGES"), getenv("LANG")))
}

// view decides how to show walks: drawn on a terminal that can be drawn on and
// whose user has not asked for plain text, else printed.
func (r runFlags) view() view {
	switch {
	case r.json:
		return viewJSON
	case r.plain, os.Getenv("ACCESSIBLE") != "", os.Getenv("TERM") == "dumb",
		!term.IsTerminal(os.Stdin.Fd()), !term.IsTerminal(os.Stdout.Fd()):
		return viewPlain
	}
	return viewTUI
}

func newRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run SCENARIO|FILE.yaml",
		Short: "Build a lab and walk through it",
		Long: "Builds the scenario's lab in a sandbox of its own, traces it, sends the scenario's request and shows every packet's walk. " +
			"Nothing of the machine's own network is touched, and nothing of the lab outlives the program.",
		Example: "  packetwalk run publish-port\n  packetwalk run publish-port --json | jq\n  packetwalk run publish-port --plain --iptables legacy",
		Args:    exactly(1, "the name of a scenario or a file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			flags, err := readRunFlags(cmd)
			if err != nil {
				return err
			}
			draft, err := readScenario(args[0])
			if err != nil {
				return err
			}
			if isFile(args[0]) && !lab.InSandbox() {
				// Where the rules cannot be tried, the lab cannot be built
				// either, which says so itself.
				_ = tryRules(cmd.Context(), draft, flags.iptables)
			}
			if err := draft.Err(); err != nil {
				return usageError{inputError{err}}
			}
			flags.ownFile = isFile(args[0])
			return runInSandbox(cmd.Context(), draft.Scenario, flags)
		},
		ValidArgsFunction: completeScenario,
	}
	addRunFlags(cmd)
	return cmd
}

// readScenario finds a scenario by name or reads it from a file, with its faults.
func readScenario(name string) (*scenarios.Draft, error) {
	if !isFile(name) {
		d, err := scenarios.LoadDraft(name)
		if err != nil {
			return nil, usageError{err}
		}
		return d, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, usageError{inputError{fmt.Errorf("reading the scenario: %w", err)}}
	}
	return scenarios.Read(name, data), nil
}

// isFile says whether an argument names a file rather than a scenario of the catalogue.
func isFile(name string) bool { return strings.ContainsAny(name, "./\\") }

func completeScenario(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, s := range scenarios.List() {
		names = append(names, s.Name+"\t"+s.Title.In("en"))
	}
	return names, cobra.ShellCompDirectiveDefault
}

// pick is packetwalk without a command: on a terminal the user chooses one
// scenario after the other to run.
func pick(cmd *cobra.Command, _ []string) error {
	flags, err := readRunFlags(cmd)
	if err != nil {
		return err
	}
	if flags.view() != viewTUI {
		return cmd.Help()
	}
	if lab.InSandbox() {
		// The scenario was chosen before the sandbox was entered.
		s, err := scenarios.Load(os.Getenv(chosenEnv))
		if err != nil {
			return err
		}
		return runInSandbox(cmd.Context(), s, flags)
	}
	list := scenarios.List()
	for at := 0; ; {
		at, err = tui.Pick(cmd.Context(), flags.lang, items(flags.lang), at)
		if err != nil || at < 0 {
			return err
		}
		if err := os.Setenv(chosenEnv, list[at].Name); err != nil {
			return err
		}
		if err := runInSandbox(cmd.Context(), list[at], flags); err != nil {
			return err
		}
	}
}

// items are the scenarios to choose from, in the order of scenarios.List. What
// is wrong with the file of the user's progress is said where progress is kept.
func items(lang string) []tui.Item {
	progress := readProgress(func(error) {})
	var all []tui.Item
	for _, c := range scenarios.Chapters() {
		for _, s := range c.Scenarios {
			all = append(all, tui.Item{
				Name: s.Name, Title: s.Title.In(lang), Summary: s.Summary.In(lang), Chapter: c.Title.In(lang), Progress: progress[s.Name],
			})
		}
	}
	return all
}

// readProgress is how far the user has come in the scenarios, as far as it can be read.
func readProgress(report func(error)) map[string]tui.Progress {
	all := map[string]tui.Progress{}
	file, err := progress.Default()
	if err == nil {
		var kept map[string]progress.Entry
		kept, err = file.Read()
		for name, e := range kept {
			all[name] = tui.Begun
			if e.Done {
				all[name] = tui.Done
			}
		}
	}
	if err != nil {
		report(err)
	}
	return all
}

// chosenEnv hands the scenario that was chosen on the screen to the sandboxed process.
const chosenEnv = "PACKETWALK_CHOSEN"
