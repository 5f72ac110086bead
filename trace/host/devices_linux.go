package host

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// chainKey names a chain of nf_tables.
type chainKey struct {
	family      nftables.TableFamily
	table, name string
}

// The attributes of a chain's hook that name interfaces (enum nft_hook_attributes
// and enum nft_devices_attributes in include/uapi/linux/netfilter/nf_tables.h).
const (
	hookDevice  = 3 // NFTA_HOOK_DEV
	hookDevices = 4 // NFTA_HOOK_DEVS
	deviceName  = 1 // NFTA_DEVICE_NAME
)

// devicesOfChains lists the interfaces that chains are for. The nftables library
// reads the rest of a chain, but not these.
func devicesOfChains() (map[chainKey][]string, error) {
	request := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETCHAIN, unix.NLM_F_DUMP)
	request.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC, Version: nl.NFNETLINK_V0})
	messages, err := listed(func() ([][]byte, error) { return request.Execute(unix.NETLINK_NETFILTER, 0) })
	if err != nil {
		return nil, fmt.Errorf("listing the interfaces of nf_tables chains: %w", err)
	}
	all := map[chainKey][]string{}
	for _, m := range messages {
		if len(m) < nl.SizeofNfgenmsg {
			continue
		}
		key, devices, err := devicesOfChain(m[nl.SizeofNfgenmsg:])
		if err != nil {
			return nil, fmt.Errorf("reading the interfaces of an nf_tables chain: %w", err)
		}
		key.family = nftables.TableFamily(m[0])
		all[key] = devices
	}
	return all, nil
}

func devicesOfChain(data []byte) (key chainKey, devices []string, err error) {
	err = attributes(data, func(kind uint16, v []byte) error {
		switch kind {
		case unix.NFTA_CHAIN_TABLE:
			key.table = unix.ByteSliceToString(v)
		case unix.NFTA_CHAIN_NAME:
			key.name = unix.ByteSliceToString(v)
		case unix.NFTA_CHAIN_HOOK:
			return attributes(v, func(kind uint16, v []byte) error {
				switch kind {
				case hookDevice:
					if name := unix.ByteSliceToString(v); len(devices) == 0 {
						devices = []string{name} // the kernel names a single one twice
					}
				case hookDevices:
					devices = nil
					return attributes(v, func(kind uint16, v []byte) error {
						if kind == deviceName {
							devices = append(devices, unix.ByteSliceToString(v))
						}
						return nil
					})
				}
				return nil
			})
		}
		return nil
	})
	return key, devices, err
}
