package vantage

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"

	"github.com/vishvananda/netlink"

	"packetwalk/trace/docker"
	"packetwalk/trace/nflog"
)

// openContainer opens the network namespace of a container. Docker names a
// process and a file, both as its daemon sees them: a program that runs in a
// container itself may see others by the same number and name, or none. So what
// is opened has to have the container's addresses.
func openContainer(c docker.Container) (*nflog.NetNS, error) {
	paths := []string{"/proc/" + strconv.Itoa(c.PID) + "/ns/net"}
	if c.Sandbox != "" {
		paths = append(paths, c.Sandbox)
	}
	var faults []error
	for _, path := range paths {
		ns, err := nflog.NetNSAt(path)
		if errors.Is(err, os.ErrPermission) {
			return nil, fmt.Errorf("opening the network namespace of container %s: %w; run it with sudo", c.Name, err)
		}
		if err == nil {
			if err = hasAddresses(ns, c.Addresses()); err == nil {
				return ns, nil
			}
			err = errors.Join(fmt.Errorf("%s: %w", path, err), ns.Close())
		}
		faults = append(faults, err)
	}
	return nil, fmt.Errorf("opening the network namespace of container %s: Docker says that it belongs to process %d, which is not so here; "+
		"if this program runs in a container itself, start that with --pid=host: %w", c.Name, c.PID, errors.Join(faults...))
}

// hasAddresses says whether a namespace has a container's addresses.
func hasAddresses(ns nflog.Namespace, wanted []netip.Addr) error {
	if len(wanted) == 0 {
		return nil // it is on no network: there is nothing to tell it by
	}
	var have []netip.Addr
	err := ns.Do(func() error {
		all, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
		for _, a := range all {
			if addr, ok := netip.AddrFromSlice(a.IP); ok {
				have = append(have, addr.Unmap())
			}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("listing its addresses: %w", err)
	}
	for _, a := range wanted {
		if !slices.Contains(have, a) {
			return fmt.Errorf("it does not have address %s", a)
		}
	}
	return nil
}
