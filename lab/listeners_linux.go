package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// listeners asks the kernel for the sockets of a network namespace that wait
// for whoever comes (sock_diag(7)). The files of /proc/net would show them too,
// but walk over the connections of the whole machine for it.
type listeners struct{ conn *asker }

// open must be called in the network namespace.
func (l *listeners) open() (err error) {
	if l.conn, err = newAsker(unix.NETLINK_SOCK_DIAG); err != nil {
		return fmt.Errorf("opening a socket that tells of sockets: %w", err)
	}
	return nil
}

func (l *listeners) close() {
	l.conn.close()
}

// The states of such sockets (include/net/tcp_states.h): a UDP socket without a
// peer counts as closed.
const (
	tcpListen = 10
	tcpClose  = 7
)

// sockDiagByFamily is SOCK_DIAG_BY_FAMILY of include/uapi/linux/sock_diag.h.
const sockDiagByFamily = 20

// inetDiagReq is the size of struct inet_diag_req_v2, inetDiagMsg of struct
// inet_diag_msg (include/uapi/linux/inet_diag.h).
const inetDiagReq, inetDiagMsg = 56, 72

// list names the sockets by protocol, port and address. Where the kernel has
// no module that tells, they are not known.
func (l *listeners) list() ([]string, error) {
	var all []string
	for protocol, state := range map[byte]int{unix.IPPROTO_TCP: tcpListen, unix.IPPROTO_UDP: tcpClose} {
		for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
			request := make([]byte, inetDiagReq)
			request[0], request[1] = family, protocol
			binary.NativeEndian.PutUint32(request[4:], 1<<state)
			err := l.conn.ask(sockDiagByFamily, true, request, func(m []byte) {
				if len(m) >= inetDiagMsg {
					all = append(all, fmt.Sprintf("%d %d %x %x", protocol, family, m[4:6], m[8:24]))
				}
			})
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("listing the sockets that listen: %w", err)
			}
		}
	}
	slices.Sort(all)
	return all, nil
}
