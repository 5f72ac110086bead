package lab

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// setRuleset loads a ruleset as a whole, in the network namespace of the
// calling thread.
func (t *tools) setRuleset(ctx context.Context, r Ruleset) error {
	for _, part := range []struct {
		text string
		ipv6 bool
	}{{r.IPv4, false}, {r.IPv6, true}} {
		if part.text == "" {
			continue
		}
		if err := t.restore(ctx, part.ipv6, part.text); err != nil {
			return err
		}
	}
	return nil
}

// restore loads the text of iptables-save in the network namespace of the
// calling thread. The error is a *RestoreError where iptables refuses it.
func (t *tools) restore(ctx context.Context, ipv6 bool, text string) error {
	names := Command(t.variant)
	name := names.Restore
	if ipv6 {
		name = names.Restore6
	}
	err := restoreText(ctx, text, name)
	if err == nil || !strings.Contains(err.Error(), "Message too long") {
		return err
	}
	empty, fill := inPieces(text)
	if err := restoreText(ctx, empty, name); err != nil {
		return err
	}
	return restoreText(ctx, fill, name, "--noflush")
}

func restoreText(ctx context.Context, text, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, append(args, "--wait")...)
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, exec.ErrNotFound):
		return &MissingError{What: name + " is not installed", Fix: "sudo apt-get install iptables", Err: err}
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return &RestoreError{Command: name, Message: restoreMessage(string(out)), Err: err}
}

// restoreMessage is what iptables-restore complained of, without its own name
// and the advice behind it.
func restoreMessage(out string) string {
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "# Warning:") {
			continue
		}
		if head, rest, found := strings.Cut(line, ": "); found && strings.Contains(head, "tables") {
			line = rest
		}
		return line
	}
	return "it gave no reason"
}

// Scratch is an empty network namespace of its own in which rulesets are tried
// out before a lab is built with them.
type Scratch struct {
	place *Namespace
	tools *tools
}

// NewScratch makes one; variant is that of Options. Call it in the sandbox.
func NewScratch(variant string) (*Scratch, error) {
	n, err := newNamespace("scratch", false)
	if err != nil {
		return nil, step("", "making a network namespace to try rules in", err)
	}
	return &Scratch{n, newTools(variant)}, nil
}

// Restore loads the text of iptables-save, or of ip6tables-save, whose tables
// replace those from before. The error is a *RestoreError where iptables or the
// kernel refuses it.
func (s *Scratch) Restore(ctx context.Context, ipv6 bool, text string) error {
	return s.place.Do(func() error { return s.tools.restore(ctx, ipv6, text) })
}

// Close lets the namespace go, with all that was loaded.
func (s *Scratch) Close() { s.place.close() }

// Usable is a variant of iptables that works here, in the words of Options: the
// wanted one or, where that can load nothing and another can, the other. Then
// trouble is what is wrong with the wanted one. Where none works it is the wanted
// one, whose use tells what is missing. Call it in the sandbox.
func Usable(ctx context.Context, wanted string, ipv6 bool) (variant, trouble string, err error) {
	if trouble, err = unable(ctx, wanted, ipv6); err != nil || trouble == "" {
		return wanted, "", err
	}
	for _, other := range []string{"nft", "legacy"} {
		if other == wanted {
			continue
		}
		worse, err := unable(ctx, other, ipv6)
		if err != nil {
			return wanted, "", err
		}
		if worse == "" {
			return other, trouble, nil
		}
	}
	return wanted, "", nil
}

// unable says why a variant of iptables cannot load anything here; empty where it can.
func unable(ctx context.Context, variant string, ipv6 bool) (string, error) {
	s, err := NewScratch(variant)
	if err != nil {
		return "", fmt.Errorf("trying out iptables: %w", err)
	}
	defer s.Close()
	err = s.Restore(ctx, ipv6, "*filter\nCOMMIT\n")
	var missing *MissingError
	var refused *RestoreError
	switch {
	case errors.As(err, &missing):
		return missing.What, nil
	case errors.As(err, &refused):
		return refused.Message, nil
	}
	return "", err
}
