package host

import (
	"fmt"
	"strings"
)

// sysctlNames are the settings below /proc/sys that decide about packets.
var sysctlNames = []string{
	"net.ipv4.ip_forward", "net.ipv4.ip_default_ttl", "net.ipv4.ip_nonlocal_bind", "net.ipv4.ip_local_port_range",
	"net.ipv4.icmp_echo_ignore_all", "net.ipv4.tcp_mtu_probing", "net.ipv4.ip_no_pmtu_disc",
	"net.ipv4.fib_multipath_hash_policy", "net.ipv4.fwmark_reflect", "net.ipv4.tcp_syncookies",
	"net.ipv6.bindv6only", "net.ipv6.ip_nonlocal_bind", "net.ipv6.icmp.echo_ignore_all",
	"net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables",
	"net.netfilter.nf_conntrack_max", "net.netfilter.nf_conntrack_count", "net.netfilter.nf_conntrack_buckets",
	"net.netfilter.nf_conntrack_tcp_be_liberal", "net.netfilter.nf_conntrack_tcp_loose",
}

// linkSysctlNames are those that every interface has, beside "all" and "default".
var linkSysctlNames = []string{
	"net.ipv4.conf.%s.forwarding", "net.ipv4.conf.%s.rp_filter", "net.ipv4.conf.%s.src_valid_mark",
	"net.ipv4.conf.%s.route_localnet", "net.ipv4.conf.%s.accept_local",
	"net.ipv4.conf.%s.arp_ignore", "net.ipv4.conf.%s.arp_announce", "net.ipv4.conf.%s.arp_filter",
	"net.ipv4.conf.%s.proxy_arp", "net.ipv4.conf.%s.disable_policy", "net.ipv4.conf.%s.ignore_routes_with_linkdown",
	"net.ipv6.conf.%s.forwarding", "net.ipv6.conf.%s.disable_ipv6", "net.ipv6.conf.%s.accept_ra", "net.ipv6.conf.%s.hop_limit",
}

// LinkSysctl is the name of a setting of one interface: the pattern with the
// interface's name for its %s ("net.ipv4.conf.%s.rp_filter"). As with sysctl(8), a
// slash stands for a dot in the interface's name.
func LinkSysctl(pattern, link string) string {
	return fmt.Sprintf(pattern, strings.ReplaceAll(link, ".", "/"))
}

// SysctlPath is where a setting lies below /proc/sys.
func SysctlPath(name string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return r
	}, name)
}

// sysctlsOf names all settings of a host with these links.
func sysctlsOf(links []Link) []string {
	all := append([]string{}, sysctlNames...)
	for _, conf := range append([]string{"all", "default"}, linkNames(links)...) {
		for _, s := range linkSysctlNames {
			all = append(all, LinkSysctl(s, conf))
		}
	}
	return all
}

func linkNames(links []Link) []string {
	var names []string
	for _, l := range links {
		names = append(names, l.Name)
	}
	return names
}
