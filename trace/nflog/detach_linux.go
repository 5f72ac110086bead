package nflog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"packetwalk/trace"
	"packetwalk/trace/ruleset"
)

// run executes a command of the iptables family in the network namespace of
// the calling thread and returns what it printed.
func run(ctx context.Context, command, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, command, args...)
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
	text, err := save(ctx, b.Command, trace.Tables())
	if err != nil {
		return err
	}
	rules, err := ruleset.Parse(text)
	if err != nil {
		return fmt.Errorf("%s-save: %w", b.Command, err)
	}
	script := Removal(rules, ofRun)
	if script == "" {
		return nil
	}
	_, err = run(ctx, b.Command+"-restore", script, "--noflush", "--wait")
	return err
}

// deleteByHandle deletes the probes of some runs from nf_tables, in one
// transaction, and then the chains and tables that were made for them.
func deleteByHandle(family trace.Family, ofRun func(run string) bool) error {
	probes, err := listProbes(family)
	if err != nil {
		return err
	}
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	made := map[trace.Table]map[string]Origin{}
	for _, p := range probes {
		if !ofRun(p.prefix.Run) {
			continue
		}
		if err := conn.DelRule(p.rule); err != nil {
			return err
		}
		if p.prefix.Origin != Existed {
			table := trace.Table(p.rule.Table.Name)
			if made[table] == nil {
				made[table] = map[string]Origin{}
			}
			made[table][p.rule.Chain.Name] = p.prefix.Origin
		}
	}
	if err := conn.Flush(); err != nil {
		return err
	}
	return deleteMade(family, made)
}

// attachedProbe is a probe found in nf_tables.
type attachedProbe struct {
	rule   *nftables.Rule // table, chain and handle
	prefix Prefix
}

// listProbes finds the probes of every run in nf_tables. It reads
// the kernel's dump without taking rules apart, since other people's rules may
// hold expressions that no library knows.
func listProbes(family trace.Family) ([]attachedProbe, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	msgs, err := conn.Execute(netlink.Message{
		Header: netlink.Header{
			Type:  unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETRULE,
			Flags: netlink.Request | netlink.Dump,
		},
		Data: []byte{byte(nftFamily(family)), unix.NFNETLINK_V0, 0, 0},
	})
	if err != nil {
		return nil, fmt.Errorf("listing nf_tables rules: %w", err)
	}
	var probes []attachedProbe
	for _, m := range msgs {
		prefix, ok := findPrefix(m.Data)
		if !ok {
			continue
		}
		r, err := ruleAddress(family, m.Data[4:]) // behind struct nfgenmsg
		if err != nil {
			return nil, err
		}
		probes = append(probes, attachedProbe{r, prefix})
	}
	return probes, nil
}

// findPrefix finds a log prefix, which ends with a zero byte, in a dumped rule.
func findPrefix(data []byte) (Prefix, bool) {
	i := bytes.Index(data, []byte(prefixMark))
	if i < 0 {
		return Prefix{}, false
	}
	text, _, _ := bytes.Cut(data[i:], []byte{0})
	return ParsePrefix(string(text))
}

// ruleAddress reads table, chain and handle of a dumped rule.
func ruleAddress(family trace.Family, data []byte) (*nftables.Rule, error) {
	ad, err := netlink.NewAttributeDecoder(data)
	if err != nil {
		return nil, err
	}
	r := &nftables.Rule{
		Table: &nftables.Table{Family: nftFamily(family)},
		Chain: &nftables.Chain{},
	}
	for ad.Next() {
		switch ad.Type() {
		case unix.NFTA_RULE_TABLE:
			r.Table.Name = ad.String()
		case unix.NFTA_RULE_CHAIN:
			r.Chain.Name = ad.String()
		case unix.NFTA_RULE_HANDLE:
			data := ad.Bytes()
			for _, b := range data { // big endian
				r.Handle = r.Handle<<8 | uint64(b)
			}
		}
	}
	return r, ad.Err()
}
