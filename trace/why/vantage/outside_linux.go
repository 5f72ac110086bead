package vantage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"packetwalk/lab"
	"packetwalk/trace"
	"packetwalk/trace/host"
	"packetwalk/trace/nflog"
	"packetwalk/trace/ruleset"
	"packetwalk/trace/why/inquire"
)

// Outside is a client outside of a machine: a network namespace behind a veth
// pair, with an address of a network that the machine knows nothing of, and a
// default route over the machine. Only this process holds it: whatever ends the
// process, the kernel takes the pair away with all that belongs to it. What the
// machine's connection tracking knows of the client's connections, Close removes,
// and otherwise runs out as that of any client does.
//
// No sysctl and no rule is written. The machine's end of the pair takes its
// settings from net.ipv4.conf.default, as every new interface does, and comes to
// what zones and scripts of the machine do with new interfaces: NetworkManager
// and systemd-networkd leave a veth alone unless they are told to manage it. See
// Client.Caveats for what differs from a real client.
type Outside struct {
	Client
	guest   *lab.Guest
	machine nflog.Namespace
}

// NewOutside makes a client outside of a machine. The rulesets are those of the
// machine, which name networks to stay away from. It needs root.
func NewOutside(ctx context.Context, machine host.Place, family trace.Family, rules []ruleset.Ruleset) (*Outside, error) {
	s, err := host.Read(ctx, machine, nil, host.Options{})
	if err != nil {
		return nil, fmt.Errorf("making an outside client: %w", err)
	}
	for _, p := range []host.Part{host.Links, host.Routes, host.Choices} {
		if problem, ok := s.Unseen[p]; ok {
			return nil, fmt.Errorf("making an outside client: which networks are in use cannot be told: reading the %s: %s", p, problem)
		}
	}
	network, err := free(family, used(s, rules))
	if err != nil {
		return nil, err
	}
	o := &Outside{machine: machine.Namespace, Client: Client{
		Interface: interfacePrefix + strconv.FormatUint(uint64(rand.Uint32()), 36),
		Gateway:   plus(network.Addr(), 1), Address: plus(network.Addr(), 2),
	}}
	end := func(node, name string, a netip.Addr) lab.End {
		return lab.End{Node: node, Interface: name, Addresses: []netip.Prefix{netip.PrefixFrom(a, network.Bits())}}
	}
	link := lab.Link{Ends: [2]lab.End{end(machine.Name, o.Interface, o.Gateway), end(NameOutside, "eth0", o.Address)}}
	if o.guest, err = lab.NewGuest(ctx, machine.Namespace, link, o.Gateway); err != nil {
		return nil, fmt.Errorf("making an outside client: %w", explain(err, family))
	}
	return o, nil
}

const (
	// NameOutside is the name of an outside client's place.
	NameOutside = "outside"
	// interfacePrefix begins the name of the machine's end; with 7 more characters
	// it stays below the kernel's limit of 15.
	interfacePrefix = "pw-"
)

// explain adds what is to be done where permission is missing.
func explain(err error, family trace.Family) error {
	switch {
	case !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES):
		return err
	case os.Geteuid() != 0:
		return fmt.Errorf("%w; it needs root: run it with sudo", err)
	case family == trace.IPv6:
		return fmt.Errorf("%w; is IPv6 switched off (net.ipv6.conf.default.disable_ipv6 = 1)?", err)
	}
	return err
}

// Place is the client as a place to ask from.
func (o *Outside) Place() inquire.Place {
	return inquire.Place{Name: NameOutside, Kind: string(lab.Machine), Namespace: o.guest}
}

// Do runs fn in the client's namespace, on a thread that is thrown away afterwards.
func (o *Outside) Do(fn func() error) error { return o.guest.Do(fn) }

// Close removes the client. When it returns, nothing is left of it on the
// machine. It can be repeated.
func (o *Outside) Close() error {
	err := o.guest.Close()
	return errors.Join(err, o.machine.Do(o.forgetConnections))
}

// forgetConnections removes the client's connections from connection tracking,
// in the namespace of the calling thread. Where nothing is tracked, the kernel is
// not asked: that would load the module for it.
func (o *Outside) forgetConnections() error {
	count, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
	if err != nil || strings.TrimSpace(string(count)) == "0" {
		return nil
	}
	family := netlink.InetFamily(unix.AF_INET)
	if o.Address.Is6() {
		family = unix.AF_INET6
	}
	if _, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, family, ofClient(o.Address)); err != nil {
		return fmt.Errorf("removing the outside client's tracked connections: %w", err)
	}
	return nil
}

// ofClient matches the connections that an address has to do with.
type ofClient netip.Addr

// MatchConntrackFlow says whether one end of the connection has the address.
func (c ofClient) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	for _, ip := range [][]byte{f.Forward.SrcIP, f.Forward.DstIP, f.Reverse.SrcIP, f.Reverse.DstIP} {
		if a, ok := netip.AddrFromSlice(ip); ok && a.Unmap() == netip.Addr(c) {
			return true
		}
	}
	return false
}
