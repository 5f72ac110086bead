package nflog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"packetwalk/trace"
	"packetwalk/trace/ruleset"
	"packetwalk/trace/xtables"
)

// run executes a command of the iptables family in the network namespace of
// the calling thread and returns what it printed.
func run(ctx context.Context, command, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, command, args...)
	// Whoever cleans up after us must find all that we did: no command of ours
	// may go on when we are gone. It does its work in whole transactions.
	cmd.SysProcAttr = &unix.SysProcAttr{
		Pdeathsig: unix.SIGKILL,
		// What ends us, such as Ctrl-C, must not end what cleans up.
		Setpgid: true,
	}
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	if err := cmd.Run(); err != nil {
		if msg := strings.TrimSpace(errs.String()); msg != "" {
			return "", fmt.Errorf("running %s: %w: %s", command, err, msg)
		}
		return "", fmt.Errorf("running %s: %w", command, err)
	}
	return out.String(), nil
}

// save is the output of iptables-save. The legacy one lists its tables by
// /proc/net/ip_tables_names, which the root of a user namespace may not be
// allowed to read: then the tables are asked for one by one, which brings those
// into being that were not there.
func save(ctx context.Context, command string, tables []trace.Table) (string, error) {
	text, err := run(ctx, command+"-save", "")
	if err == nil {
		return text, nil
	}
	var all strings.Builder
	for _, t := range tables {
		text, tableErr := run(ctx, command+"-save", "", "-t", string(t))
		if tableErr != nil {
			return "", err
		}
		all.WriteString(text)
	}
	return all.String(), nil
}

// readRules reads a command's ruleset with save, and returns its text as well.
func readRules(ctx context.Context, command string, tables []trace.Table) (rules ruleset.Ruleset, text string, err error) {
	if text, err = save(ctx, command, tables); err != nil {
		return rules, "", err
	}
	if rules, err = ruleset.Parse(text); err != nil {
		return rules, "", fmt.Errorf("%s-save: %w", command, err)
	}
	return rules, text, nil
}

// withoutCounters is a listing without what changes with every packet or with
// the time: the counters of chains, and comments.
func withoutCounters(listing string) string {
	var b strings.Builder
	for line := range strings.Lines(listing) {
		switch line[0] {
		case '#':
		case ':':
			name, _, _ := strings.Cut(line, " [")
			b.WriteString(name + "\n")
		default:
			b.WriteString(line)
		}
	}
	return b.String()
}

// remove deletes the probes from the rulesets. It must run on a thread in the
// network namespace.
func (t *Tracer) remove(ctx context.Context) error {
	return RemoveProbes(ctx, t.target.Backends, func(run string) bool { return run == t.run })
}

// RemoveProbes deletes the probes of some runs from the rulesets of the calling
// thread's network namespace, and what came into being for them. Where nothing
// is to be done it does nothing.
func RemoveProbes(ctx context.Context, backends []Backend, ofRun func(run string) bool) error {
	var errs []error
	for _, b := range backends {
		if err := b.removeProbes(ctx, ofRun); err != nil {
			errs = append(errs, fmt.Errorf("deleting probes: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (b Backend) removeProbes(ctx context.Context, ofRun func(run string) bool) error {
	variant, err := variantOf(b.Command)
	if err != nil {
		return err
	}
	if variant == trace.NFTables {
		return deleteByHandle(b.Family, ofRun)
	}
	if err = b.deleteFromLegacy(ctx, ofRun); !errors.Is(err, xtables.ErrUnsupported) {
		return err
	}
	// Somebody else may change the rules between the look and the deletion,
	// which then fails as a whole.
	const patience = 5
	for range patience {
		var done bool
		if done, err = b.removeBySpecification(ctx, ofRun); done {
			return nil
		}
	}
	return err
}

// removeBySpecification deletes the probes that it sees, and says whether none
// is left.
func (b Backend) removeBySpecification(ctx context.Context, ofRun func(run string) bool) (done bool, err error) {
	rules, _, err := readRules(ctx, b.Command, trace.Tables())
	if err != nil {
		return false, err
	}
	script := Removal(rules, ofRun)
	if script == "" {
		return true, nil
	}
	_, err = run(ctx, b.Command+"-restore", script, "--noflush", "--wait")
	return err == nil, err
}

// deletions is how many rules are deleted in one transaction. The kernel finds
// a rule by walking its chain from the beginning, past those that the same
// transaction has deleted already. Packets may pass between two transactions:
// some of the probes report them, and to them that makes no difference.
const deletions = 1000

// deleteByHandle deletes the probes of some runs from nf_tables, and the chains
// and tables that were made for them. These go in one transaction with the probes
// that tell so: where nobody else has touched them, whoever goes on after this was
// killed finds either both or neither.
func deleteByHandle(family trace.Family, ofRun func(run string) bool) error {
	probes, err := listProbes(family)
	if err != nil {
		return err
	}
	made := map[trace.Table]map[string]Origin{}
	var requests, last []netlink.Message
	for _, p := range probes {
		if !ofRun(p.prefix.Run) {
			continue
		}
		request := deleteRequest(nftFamily(family), unix.NFT_MSG_DELRULE,
			netlink.Attribute{Type: unix.NFTA_RULE_TABLE, Data: append([]byte(p.table), 0)},
			netlink.Attribute{Type: unix.NFTA_RULE_CHAIN, Data: append([]byte(p.chain), 0)},
			netlink.Attribute{Type: unix.NFTA_RULE_HANDLE, Data: p.handle})
		if p.prefix.Origin == Existed {
			requests = append(requests, request)
			continue
		}
		last = append(last, request)
		if made[p.table] == nil {
			made[p.table] = map[string]Origin{}
		}
		made[p.table][p.chain] = p.prefix.Origin
	}
	var errs []error
	for some := range slices.Chunk(requests, deletions) {
		errs = append(errs, deleteAll(some))
	}
	if err := errors.Join(append(errs, keepPolicies(family, made))...); err != nil {
		return err
	}
	return deleteAll(append(last, deleteRequests(nftFamily(family), made)...))
}

// listProbes finds the probes of every run in nf_tables. It reads the kernel's
// dump without taking matches apart, since other people's rules may hold
// expressions that no library knows.
func listProbes(family trace.Family) ([]listedRule, error) {
	var probes []listedRule
	err := dumpRules(nftFamily(family), func(rule []byte) error {
		prefix, ok := findPrefix(rule)
		if !ok {
			return nil
		}
		r, err := readRule(rule)
		r.prefix = prefix
		probes = append(probes, r)
		return err
	})
	return probes, err
}
