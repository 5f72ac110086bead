package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"packetwalk/lab"
	"packetwalk/trace"
	"packetwalk/trace/nflog"
	"packetwalk/trace/why/rebuild"
	"packetwalk/tui"
)

// whyMailed rebuilds a host from what somebody mailed of it, and asks there.
func whyMailed(ctx context.Context, flags whyFlags) error {
	mail, err := readMail(flags.mail)
	if err != nil {
		return err
	}
	request, err := requestOf(mail, flags)
	if err != nil {
		return wrongMail(err)
	}
	// Outside of the sandbox too, so that what is wrong is told whether there is one or not.
	plan, err := rebuild.New(mail, request)
	if err != nil {
		return wrongMail(err)
	}
	if !lab.InSandbox() {
		file, err := packMail(mail)
		if err != nil {
			return err
		}
		defer file.Close()
		return reexec(ctx, nil, file)
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
	flags.from, flags.wanted.Host = plan.From, request.Target.Addr.Addr().String()
	s := newLabScene(l, iptables, flags)
	s.source = plan.Source
	if flags.json {
		if err := printNotes(plan.Notes, flags.lang); err != nil {
			return err
		}
	}
	t := theaterOf(s, l)
	t.rebuilt = true
	if flags.fix && flags.mail.fromStdin() > 0 {
		t.unasked = askTerminal(flags.lang)
	}
	t.ask = resting(t.ask, plan.Notes)
	return within(l, func() error { return t.show(ctx) })
}

// requestOf is what is asked of the mailed host.
func requestOf(mail rebuild.Mail, flags whyFlags) (rebuild.Request, error) {
	from, err := netip.ParseAddr(flags.from)
	if err != nil {
		return rebuild.Request{}, &rebuild.RequestError{Problem: fmt.Sprintf("--from %q: with --ruleset it has to be the sender's address", flags.from)}
	}
	to, err := ownOrNamed(mail, flags.wanted.Host, trace.FamilyOf(from))
	return rebuild.Request{From: from, Target: flags.wanted.At(to)}, err
}

// ownOrNamed is the target's address: as it is written, or without one the host's own.
func ownOrNamed(mail rebuild.Mail, name string, family trace.Family) (netip.Addr, error) {
	if name != "" {
		to, err := netip.ParseAddr(name)
		if err != nil {
			return to, &rebuild.RequestError{Problem: fmt.Sprintf("resolving %q: with --ruleset the target has to be an address", name)}
		}
		return to, nil
	}
	to, err := mail.Own(family)
	if err == nil && !to.IsValid() {
		err = &rebuild.RequestError{Problem: "resolving the target: with --ruleset name the address, as in 192.0.2.1:80"}
	}
	return to, err
}

// wrongMail makes what is wrong with the files, or with the question, an error in
// the usage of the program.
func wrongMail(err error) error {
	var file *rebuild.FileError
	var request *rebuild.RequestError
	if errors.As(err, &file) || errors.As(err, &request) {
		return usageError{inputError{err}}
	}
	return err
}

// resting is a question whose answer says on what it rests.
func resting(ask func(context.Context) (tui.Asked, error), notes []rebuild.Note) func(context.Context) (tui.Asked, error) {
	return func(ctx context.Context) (tui.Asked, error) {
		a, err := ask(ctx)
		a.Answer.Unseen = append(a.Answer.Unseen, rebuild.Caveats(notes)...)
		return a, err
	}
}

// printNotes prints what was assumed of the host, and what could not be rebuilt,
// as JSON.
func printNotes(notes []rebuild.Note, lang string) error {
	out := json.NewEncoder(os.Stdout)
	for _, n := range notes {
		err := out.Encode(struct {
			Type    string           `json:"type"`
			Note    rebuild.NoteKind `json:"note"`
			LeftOut bool             `json:"leftout"`
			File    string           `json:"file,omitempty"`
			Line    int              `json:"line,omitempty"`
			Text    string           `json:"text"`
		}{"note", n.Kind, n.LeftOut(), n.File, n.Line, n.Text(lang)})
		if err != nil {
			return err
		}
	}
	return nil
}
