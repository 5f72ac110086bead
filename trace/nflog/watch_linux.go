package nflog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"packetwalk/trace"
	"packetwalk/trace/host"
)

// lookEvery is how often a watched ruleset is looked at. In nf_tables a look is
// one short message; the legacy tables have to be listed, and are looked at
// every other time.
const lookEvery = 250 * time.Millisecond

// watch keeps the probes in line with a ruleset that others change, until ctx
// ends. What goes wrong is reported, and tried again at the next look.
func (t *Tracer) watch(ctx context.Context, report func(error)) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := t.target.Namespace.Do(func() error { return t.follow(ctx, i%2 == 0) })
		if err != nil && ctx.Err() == nil {
			report(fmt.Errorf("following the ruleset of %s: %w", t.target.Node, err))
		}
		t.tellChanged()
	}
}

// follow plans anew where the ruleset has changed. It must run on a thread in
// the network namespace.
func (t *Tracer) follow(ctx context.Context, legacy bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.detached.Load() || t.paused > 0 {
		return nil
	}
	generation, err := t.generation()
	if err != nil {
		return err
	}
	changed := generation != t.seen
	if legacy && !changed {
		changed, err = t.legacyChanged(ctx)
	}
	if err != nil || !changed {
		return err
	}
	t.seen = generation
	return t.settle(ctx)
}

// settle plans and carries out until nothing is left to do: others may change
// the ruleset between the two. Where they go on doing so, the next look goes on too.
func (t *Tracer) settle(ctx context.Context) error {
	const patience = 5
	var err error
	for range patience {
		// An edit may name a rule that somebody has deleted since the look: the
		// next plan knows.
		var done bool
		if done, err = t.reconcile(ctx); done {
			if err = t.learnRoles(); err == nil {
				return nil
			}
			break
		}
	}
	t.seen = 0
	return err
}

// inPlace says whether every probe stands where its plan wants it.
func (t *Tracer) inPlace() bool {
	for _, b := range t.backends {
		if !b.plan.Empty() {
			return false
		}
	}
	return true
}

// legacyChanged says whether the rules of a legacy backend are others than at
// the last look.
func (t *Tracer) legacyChanged(ctx context.Context) (bool, error) {
	for _, b := range t.backends {
		if b.variant != trace.Legacy {
			continue
		}
		text, err := save(ctx, b.Command, t.target.Tables)
		if err != nil {
			return false, err
		}
		if comparable := withoutCounters(text); comparable != b.listing {
			b.listing = comparable
			return true, nil
		}
	}
	return false, nil
}

// generation is the number that nf_tables counts up with every change of a
// network namespace's rules; 0 where it matters to no backend: where none stands
// on it, and native tables do not either (see tracked).
func (t *Tracer) generation() (uint32, error) {
	if !t.has(trace.NFTables) && !t.target.Careful {
		return 0, nil
	}
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	msgs, err := conn.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETGEN, Flags: netlink.Request},
		Data:   []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0},
	})
	if host.LacksNFTables(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("asking for the generation of nf_tables: %w", err)
	}
	for _, m := range msgs {
		attrs, err := netlink.UnmarshalAttributes(m.Data[4:]) // behind struct nfgenmsg
		if err != nil {
			return 0, err
		}
		for _, a := range attrs {
			if a.Type == unix.NFTA_GEN_ID && len(a.Data) == 4 {
				return binary.BigEndian.Uint32(a.Data), nil
			}
		}
	}
	return 0, errors.New("asking for the generation of nf_tables: the answer holds none")
}

func (t *Tracer) has(v trace.Variant) bool {
	for _, b := range t.backends {
		if b.variant == v {
			return true
		}
	}
	return false
}
