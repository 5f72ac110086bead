package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"packetwalk/trace/host"
)

// generations ask for numbers that change with the rules of a network
// namespace. Asking starts no program.
type generations struct {
	nft    *asker            // nil where the kernel has no nf_tables
	legacy map[bool]*xtables // by whether it is IPv6; opened when there is a table
	seen   map[string]uint64
}

// open must be called in the network namespace.
func (g *generations) open() (err error) {
	g.legacy = map[bool]*xtables{}
	if g.nft, err = newAsker(unix.NETLINK_NETFILTER); err != nil {
		return fmt.Errorf("opening nf_tables: %w", err)
	}
	// Once: with every question for nf_tables the kernel tries to load the module.
	if _, err := g.nftGeneration(); host.LacksNFTables(err) {
		g.nft.close()
		g.nft = nil
	}
	return nil
}

func (g *generations) close() {
	if g.nft != nil {
		g.nft.close()
	}
	for _, x := range g.legacy {
		x.close()
	}
}

// read asks for all numbers, by what they are of.
func (g *generations) read() (map[string]uint64, error) {
	now := map[string]uint64{}
	if g.nft != nil {
		n, err := g.nftGeneration()
		if err != nil {
			return nil, fmt.Errorf("asking for the generation of nf_tables: %w", err)
		}
		now["nf_tables"] = n
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
func (g *generations) nftGeneration() (n uint64, err error) {
	// struct nfgenmsg, of which nothing needs to be set; the answer begins with
	// one, and attributes follow.
	nfgenmsg := make([]byte, 4)
	err = g.nft.ask(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETGEN, false, nfgenmsg, func(answer []byte) {
		for at := len(nfgenmsg); at+unix.SizeofNlAttr <= len(answer); {
			size := int(binary.NativeEndian.Uint16(answer[at:]))
			kind := binary.NativeEndian.Uint16(answer[at+2:])
			if kind == unix.NFTA_GEN_ID && size == unix.SizeofNlAttr+4 && at+size <= len(answer) {
				n = uint64(binary.BigEndian.Uint32(answer[at+unix.SizeofNlAttr:]))
			}
			at += max(unix.SizeofNlAttr, (size+unix.NLA_ALIGNTO-1)&^(unix.NLA_ALIGNTO-1))
		}
	})
	if err == nil && n == 0 {
		err = errors.New("the answer holds none")
	}
	return n, err
}
