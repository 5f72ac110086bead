package host

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	mdlayher "github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"packetwalk/trace"
)

// ownTables is how the names of tables begin that this program makes.
const ownTables = "packetwalk"

// NativeChains lists the base chains of nf_tables, in the network namespace of
// the calling thread, that iptables does not show: all but the built-in chains
// of its tables. Those for ARP are left out.
func NativeChains(conn *nftables.Conn) ([]*nftables.Chain, error) {
	all, err := conn.ListChains()
	if err != nil {
		return nil, fmt.Errorf("listing the chains of nf_tables: %w", err)
	}
	return slices.DeleteFunc(all, func(c *nftables.Chain) bool {
		return c.Hooknum == nil || c.Table.Family == nftables.TableFamilyARP || strings.HasPrefix(c.Table.Name, ownTables) || isOfIptables(c)
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
	for _, c := range chains {
		n := NativeChain{
			Family: familyOf(c.Table.Family), Table: c.Table.Name, Name: c.Name,
			Hook: hookOf(c.Table.Family, *c.Hooknum), Priority: int(*c.Priority), Policy: trace.Accept,
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

// search looks for rules that drop or reject, in a chain and those that it leads to.
type search struct {
	conn  *nftables.Conn
	table *nftables.Table
	seen  map[string]bool
	found []NativeRule
}

func (s *search) chain(name string) error {
	if s.seen[name] {
		return nil
	}
	s.seen[name] = true
	rules, err := s.conn.GetRules(s.table, &nftables.Chain{Name: name, Table: s.table})
	if err != nil {
		return err
	}
	var next []string
	for _, r := range rules {
		verdicts, err := s.verdicts(r)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(verdicts, func(v expr.Verdict) bool { return v.Kind == expr.VerdictDrop }) {
			s.found = append(s.found, NativeRule{Chain: name, Handle: r.Handle})
		}
		for _, v := range verdicts {
			if v.Kind == expr.VerdictJump || v.Kind == expr.VerdictGoto {
				next = append(next, v.Chain)
			}
		}
	}
	for _, c := range next {
		if err := s.chain(c); err != nil {
			return err
		}
	}
	return nil
}

// verdicts are those that a rule can end with; to reject counts as dropping.
func (s *search) verdicts(r *nftables.Rule) (all []expr.Verdict, err error) {
	for _, e := range r.Exprs {
		switch e := e.(type) {
		case *expr.Verdict:
			all = append(all, *e)
		case *expr.Reject:
			all = append(all, expr.Verdict{Kind: expr.VerdictDrop})
		case *expr.Lookup:
			if !e.IsDestRegSet || e.DestRegister != unix.NFT_REG_VERDICT {
				continue
			}
			of, err := s.mapped(e.SetName)
			if err != nil {
				return nil, fmt.Errorf("reading the verdict map %s: %w", e.SetName, err)
			}
			all = append(all, of...)
		}
	}
	return all, nil
}

// mapped are the verdicts in a map.
func (s *search) mapped(name string) (all []expr.Verdict, err error) {
	elements, err := s.conn.GetSetElements(&nftables.Set{Table: s.table, Name: name})
	if err != nil {
		return nil, err
	}
	for _, e := range elements {
		if len(e.Val) == 0 {
			continue // the end of an interval
		}
		v, err := verdictOf(e.Val)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// verdictOf reads the attributes of a verdict (enum nft_verdict_attributes in
// include/uapi/linux/netfilter/nf_tables.h), which the library leaves as they are.
func verdictOf(data []byte) (v expr.Verdict, err error) {
	d, err := mdlayher.NewAttributeDecoder(data)
	if err != nil {
		return v, err
	}
	d.ByteOrder = binary.BigEndian
	for d.Next() {
		switch d.Type() {
		case unix.NFTA_VERDICT_CODE:
			v.Kind = expr.VerdictKind(int32(d.Uint32()))
		case unix.NFTA_VERDICT_CHAIN:
			v.Chain = d.String()
		}
	}
	return v, d.Err()
}
