package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/google/nftables"

	"packetwalk/trace/host"
)

// implementation is one implementation of iptables for one address family.
type implementation struct {
	name         string // of the command: "iptables-nft"
	ipv6, legacy bool
}

// implementations finds the implementations that are installed.
func implementations() []implementation {
	var all []implementation
	for _, variant := range []string{"nft", "legacy"} {
		c := Command(variant)
		for _, p := range []implementation{{c.Iptables, false, variant == "legacy"}, {c.Iptables6, true, variant == "legacy"}} {
			if _, err := exec.LookPath(p.name + "-save"); err == nil {
				all = append(all, p)
			}
		}
	}
	return all
}

// rulesState is what a place has of rules.
type rulesState struct {
	// iptables holds canonical texts by command, where there is something in them.
	iptables map[string]string
	// native holds, by family and name ("inet mine"), the text of the nf_tables
	// tables that are none of iptables.
	native map[string]string
}

// rules reads the rules in the network namespace of the calling thread.
func (l *Lab) rules(ctx context.Context) (rulesState, error) {
	s := rulesState{iptables: map[string]string{}, native: map[string]string{}}
	tables, err := nftTables()
	if err != nil {
		return s, err
	}
	for _, p := range implementations() {
		text, err := p.save(ctx, tables)
		if err != nil {
			return s, err
		}
		if text = canonical(readRuleText(text, l.options.Hidden)); text != "" {
			s.iptables[p.name] = text
		}
	}
	for _, t := range tables {
		if t.ofIptables() {
			continue
		}
		if s.native[t.String()], err = t.list(ctx); err != nil {
			return s, err
		}
	}
	return s, nil
}

// save is the output of iptables-save for the tables that exist.
func (p implementation) save(ctx context.Context, tables []nftTable) (string, error) {
	if !p.legacy {
		family := "ip"
		if p.ipv6 {
			family = "ip6"
		}
		if !slices.ContainsFunc(tables, func(t nftTable) bool { return t.family == family && t.ofIptables() }) {
			return "", nil
		}
		return output(ctx, "", p.name+"-save")
	}
	names, err := p.legacyTables()
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for _, name := range names {
		text, err := output(ctx, "", p.name+"-save", "-t", name)
		if err != nil {
			return "", err
		}
		all.WriteString(text)
	}
	return all.String(), nil
}

// legacyTables names the legacy tables that hold something. Where the kernel
// does not let us read which there are, each is looked at, which brings it into being.
func (p implementation) legacyTables() ([]string, error) {
	names, err := namedTables(p.ipv6)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	x, err := openXtables(p.ipv6)
	if err != nil {
		return nil, err
	}
	defer x.close()
	var full []string
	for _, name := range names {
		print, err := x.fingerprint(name)
		if isNoTable(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if print != 0 {
			full = append(full, name)
		}
	}
	return full, nil
}

// namedTables are the legacy tables that exist or, where that cannot be read,
// all that can.
func namedTables(ipv6 bool) ([]string, error) {
	file := "ip_tables_names"
	if ipv6 {
		file = "ip6_tables_names"
	}
	data, err := os.ReadFile("/proc/thread-self/net/" + file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil // no module for legacy tables is loaded
	case errors.Is(err, os.ErrPermission):
		return slices.Sorted(maps.Keys(baseChains)), nil
	case err != nil:
		return nil, err
	}
	return strings.Fields(string(data)), nil
}

// nftTable is a table of nf_tables.
type nftTable struct{ family, name string }

func (t nftTable) String() string { return t.family + " " + t.name }

// ofIptables says whether it is a table that iptables-nft uses.
func (t nftTable) ofIptables() bool {
	return (t.family == "ip" || t.family == "ip6") && baseChains[t.name] != nil
}

// nftFamilies are the families in the words of nft(8).
var nftFamilies = map[nftables.TableFamily]string{
	nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6", nftables.TableFamilyINet: "inet",
	nftables.TableFamilyARP: "arp", nftables.TableFamilyBridge: "bridge", nftables.TableFamilyNetdev: "netdev",
}

// nftTables lists the tables of nf_tables.
func nftTables() ([]nftTable, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("opening nf_tables: %w", err)
	}
	found, err := conn.ListTables()
	if host.LacksNFTables(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing nf_tables tables: %w", err)
	}
	var all []nftTable
	for _, t := range found {
		all = append(all, nftTable{nftFamilies[t.Family], t.Name})
	}
	return all, nil
}

// list is the table as nft(8) writes it, without counters; empty where nft is
// not installed: then its content is left alone.
func (t nftTable) list(ctx context.Context) (string, error) {
	if _, err := exec.LookPath("nft"); err != nil {
		return "", nil
	}
	return output(ctx, "", "nft", "--stateless", "list", "table", t.family, t.name)
}

// restoreRules makes the rules those of want, in the network namespace of the
// calling thread.
func (l *Lab) restoreRules(ctx context.Context, want rulesState) error {
	have, err := l.rules(ctx)
	if err != nil {
		return err
	}
	for _, p := range implementations() {
		script := restoring(have.iptables[p.name], want.iptables[p.name])
		if script == "" {
			continue
		}
		if _, err := output(ctx, script, p.name+"-restore", "--wait"); err != nil {
			return err
		}
	}
	return restoreNative(ctx, have.native, want.native)
}

// restoreNative replaces native tables, all in one transaction.
func restoreNative(ctx context.Context, have, want map[string]string) error {
	var script strings.Builder
	for name, text := range have {
		if text != want[name] || text == "" && !hasKey(want, name) {
			script.WriteString("delete table " + name + "\n")
		}
	}
	for name, text := range want {
		if text != have[name] {
			script.WriteString(text)
		}
	}
	if script.Len() == 0 {
		return nil
	}
	_, err := output(ctx, script.String(), "nft", "-f", "-")
	return err
}

func hasKey(m map[string]string, key string) bool {
	_, ok := m[key]
	return ok
}

// output runs a program in the network namespace of the calling thread and
// returns what it printed.
func output(ctx context.Context, input, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("running %s: %w: %s", name, err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}
