package nflog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/google/nftables"

	"packetwalk/trace"
	"packetwalk/trace/host"
	"packetwalk/trace/ruleset"
	"packetwalk/trace/xtables"
)

// Surveyed is what a network namespace has that a trace has to know of.
type Surveyed struct {
	// Backends are the implementations of iptables to trace: that which the
	// machine calls iptables, and the other one where it holds rules too.
	Backends []Backend
	// Warnings say what the trace cannot see, or what commonly confuses.
	Warnings []string
}

// Survey finds out which implementations of iptables a network namespace uses.
// own is the variant that counts as the machine's own, "nft" or "legacy"; empty
// for that which the system calls iptables.
func Survey(ctx context.Context, ns Namespace, families []trace.Family, own string) (Surveyed, error) {
	var s Surveyed
	err := ns.Do(func() error {
		nft, err := hasNFTables()
		if err != nil {
			return err
		}
		for _, f := range families {
			if err := s.family(ctx, f, own, nft); err != nil {
				return err
			}
		}
		return s.native()
	})
	return s, err
}

// commands names the iptables command of a family, and those of its variants.
func commands(f trace.Family) (plain string, variants map[trace.Variant]string) {
	plain = "iptables"
	if f == trace.IPv6 {
		plain = "ip6tables"
	}
	return plain, map[trace.Variant]string{trace.Legacy: plain + "-legacy", trace.NFTables: plain + "-nft"}
}

// hasNFTables says whether the kernel has nf_tables, as a module that it can load
// or built in.
func hasNFTables() (bool, error) {
	conn, err := nftables.New()
	if err != nil {
		return false, fmt.Errorf("opening nf_tables: %w", err)
	}
	_, err = conn.ListTablesOfFamily(nftables.TableFamilyIPv4)
	if host.LacksNFTables(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("listing nf_tables tables: %w", err)
	}
	return true, nil
}

// listsLegacy says whether the names of the legacy tables can be read in the
// network namespace of the calling thread. In that of an ordinary user they cannot,
// and looking for one brings it into being.
func listsLegacy(f trace.Family) bool {
	_, err := xtables.Names(f)
	return !errors.Is(err, os.ErrPermission)
}

// Installed are all implementations of iptables that a network namespace can have,
// whatever they hold: a dead run's probes may be all that is left in one. Legacy
// tables that cannot be looked at are left out, unless they are what the machine
// calls iptables. It is an error that none is installed.
func Installed(ns Namespace) (all []Backend, err error) {
	err = ns.Do(func() (err error) {
		all, err = installed()
		return err
	})
	return all, err
}

func installed() ([]Backend, error) {
	nft, err := hasNFTables()
	if err != nil {
		return nil, err
	}
	var all []Backend
	var missing error
	for _, f := range []trace.Family{trace.IPv4, trace.IPv6} {
		plain, variants := commands(f)
		own, err := variantOf(plain)
		if err != nil && !errors.Is(err, exec.ErrNotFound) {
			return nil, err
		}
		missing = cmp.Or(missing, err)
		isOwn := func(v trace.Variant) bool { return err == nil && v == own }
		usable := map[trace.Variant]bool{trace.NFTables: nft, trace.Legacy: isOwn(trace.Legacy) || listsLegacy(f)}
		for _, v := range []trace.Variant{trace.NFTables, trace.Legacy} {
			command := variants[v]
			if _, err := exec.LookPath(command); err != nil && isOwn(v) {
				command = plain
			} else if err != nil {
				continue
			}
			if usable[v] {
				all = append(all, Backend{Family: f, Command: command})
			}
		}
	}
	if len(all) == 0 && missing != nil {
		return nil, fmt.Errorf("%w; to mend it: apt-get install iptables", missing)
	}
	return all, nil
}

// family surveys one address family; nft says whether the kernel has nf_tables.
func (s *Surveyed) family(ctx context.Context, f trace.Family, named string, nft bool) error {
	plain, variants := commands(f)
	if named != "" {
		plain += "-" + named
	}
	if _, err := exec.LookPath(plain); err != nil {
		if f == trace.IPv6 {
			return nil // a machine without ip6tables has no rules of it
		}
		return fmt.Errorf("%w; to mend it: apt-get install iptables", err)
	}
	own, err := variantOf(plain)
	if err != nil {
		return err
	}
	other := variants[trace.NFTables-own]
	_, missing := exec.LookPath(other)
	if own == trace.NFTables && !nft {
		if missing != nil {
			return fmt.Errorf("%s needs nf_tables, which this kernel does not have; to mend it: modprobe nf_tables", plain)
		}
		s.Backends = append(s.Backends, Backend{Family: f, Command: other})
		s.Warnings = append(s.Warnings, fmt.Sprintf("%s needs nf_tables, which this kernel does not have; tracing %s", plain, other))
		return nil
	}
	s.Backends = append(s.Backends, Backend{Family: f, Command: plain})
	if missing != nil || !nft {
		return nil
	}
	if own == trace.NFTables && !listsLegacy(f) {
		s.Warnings = append(s.Warnings, fmt.Sprintf("whether %s holds rules too cannot be seen in a namespace of an ordinary user; they would pass unseen", other))
		return nil
	}
	theirs, err := holdsRules(ctx, other)
	if err != nil || !theirs {
		return err
	}
	s.Backends = append(s.Backends, Backend{Family: f, Command: other})
	ours, err := holdsRules(ctx, plain)
	if err == nil && ours {
		s.Warnings = append(s.Warnings, fmt.Sprintf(
			"both %s and %s hold rules: every packet passes both, and %s -L shows only one of them", variants[own], other, plain))
	}
	return err
}

// Rulesets reads what the backends hold in a network namespace, in their order
// and without probes. It creates no table where these can be listed.
func Rulesets(ctx context.Context, ns Namespace, backends []Backend) ([]ruleset.Ruleset, error) {
	all := make([]ruleset.Ruleset, len(backends))
	err := ns.Do(func() (err error) {
		for i, b := range backends {
			if all[i], err = saved(ctx, b.Command); err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

// saved is what a command's -save prints, without probes. It creates no table
// where these can be listed.
func saved(ctx context.Context, command string) (ruleset.Ruleset, error) {
	text, err := save(ctx, command, trace.Tables())
	if err != nil {
		return ruleset.Ruleset{}, err
	}
	rules, err := ruleset.Parse(text)
	if err != nil {
		return ruleset.Ruleset{}, fmt.Errorf("%s-save: %w", command, err)
	}
	return Visible(rules), nil
}

// holdsRules says whether the tables of a command hold rules other than probes,
// or policies that drop.
func holdsRules(ctx context.Context, command string) (bool, error) {
	rules, err := saved(ctx, command)
	if err != nil {
		return false, err
	}
	for _, t := range rules.Tables {
		for _, c := range t.Chains {
			if len(c.Rules) > 0 || c.Policy == trace.Drop {
				return true, nil
			}
		}
	}
	return false, nil
}

// native warns of nf_tables chains that hook in without being those of iptables.
func (s *Surveyed) native() error {
	conn, err := nftables.New()
	if err != nil {
		return nil // a kernel without nf_tables has no such chains
	}
	chains, err := host.NativeChains(conn)
	if err != nil {
		return nil
	}
	var names []string
	for _, c := range chains {
		names = append(names, c.Table.Name+" "+c.Name)
	}
	if len(names) > 0 {
		s.Warnings = append(s.Warnings, "native nft chains hook in too, and are not seen by this trace: "+strings.Join(names, ", "))
	}
	return nil
}
