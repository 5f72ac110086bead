package lab

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"packetwalk/trace/host"
)

// watched are the sysctls of a node that decide about packets and that lessons
// and students change. The order is that of writing: those that reach into
// others come first.
var watched = []string{
	"net.ipv4.ip_forward",
	"net.ipv4.ip_nonlocal_bind", "net.ipv4.icmp_echo_ignore_all",
	"net.ipv4.ip_default_ttl", "net.ipv4.ping_group_range",
	"net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables", "net.bridge.bridge-nf-call-arptables",
}

// watchedOfLink are those that every interface has, in conf/NAME.
var watchedOfLink = []string{
	"net.ipv4.conf.%s.forwarding", "net.ipv4.conf.%s.rp_filter", "net.ipv4.conf.%s.route_localnet",
	"net.ipv4.conf.%s.accept_local", "net.ipv4.conf.%s.proxy_arp",
	"net.ipv4.conf.%s.arp_ignore", "net.ipv4.conf.%s.arp_announce", "net.ipv4.conf.%s.arp_filter",
	"net.ipv6.conf.%s.disable_ipv6", "net.ipv6.conf.%s.forwarding",
}

// sysctlsOf names the sysctls that make up a place's state: those that are
// watched, for all its interfaces, and others.
func sysctlsOf(links []linkState, others []string) []string {
	all := append([]string{}, watched...)
	for _, conf := range append([]string{"all", "default"}, linkNames(links)...) {
		for _, s := range watchedOfLink {
			all = append(all, host.LinkSysctl(s, conf))
		}
	}
	for _, s := range others {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// linkNames are the names of links, sorted.
func linkNames(links []linkState) []string {
	var names []string
	for _, l := range links {
		names = append(names, l.name)
	}
	slices.Sort(names)
	return names
}

// readSysctls reads sysctls of a place; those that this kernel does not have,
// or that are not to be read, are left out.
func (n *Namespace) readSysctls(names []string) ([]Sysctl, error) {
	var all []Sysctl
	err := n.Do(func() error {
		for _, name := range names {
			s := Sysctl{Name: name}
			data, err := os.ReadFile("/proc/sys/" + s.path())
			if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
				continue // an interface may also have gone meanwhile
			}
			if err != nil {
				return fmt.Errorf("reading sysctl %s: %w", name, err)
			}
			s.Value = strings.Join(strings.Fields(string(data)), " ")
			all = append(all, s)
		}
		return nil
	})
	return all, err
}

// observeSysctls gives sysctls the values that they have now.
func (n *Namespace) observeSysctls(was []Sysctl) ([]Sysctl, error) {
	if len(was) == 0 {
		return was, nil
	}
	all := slices.Clone(was)
	var names []string
	for _, s := range was {
		names = append(names, s.Name)
	}
	now, err := n.readSysctls(names)
	for _, s := range now {
		for i := range all {
			if all[i].Name == s.Name && !sameValue(all[i].Value, s.Value) {
				all[i].Value = s.Value
			}
		}
	}
	return all, err
}

// restoreSysctls writes those that are different. Writing one can change
// others, so each is read when its turn comes.
func (n *Namespace) restoreSysctls(want []Sysctl) error {
	return n.Do(func() error {
		for _, s := range want {
			if checkSysctl(s) == nil {
				continue
			}
			if err := writeSysctl(s); err != nil {
				return fmt.Errorf("setting sysctl %s to %q: %w", s.Name, s.Value, err)
			}
		}
		return nil
	})
}
