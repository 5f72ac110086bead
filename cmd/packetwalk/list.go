package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/charmbracelet/x/ansi"
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
			name, title := 0, 0
			for _, s := range scenarios.List() {
				name, title = max(name, ansi.StringWidth(s.Name)), max(title, ansi.StringWidth(s.Title.In(flags.lang)))
			}
			var b strings.Builder
			for i, c := range scenarios.Chapters() {
				if i > 0 {
					b.WriteByte('\n')
				}
				b.WriteString(c.Title.In(flags.lang) + "\n")
				for _, s := range c.Scenarios {
					p := progress[s.Name]
					row := p.Sign() + " " + padded(s.Name, name) + padded(s.Title.In(flags.lang), title) + p.In(flags.lang)
					b.WriteString(strings.TrimRight(row, " ") + "\n")
				}
			}
			_, err = io.WriteString(cmd.OutOrStdout(), b.String())
			return err
		},
	}
	addLangFlag(cmd)
	return cmd
}

// padded is a text in a column of a width, with what keeps the next one apart.
func padded(text string, width int) string {
	return text + strings.Repeat(" ", width+2-ansi.StringWidth(text))
}
