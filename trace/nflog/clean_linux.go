package nflog

import (
	"context"
	"slices"
	"strconv"

	"packetwalk/trace"
	"packetwalk/trace/ruleset"
	"packetwalk/trace/xtables"
)

// Leftover is a run whose probes are still there though nobody reads them.
type Leftover struct {
	Run    string
	Probes int
}

// Leftovers finds the probes of dead runs in the rulesets of the network
// namespace: those whose NFLOG group has no reader and nobody who claims it.
func Leftovers(ctx context.Context, ns Namespace, backends []Backend) ([]Leftover, error) {
	var found []Leftover
	err := ns.Do(func() (err error) {
		found, err = leftovers(ctx, backends)
		return err
	})
	return found, err
}

// Clean removes leftovers.
func Clean(ctx context.Context, ns Namespace, backends []Backend, dead []Leftover) error {
	if len(dead) == 0 {
		return nil
	}
	return ns.Do(func() error {
		return RemoveProbes(ctx, backends, func(run string) bool {
			return slices.ContainsFunc(dead, func(l Leftover) bool { return l.Run == run })
		})
	})
}

func leftovers(ctx context.Context, backends []Backend) ([]Leftover, error) {
	read, err := takenGroups()
	if err != nil {
		return nil, err
	}
	var found []Leftover
	alive := map[string]bool{}
	for _, b := range backends {
		rules, err := b.settled(ctx)
		if err != nil {
			return nil, err
		}
		eachProbe(rules, func(_ place, r ruleset.Rule, p Prefix) {
			if group, ok := probeGroup(r); ok && (read[group] || read[claimOf(group)]) {
				alive[p.Run] = true
				return
			}
			i := slices.IndexFunc(found, func(l Leftover) bool { return l.Run == p.Run })
			if i < 0 {
				i, found = len(found), append(found, Leftover{Run: p.Run})
			}
			found[i].Probes++
		})
	}
	// Probes that log to no group are as dead or alive as those of their run that do.
	return slices.DeleteFunc(found, func(l Leftover) bool { return alive[l.Run] }), nil
}

// settled reads the backend's ruleset. In the legacy tables a tracer that was
// killed may still have an edit under way, which goes on under the lock.
func (b Backend) settled(ctx context.Context) (ruleset.Ruleset, error) {
	variant, err := variantOf(b.Command)
	if err != nil {
		return ruleset.Ruleset{}, err
	}
	if variant == trace.Legacy {
		lock, err := xtables.TakeLock(ctx)
		if err != nil {
			return ruleset.Ruleset{}, err
		}
		defer lock.Release()
	}
	rules, _, err := readRules(ctx, b.Command, trace.Tables())
	return rules, err
}

// probeGroup is the NFLOG group of a probe, if it has one; iptables-save leaves group 0 out.
func probeGroup(r ruleset.Rule) (uint16, bool) {
	i := slices.Index(r.Options, "--nflog-group")
	if i < 0 || i+1 == len(r.Options) {
		return 0, false
	}
	n, err := strconv.ParseUint(r.Options[i+1], 10, 16)
	return uint16(n), err == nil
}
