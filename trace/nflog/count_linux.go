package nflog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"packetwalk/trace"
	"packetwalk/trace/ruleset"
	"packetwalk/trace/xtables"
)

// Packets counts the packets that have begun their way through the namespace
// since the tracer was attached, whether it listened or not, by the counters of
// its probes. With a filter, those that a rule of the raw table ended are not
// among them. What passes a probe between the last count and its removal by
// somebody else is missing. The tracer must have been attached with Target.Count;
// after Detach, it is the last count.
func (t *Tracer) Packets(ctx context.Context) (uint64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.detached.Load() {
		if err := t.target.Namespace.Do(func() error { return t.readCounters(ctx) }); err != nil {
			return 0, fmt.Errorf("counting packets on %s: %w", t.target.Node, err)
		}
	}
	var sum int64
	for _, c := range t.counted {
		sum += int64(c.packets) * int64(c.counts)
	}
	return uint64(max(sum, 0)), nil
}

// tally is how many packets have come by a probe, and what each counts.
type tally struct {
	packets uint64
	counts  int
}

// readCounters notes the counters of the probes that count. Where both
// implementations of iptables are traced, a packet passes those of both: the
// first one counts. It must run on a thread in the network namespace.
func (t *Tracer) readCounters(ctx context.Context) error {
	if t.counted == nil {
		t.counted = map[int]tally{}
	}
	done := map[trace.Family]bool{}
	for _, b := range t.backends {
		if done[b.Family] {
			continue
		}
		done[b.Family] = true
		counters, err := b.counters(ctx, b.plan.countTable())
		if err != nil {
			return err
		}
		for prefix, packets := range counters {
			if probe := b.plan.Probes[prefix.Probe]; prefix.Run == t.run && probe.Counts != 0 {
				t.counted[prefix.Probe] = tally{packets, probe.Counts}
			}
		}
	}
	return nil
}

// counters reads how many packets have passed the probes of any run in a table's
// chains where packets begin their way.
func (b *backend) counters(ctx context.Context, table trace.Table) (map[Prefix]uint64, error) {
	counters := map[Prefix]uint64{}
	if b.variant == trace.Legacy {
		// While somebody replaces the table its counters begin at 0.
		lock, err := xtables.TakeLock(ctx)
		if err != nil {
			return nil, err
		}
		defer lock.Release()
		text, err := run(ctx, b.Command+"-save", "", "-c", "-t", string(table))
		if err != nil {
			return nil, err
		}
		rules, err := ruleset.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s-save: %w", b.Command, err)
		}
		eachProbe(rules, func(_ place, r ruleset.Rule, p Prefix) { counters[p] = r.Packets })
		return counters, nil
	}
	for _, hook := range []trace.Hook{trace.Prerouting, trace.Output} {
		err := dumpRules(nftFamily(b.Family), func(rule []byte) error {
			prefix, ok := findPrefix(rule)
			if !ok {
				return nil
			}
			packets, err := readCounter(rule)
			counters[prefix] = packets
			return err
		},
			netlink.Attribute{Type: unix.NFTA_RULE_TABLE, Data: append([]byte(table), 0)},
			netlink.Attribute{Type: unix.NFTA_RULE_CHAIN, Data: append([]byte(hook.String()), 0)})
		if err != nil && !errors.Is(err, unix.ENOENT) { // somebody may have deleted the table
			return nil, err
		}
	}
	return counters, nil
}

// readCounter reads the packets of the counter expression that iptables-nft puts
// into each of its rules, from a dumped rule.
func readCounter(rule []byte) (packets uint64, err error) {
	r, err := readRule(rule)
	if err != nil {
		return 0, err
	}
	for _, e := range r.expressions {
		if expressionName(e) != "counter" {
			continue
		}
		data, err := attribute(e, unix.NFTA_EXPR_DATA)
		if err != nil {
			return 0, err
		}
		count, err := attribute(data, unix.NFTA_COUNTER_PACKETS)
		if err != nil || len(count) != 8 {
			return 0, errors.Join(fmt.Errorf("reading a counter of nf_tables: %d bytes", len(count)), err)
		}
		packets = binary.BigEndian.Uint64(count)
	}
	return packets, nil
}
