package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// generations ask for numbers that change with the rules of a network
// namespace. Asking starts no program.
type generations struct {
	nft    *netlink.Conn
	legacy map[bool]*xtables // by whether it is IPv6; opened when there is a table
	seen   map[string]uint64
}

// open must be called in the network namespace.
func (g *generations) open() (err error) {
	g.legacy = map[bool]*xtables{}
	if g.nft, err = netlink.Dial(unix.NETLINK_NETFILTER, nil); err != nil {
		return fmt.Errorf("opening nf_tables: %w", err)
	}
	return nil
}

func (g *generations) close() {
	if g.nft != nil {
		_ = g.nft.Close() // nothing was written
	}
	for _, x := range g.legacy {
		x.close()
	}
}

// read asks for all numbers, by what they are of.
func (g *generations) read() (map[string]uint64, error) {
	now := map[string]uint64{}
	var err error
	if now["nf_tables"], err = g.nftGeneration(); err != nil {
		return nil, fmt.Errorf("asking for the generation of nf_tables: %w", err)
	}
	for _, ipv6 := range []bool{false, true} {
		names, err := namedTables(ipv6)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if g.legacy[ipv6] == nil {
				if g.legacy[ipv6], err = openXtables(ipv6); err != nil {
					delete(g.legacy, ipv6)
					return nil, err
				}
			}
			n, err := g.legacy[ipv6].fingerprint(name)
			if err != nil && !isNoTable(err) {
				return nil, err
			}
			now[fmt.Sprint(name, ipv6)] = n
		}
	}
	return now, nil
}

// isNoTable says that this kernel has no such legacy table.
func isNoTable(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOPROTOOPT)
}

// nftGeneration is counted up by the kernel with every change of nf_tables.
func (g *generations) nftGeneration() (uint64, error) {
	const nfgenmsg = 4 // the size of struct nfgenmsg, of which only the version is set
	request := netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETGEN, Flags: netlink.Request},
		Data:   make([]byte, nfgenmsg),
	}
	replies, err := g.nft.Execute(request)
	if err != nil {
		return 0, err
	}
	for _, r := range replies {
		if len(r.Data) < nfgenmsg {
			continue
		}
		d, err := netlink.NewAttributeDecoder(r.Data[nfgenmsg:])
		if err != nil {
			return 0, err
		}
		d.ByteOrder = binary.BigEndian
		for d.Next() {
			if d.Type() == unix.NFTA_GEN_ID {
				return uint64(d.Uint32()), d.Err()
			}
		}
	}
	return 0, errors.New("the answer holds none")
}
