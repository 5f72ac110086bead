package lab

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// xtables reads the legacy tables of one address family as iptables-legacy
// does, by socket options (include/uapi/linux/netfilter_ipv4/ip_tables.h and
// netfilter_ipv6/ip6_tables.h), without starting a program.
type xtables struct {
	fd     int
	level  int
	layout xtLayout
}

// xtLayout says where struct ipt_entry or ip6t_entry has its fields, in bytes.
type xtLayout struct{ next, counters, elements int }

var (
	xtLayout4 = xtLayout{next: 90, counters: 96, elements: 112}
	xtLayout6 = xtLayout{next: 142, counters: 152, elements: 168}
)

// The socket options, which are the same for both families.
const (
	xtGetInfo    = 64 // IPT_SO_GET_INFO
	xtGetEntries = 65 // IPT_SO_GET_ENTRIES
)

// openXtables opens a socket in the network namespace of the calling thread; it
// can be used from any.
func openXtables(ipv6 bool) (*xtables, error) {
	x := &xtables{level: unix.IPPROTO_IP, layout: xtLayout4}
	domain := unix.AF_INET
	if ipv6 {
		domain, x.level, x.layout = unix.AF_INET6, unix.IPPROTO_IPV6, xtLayout6
	}
	var err error
	if x.fd, err = unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW); err != nil {
		return nil, fmt.Errorf("opening a socket for the legacy tables: %w", os.NewSyscallError("socket", err))
	}
	return x, nil
}

func (x *xtables) close() { _ = unix.Close(x.fd) } // nothing was written

// xtName is the size of a table's name: XT_TABLE_MAXNAMELEN.
const xtName = 32

// xtInfo is the size of struct ipt_getinfo, and where its fields are.
const (
	xtInfo        = 84
	xtInfoHooks   = xtName
	xtInfoEntries = xtName + 4 + 20 + 20
	xtInfoSize    = xtInfoEntries + 4
)

// fingerprint is a number that changes with the rules of a table, and not with
// their counters; 0 where the table holds nothing. Asking brings the table into
// being where it was not there.
func (x *xtables) fingerprint(table string) (uint64, error) {
	info := make([]byte, xtInfo)
	copy(info, table)
	if err := x.get(xtGetInfo, info); err != nil {
		return 0, fmt.Errorf("looking at the legacy table %s: %w", table, err)
	}
	size := binary.NativeEndian.Uint32(info[xtInfoSize:])
	// struct ipt_get_entries: the name, the size, and the entries, aligned to 8.
	const head = xtName + 8
	entries := make([]byte, head+size)
	copy(entries, table)
	binary.NativeEndian.PutUint32(entries[xtName:], size)
	if err := x.get(xtGetEntries, entries); err != nil {
		return 0, fmt.Errorf("reading the legacy table %s: %w", table, err)
	}
	entries = entries[head:]
	if x.isEmpty(info, entries) {
		return 0, nil
	}
	hash := fnv.New64a()
	for at := 0; at+x.layout.elements <= len(entries); {
		next := int(binary.NativeEndian.Uint16(entries[at+x.layout.next:]))
		if next < x.layout.elements || at+next > len(entries) {
			return 0, fmt.Errorf("reading the legacy table %s: an entry of %d bytes", table, next)
		}
		_, _ = hash.Write(entries[at : at+x.layout.counters]) // a hash takes everything
		_, _ = hash.Write(entries[at+x.layout.elements : at+next])
		at += next
	}
	return hash.Sum64() | 1, nil
}

// isEmpty says whether a table is as it came into being: a policy for each
// hook, which accepts, and the entry at the end.
func (x *xtables) isEmpty(info, entries []byte) bool {
	hooks := 0
	for mask := binary.NativeEndian.Uint32(info[xtInfoHooks:]); mask != 0; mask &= mask - 1 {
		hooks++
	}
	if binary.NativeEndian.Uint32(info[xtInfoEntries:]) != uint32(hooks+1) {
		return false
	}
	// A policy is a struct xt_standard_target right behind its entry: the size
	// and name of the target, 32 bytes together, and the verdict.
	const targetHead, accepts = 32, -int32(nfAccept) - 1
	for at := 0; hooks > 0 && at+x.layout.elements+targetHead+4 <= len(entries); hooks-- {
		if int32(binary.NativeEndian.Uint32(entries[at+x.layout.elements+targetHead:])) != accepts {
			return false
		}
		at += int(binary.NativeEndian.Uint16(entries[at+x.layout.next:]))
	}
	return true
}

// nfAccept is NF_ACCEPT of include/uapi/linux/netfilter.h.
const nfAccept = 1

func (x *xtables) get(option int, value []byte) error {
	size := uint32(len(value))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(x.fd), uintptr(x.level), uintptr(option),
		uintptr(unsafe.Pointer(&value[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return os.NewSyscallError("getsockopt", errno)
	}
	return nil
}
