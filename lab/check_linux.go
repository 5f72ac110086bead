package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
)

// Check says whether everything that Build made is there: links, addresses,
// routes, sysctls, rules and services. What others have added since, probes for
// instance, is no fault. The error joins a *StepError for everything missing.
func (l *Lab) Check(ctx context.Context) error {
	faults := []error{l.services.check()}
	for _, n := range l.topology.Nodes {
		ns := l.nodes[n.Name]
		faults = append(faults,
			ns.checkLinks(l.topology.Interfaces(n.Name)),
			ns.checkRoutes(n.Routes),
			ns.checkSysctls(n.Sysctls),
			l.checkRules(ctx, n))
	}
	return errors.Join(faults...)
}

func (n *Namespace) checkLinks(interfaces []Interface) error {
	links, err := n.routes.LinkList()
	if err != nil {
		return step(n.name, "listing the links", err)
	}
	var faults []error
	for _, i := range interfaces {
		at := slices.IndexFunc(links, func(l netlink.Link) bool { return l.Attrs().Name == i.Name })
		if at < 0 {
			faults = append(faults, step(n.name, "looking for "+i.Name, errors.New("it is not there")))
			continue
		}
		faults = append(faults, step(n.name, "checking "+i.Name, n.checkLink(i, links[at], links)))
	}
	return errors.Join(faults...)
}

func (n *Namespace) checkLink(i Interface, link netlink.Link, all []netlink.Link) error {
	attrs := link.Attrs()
	var faults []error
	if down := attrs.Flags&net.FlagUp == 0; down && !i.Down {
		faults = append(faults, errors.New("it is down"))
	} else if i.Down && !down {
		faults = append(faults, errors.New("it is up"))
	}
	if i.MTU != 0 && i.MTU != attrs.MTU {
		faults = append(faults, fmt.Errorf("its MTU is %d, not %d", attrs.MTU, i.MTU))
	}
	if i.IsBridge != (link.Type() == "bridge") {
		faults = append(faults, fmt.Errorf("it is a %s", link.Type()))
	}
	if i.Bridge != "" && !slices.ContainsFunc(all, func(b netlink.Link) bool {
		return b.Attrs().Name == i.Bridge && b.Attrs().Index == attrs.MasterIndex
	}) {
		faults = append(faults, fmt.Errorf("it is no port of bridge %s", i.Bridge))
	}
	addrs, err := n.routes.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("listing its addresses: %w", err)
	}
	for _, p := range i.Addresses {
		if !slices.ContainsFunc(addrs, func(a netlink.Addr) bool { return sameNet(a.IPNet, ipNet(p)) }) {
			faults = append(faults, fmt.Errorf("it lacks the address %s", p))
		}
	}
	return errors.Join(faults...)
}

func (n *Namespace) checkRoutes(want []Route) error {
	if len(want) == 0 {
		return nil
	}
	have, err := n.routes.RouteList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return step(n.name, "listing the routes", err)
	}
	index, err := n.indices()
	if err != nil {
		return step(n.name, "listing the interfaces", err)
	}
	var faults []error
	for _, r := range want {
		wanted, err := r.netlink(index)
		if err == nil && !slices.ContainsFunc(have, func(h netlink.Route) bool { return sameRoute(h, *wanted) }) {
			err = errors.New("it is not there")
		}
		faults = append(faults, step(n.name, "looking for route "+r.String(), err))
	}
	return errors.Join(faults...)
}

// sameRoute says whether a route of the kernel is what was asked for: the
// kernel fills in what was left open.
func sameRoute(have, want netlink.Route) bool {
	return sameNet(have.Dst, want.Dst) && have.Gw.Equal(want.Gw) &&
		(want.LinkIndex == 0 || have.LinkIndex == want.LinkIndex)
}

// sameNet compares networks; nil is the network of all addresses.
func sameNet(a, b *net.IPNet) bool {
	return isAll(a) && isAll(b) || a != nil && b != nil && a.String() == b.String()
}

func isAll(n *net.IPNet) bool {
	if n == nil {
		return true
	}
	ones, _ := n.Mask.Size()
	return ones == 0
}

func (n *Namespace) checkSysctls(want []Sysctl) error {
	if len(want) == 0 {
		return nil
	}
	// Of several settings of one sysctl, the last one counts.
	last := map[string]Sysctl{}
	for _, s := range want {
		last[s.Name] = s
	}
	var faults []error
	err := n.Do(func() error {
		for _, s := range want {
			if last[s.Name] == s {
				what := fmt.Sprintf("looking whether sysctl %s is %q", s.Name, s.Value)
				faults = append(faults, step(n.name, what, checkSysctl(s)))
			}
		}
		return nil
	})
	return errors.Join(append(faults, err)...)
}

// checkRules looks for what the node's commands amount to.
func (l *Lab) checkRules(ctx context.Context, n Node) error {
	if len(n.Rules) == 0 {
		return nil
	}
	commands, err := parseRules(n)
	if err != nil {
		return err
	}
	all := amount(commands)
	var faults []error
	err = l.nodes[n.Name].Do(func() error {
		for _, k := range all.keys() {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			faults = append(faults, step(n.Name, fmt.Sprintf("checking chain %s/%s", k.table, k.chain), l.tools.checkChain(k, all[k])))
		}
		return nil
	})
	return errors.Join(append(faults, step(n.Name, "checking rules", err))...)
}

// checkChain looks for a chain and its rules in the network namespace of the
// calling thread.
func (t *tools) checkChain(k chainKey, want *chainState) error {
	tool := t.found[t.name(k.variant, k.ipv6)]
	lines, err := tool.List(k.table, k.chain)
	if err != nil {
		return errors.New(iptablesMessage(err))
	}
	var faults []error
	if policy := "-P " + k.chain + " " + want.policy; want.policy != "" && !slices.ContainsFunc(lines, func(l string) bool {
		return l == policy || strings.HasPrefix(l, policy+" ") // counters may follow
	}) {
		faults = append(faults, fmt.Errorf("its policy is not %s", want.policy))
	}
	for _, rule := range want.rules {
		switch there, err := tool.Exists(k.table, k.chain, rule...); {
		case err != nil:
			faults = append(faults, errors.New(iptablesMessage(err)))
		case !there:
			faults = append(faults, fmt.Errorf("the rule %q is not there", strings.Join(rule, " ")))
		}
	}
	return errors.Join(faults...)
}
