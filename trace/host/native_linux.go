package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"packetwalk/trace"
)

// OwnTables is how the names of the tables begin that this program makes for itself.
const OwnTables = "packetwalk"

// LacksNFTables says whether an error of asking nf_tables is that the kernel has
// none: nobody registered the subsystem (nfnetlink_rcv_msg in
// net/netfilter/nfnetlink.c).
func LacksNFTables(err error) bool { return errors.Is(err, unix.EINVAL) }

// NativeChains lists the base chains of nf_tables, in the network namespace of
// the calling thread, that iptables does not show: all but the built-in chains
// of its tables. Those for ARP are left out.
func NativeChains(conn *nftables.Conn) ([]*nftables.Chain, error) {
	all, err := conn.ListChains()
	if LacksNFTables(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the chains of nf_tables: %w", err)
	}
	return slices.DeleteFunc(all, func(c *nftables.Chain) bool {
		return c.Hooknum == nil || c.Table.Family == nftables.TableFamilyARP || strings.HasPrefix(c.Table.Name, OwnTables) || isOfIptables(c)
	}), nil
}

// isOfIptables says whether a base chain is one that iptables makes.
func isOfIptables(c *nftables.Chain) bool {
	if c.Table.Family != nftables.TableFamilyIPv4 && c.Table.Family != nftables.TableFamilyIPv6 {
		return false
	}
	return slices.ContainsFunc(trace.HooksOf(trace.Table(c.Table.Name)), func(h trace.Hook) bool { return h.String() == c.Name })
}

// native reads the base chains that iptables does not show, in the order of
// family, table and priority.
func (r *reader) native(ctx context.Context) error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("opening nf_tables: %w", err)
	}
	chains, err := NativeChains(conn)
	if err != nil {
		return err
	}
	devices, err := devicesOfChains()
	if err != nil {
		r.unseen(Native, err)
	}
	for _, c := range chains {
		n := NativeChain{
			Family: familyOf(c.Table.Family), Table: c.Table.Name, Name: c.Name,
			Hook: hookOf(c.Table.Family, *c.Hooknum), Devices: devices[chainKey{c.Table.Family, c.Table.Name, c.Name}],
			Priority: int(*c.Priority), Policy: trace.Accept,
		}
		if c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop {
			n.Policy = trace.Drop
		}
		s := search{conn: conn, table: c.Table, seen: map[string]bool{}}
		if err := s.chain(c.Name); err != nil {
			r.unseen(Native, fmt.Errorf("reading the rules of %s %s %s: %w", n.Family, n.Table, n.Name, err))
		}
		n.Rules = s.found
		n.Drops = n.Policy == trace.Drop || len(n.Rules) > 0
		nameRules(ctx, &n)
		r.Native = append(r.Native, n)
	}
	slices.SortStableFunc(r.Native, func(a, b NativeChain) int { return strings.Compare(a.Family+" "+a.Table, b.Family+" "+b.Table) })
	return nil
}

// familyOf is nft's word for a family.
func familyOf(f nftables.TableFamily) string {
	names := map[nftables.TableFamily]string{
		nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6", nftables.TableFamilyINet: "inet",
		nftables.TableFamilyARP: "arp", nftables.TableFamilyNetdev: "netdev", nftables.TableFamilyBridge: "bridge",
	}
	if name, ok := names[f]; ok {
		return name
	}
	return fmt.Sprint(f)
}

// hookOf is nft's word for a hook (enum nf_inet_hooks in
// include/uapi/linux/netfilter.h; a netdev table has its own).
func hookOf(f nftables.TableFamily, h nftables.ChainHook) string {
	names := []string{"prerouting", "input", "forward", "output", "postrouting", "ingress"}
	if f == nftables.TableFamilyNetdev {
		names = []string{"ingress", "egress"}
	}
	return word(names, int(h))
}
