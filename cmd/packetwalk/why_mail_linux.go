package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"packetwalk/lab"
	"packetwalk/trace/nflog"
	"packetwalk/trace/why/rebuild"
)

// whyMailed rebuilds a host from what somebody mailed of it, and asks there.
func whyMailed(ctx context.Context, flags whyFlags) error {
	plan, err := planMailed(flags)
	if err != nil {
		return err
	}
	if !lab.InSandbox() {
		return reexec(ctx, nil)
	}
	if err := lab.Enter(); err != nil {
		return err
	}
	iptables := flags.iptables
	if iptables == "" {
		if err := plan.Choose(ctx); err != nil {
			return err
		}
		iptables = plan.Variant
	}
	l, err := plan.Build(ctx, lab.Options{Iptables: iptables, Hidden: nflog.IsProbe})
	if err != nil {
		return err
	}
	defer l.Close()
	flags.from = plan.From
	s := newLabScene(l, iptables, flags)
	s.source = plan.Source
	if err := printNotes(plan.Notes, flags.runFlags); err != nil {
		return err
	}
	return within(l, func() error { return theaterOf(s, l).show(ctx) })
}

// planMailed reads the files. What is wrong with them, or with the question, is
// an error in the usage of the program.
func planMailed(flags whyFlags) (rebuild.Plan, error) {
	from, err := netip.ParseAddr(flags.from)
	if err != nil {
		return rebuild.Plan{}, usageError{inputError{fmt.Errorf("--from %q: with --ruleset it has to be the sender's address", flags.from)}}
	}
	to, err := netip.ParseAddr(flags.wanted.Host)
	if err != nil {
		return rebuild.Plan{}, usageError{inputError{fmt.Errorf("resolving %q: with --ruleset the target has to be an address", flags.wanted.Host)}}
	}
	var mail rebuild.Mail
	for file, path := range map[*rebuild.File]string{
		&mail.Ruleset: flags.mail.ruleset, &mail.Addresses: flags.mail.addresses, &mail.Routes: flags.mail.routes,
	} {
		if path == "" {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return rebuild.Plan{}, usageError{inputError{fmt.Errorf("reading what was mailed: %w", err)}}
		}
		*file = rebuild.File{Name: path, Text: string(data)}
	}
	plan, err := rebuild.New(mail, rebuild.Request{From: from, Target: flags.wanted.At(to)})
	var file *rebuild.FileError
	var request *rebuild.RequestError
	if errors.As(err, &file) || errors.As(err, &request) {
		err = usageError{inputError{err}}
	}
	return plan, err
}

// printNotes says what was assumed of the host, and what could not be rebuilt.
func printNotes(notes []rebuild.Note, flags runFlags) error {
	out := json.NewEncoder(os.Stdout)
	for _, n := range notes {
		if !flags.json {
			if _, err := fmt.Println(noteLine(n, flags.lang)); err != nil {
				return err
			}
			continue
		}
		err := out.Encode(struct {
			Type    string           `json:"type"`
			Note    rebuild.NoteKind `json:"note"`
			LeftOut bool             `json:"leftout"`
			File    string           `json:"file,omitempty"`
			Line    int              `json:"line,omitempty"`
			Text    string           `json:"text"`
		}{"note", n.Kind, n.LeftOut(), n.File, n.Line, n.Text(flags.lang)})
		if err != nil {
			return err
		}
	}
	return nil
}

// noteLine is a note with the place that it is about.
func noteLine(n rebuild.Note, lang string) string {
	mark, comma, colon := "note", ", ", ": "
	if n.LeftOut() {
		mark = "left out"
	}
	if lang == "zh" {
		mark, comma, colon = map[string]string{"note": "说明", "left out": "未重建"}[mark], "，", "："
	}
	if n.Line > 0 {
		mark += comma + fmt.Sprintf("%s:%d", n.File, n.Line)
	}
	return mark + colon + n.Text(lang)
}
