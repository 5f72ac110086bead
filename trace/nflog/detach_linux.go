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
	var errs []error
	for _, a := range t.attached {
		if err := a.remove(ctx, t.target.Tables); err != nil {
			errs = append(errs, fmt.Errorf("deleting probes: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (a *attachment) remove(ctx context.Context, tables []trace.Table) error {
	if a.variant == trace.Legacy {
		return a.removeBySpecification(ctx, tables)
	}
	if err := deleteByHandle(a.Family, a.plan.Run); err != nil {
		return err
	}
	return a.plan.makeAbsent(a.Family)
}

// removeBySpecification deletes those probes that are there: all of them, or
// some when their insertion failed half-way.
func (a *attachment) removeBySpecification(ctx context.Context, tables []trace.Table) error {
	text, err := save(ctx, a.Command, tables)
	if err != nil {
		return err
	}
	script := a.plan.detach(func(id int) bool { return strings.Contains(text, a.plan.prefix(id)) })
	_, err = run(ctx, a.Command+"-restore", script, "--noflush", "--wait")
	return err
}

// deleteByHandle deletes every rule of the run from nf_tables, in one transaction.
func deleteByHandle(family trace.Family, run string) error {
	probes, err := listProbes(family, runMark(run))
	if err != nil || len(probes) == 0 {
		return err
	}
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	for _, p := range probes {
		if err := conn.DelRule(p.rule); err != nil {
			return err
		}
	}
	return conn.Flush()
}

// attachedProbe is a probe found in nf_tables.
type attachedProbe struct {
	rule   *nftables.Rule // table, chain and handle
	prefix Prefix
}

// listProbes finds the rules whose log prefix begins with mark. It reads
// the kernel's dump without taking rules apart, since other people's rules may
// hold expressions that no library knows.
func listProbes(family trace.Family, mark string) ([]attachedProbe, error) {
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
		prefix, ok := findPrefix(m.Data, mark)
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
func findPrefix(data []byte, mark string) (Prefix, bool) {
	i := bytes.Index(data, []byte(mark))
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
