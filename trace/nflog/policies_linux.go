package nflog

import (
	"fmt"

	"github.com/google/nftables"

	"packetwalk/trace"
)

// keepPolicies takes those chains out of what is to be deleted that somebody has
// given a policy since they were made for probes: a base chain without rules
// still drops.
func keepPolicies(family trace.Family, made map[trace.Table]map[string]Origin) error {
	if len(made) == 0 {
		return nil
	}
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("opening nf_tables: %w", err)
	}
	chains, err := conn.ListChainsOfTableFamily(nftFamily(family))
	if err != nil {
		return fmt.Errorf("listing nf_tables chains: %w", err)
	}
	for _, c := range chains {
		if c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop {
			delete(made[trace.Table(c.Table.Name)], c.Name)
		}
	}
	return nil
}
