package lab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Snapshot is the state of a lab at one time: what decides about packets, and
// nothing that packets change. It holds
//   - links: veth pairs, bridges, dummies, with names, MTU, MAC, bridge ports,
//     up or down, and their addresses in order,
//   - routes of all tables, and the rules that choose between them,
//   - the sysctls of the topology and those that Restore knows to write back,
//   - the rules of iptables, both variants and both families, without counters,
//   - tables of nf_tables that are none of iptables, where nft(8) is installed,
//   - services of the lab.
//
// Namespaces that somebody has made with "ip netns add" count like nodes.
// It does not hold neighbours, tracked connections, traffic control, other kinds
// of link, processes that somebody has started, or sets of ipset(8).
type Snapshot struct {
	places   map[string]placeState
	services []Service
}

// placeState is the state of a node, or of a namespace that somebody else has named.
type placeState struct {
	networkState
	sysctls []Sysctl
	rules   rulesState
}

// Equal says whether two states are the same.
func (s Snapshot) Equal(other Snapshot) bool { return reflect.DeepEqual(s, other) }

// difference says in what two states differ.
func (s Snapshot) difference(want Snapshot) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(want.places)) {
		have, want := s.places[name], want.places[name]
		parts = append(parts, differences(name+": link", have.links, want.links)...)
		parts = append(parts, differences(name+": route", have.routes, want.routes)...)
		parts = append(parts, differences(name+": sysctl", have.sysctls, want.sysctls)...)
		parts = append(parts, differences(name+": routing rule", have.choices, want.choices)...)
		parts = append(parts, differences(name+": rules", []rulesState{have.rules}, []rulesState{want.rules})...)
	}
	parts = append(parts, differences("service", s.services, want.services)...)
	return strings.Join(parts, "; ")
}

// differences lists what is there and should not be, and what should be and is not.
func differences[T any](what string, have, want []T) []string {
	if reflect.DeepEqual(have, want) {
		return nil
	}
	in := func(all []T, v T) bool {
		return slices.ContainsFunc(all, func(o T) bool { return reflect.DeepEqual(o, v) })
	}
	var parts []string
	for _, v := range have {
		if !in(want, v) {
			parts = append(parts, fmt.Sprintf("%s %v is too much", what, v))
		}
	}
	for _, v := range want {
		if !in(have, v) {
			parts = append(parts, fmt.Sprintf("%s %v is missing", what, v))
		}
	}
	if len(parts) == 0 {
		parts = append(parts, fmt.Sprintf("%s: the order is %v, not %v", what, have, want))
	}
	return parts
}

// Snapshot notes the state of the lab. Rules that Options.Hidden knows are no
// part of it.
func (l *Lab) Snapshot(ctx context.Context) (Snapshot, error) {
	others, err := l.strangers()
	if err != nil {
		return Snapshot{}, err
	}
	defer closeAll(others)
	return l.snapshot(ctx, l.places(others))
}

func (l *Lab) snapshot(ctx context.Context, places []*Namespace) (Snapshot, error) {
	networks, err := l.look(ctx, places)
	if err != nil {
		return Snapshot{}, err
	}
	states := make([]placeState, len(places))
	work, ctx := errgroup.WithContext(ctx)
	for i, n := range places {
		states[i].networkState = networks[n.name]
		// The order is that in which links were made, which is no part of the state.
		slices.SortFunc(states[i].links, func(a, b linkState) int { return strings.Compare(a.name, b.name) })
		work.Go(func() (err error) {
			states[i].sysctls, err = n.readSysctls(sysctlsOf(states[i].links, l.named(n.name)))
			if err != nil {
				return step(n.name, "reading the sysctls", err)
			}
			err = n.Do(func() (err error) {
				states[i].rules, err = l.rules(ctx)
				return err
			})
			return step(n.name, "reading the rules", err)
		})
	}
	if err := work.Wait(); err != nil {
		return Snapshot{}, err
	}
	s := Snapshot{places: map[string]placeState{}, services: l.services.list()}
	for i, n := range places {
		s.places[n.name] = states[i]
	}
	return s, nil
}

// strangers opens the namespaces that "ip netns add" has made in the lab. They
// have to be closed.
func (l *Lab) strangers() ([]*Namespace, error) {
	if !entered.Load() {
		return nil, nil
	}
	names, err := os.ReadDir(namesDir)
	if err != nil {
		return nil, fmt.Errorf("listing the named namespaces: %w", err)
	}
	var all []*Namespace
	for _, e := range names {
		if l.nodes[e.Name()] != nil {
			continue
		}
		n, err := openNamed(e.Name())
		if errors.Is(err, errNoNamespace) {
			continue
		}
		if err != nil {
			closeAll(all)
			return nil, step(e.Name(), "opening the namespace", err)
		}
		all = append(all, n)
	}
	return all, nil
}

func closeAll(all []*Namespace) {
	for _, n := range all {
		n.close()
	}
}

// placeNamed finds a place; nil if there is none.
func placeNamed(all []*Namespace, name string) *Namespace {
	if i := slices.IndexFunc(all, func(n *Namespace) bool { return n.name == name }); i >= 0 {
		return all[i]
	}
	return nil
}
