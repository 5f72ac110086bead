package host

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

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

// verdicts are those that a rule can end with. To reject counts as dropping, and
// so does a queue: where no program reads it, the kernel drops the packet.
func (s *search) verdicts(r *nftables.Rule) (all []expr.Verdict, err error) {
	for _, e := range r.Exprs {
		switch e := e.(type) {
		case *expr.Verdict:
			all = append(all, *e)
		case *expr.Reject:
			all = append(all, expr.Verdict{Kind: expr.VerdictDrop})
		case *expr.Queue:
			if e.Flag&expr.QueueFlagBypass == 0 {
				all = append(all, expr.Verdict{Kind: expr.VerdictDrop})
			}
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
	err = attributes(data, func(kind uint16, value []byte) error {
		switch {
		case kind == unix.NFTA_VERDICT_CODE && len(value) == 4:
			v.Kind = expr.VerdictKind(int32(binary.BigEndian.Uint32(value)))
		case kind == unix.NFTA_VERDICT_CHAIN:
			v.Chain = unix.ByteSliceToString(value)
		}
		return nil
	})
	return v, err
}
