package nflog

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"packetwalk/trace"
	"packetwalk/trace/host"
)

// tracked says of which address families the kernel tracks connections, because
// of what one of the backends holds or of native tables. Only a careful plan needs
// to know. It must run on a thread in the network namespace.
func (t *Tracer) tracked(subjects []Subject) (map[trace.Family]bool, error) {
	if !t.target.Careful {
		return nil, nil
	}
	on := map[trace.Family]bool{}
	for i, b := range t.backends {
		on[b.Family] = on[b.Family] || TracksConnections(subjects[i].Rules)
	}
	for family, already := range on {
		if already {
			continue
		}
		var err error
		if on[family], err = t.tracksNatively(family); err != nil {
			return nil, err
		}
	}
	return on, nil
}

// trackingExpressions are those of nf_tables that always switch connection tracking
// on (those that call nf_ct_netns_get in net/netfilter/nft_*.c).
var trackingExpressions = map[string]bool{
	"ct": true, "connlimit": true, "flow_offload": true, "synproxy": true, "nat": true, "masq": true, "redir": true,
}

// tracksNatively says whether the rules of a table that no backend shows switch
// connection tracking on.
func (t *Tracer) tracksNatively(family trace.Family) (bool, error) {
	shown := slices.ContainsFunc(t.backends, func(b *backend) bool { return b.Family == family && b.variant == trace.NFTables })
	conn, err := nftables.New()
	if err != nil {
		return false, fmt.Errorf("opening nf_tables: %w", err)
	}
	for _, f := range []nftables.TableFamily{nftFamily(family), nftables.TableFamilyINet} {
		tables, err := conn.ListTablesOfFamily(f)
		if host.LacksNFTables(err) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("listing nf_tables tables: %w", err)
		}
		for _, table := range tables {
			ofIptables := f != nftables.TableFamilyINet && len(trace.HooksOf(trace.Table(table.Name))) > 0
			if ofIptables && shown || strings.HasPrefix(table.Name, host.OwnTables) {
				continue
			}
			on := false
			err := dumpRules(f, func(data []byte) error {
				r, err := readRule(data)
				for _, e := range r.expressions {
					on = on || trackingExpressions[expressionName(e)]
				}
				return err
			}, netlink.Attribute{Type: unix.NFTA_RULE_TABLE, Data: append([]byte(table.Name), 0)})
			if errors.Is(err, unix.ENOENT) {
				continue // somebody has just deleted it
			}
			if on || err != nil {
				return on, err
			}
		}
	}
	return false, nil
}
