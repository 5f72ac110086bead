// Package nftrace reads the kernel's own trace of nf_tables, that which nft
// monitor trace prints. It switches nothing on: which packets are traced is
// decided by rules, and what their messages mean by whoever reads them.
package nftrace

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"packetwalk/trace"
)

// Message says that a traced packet matched a rule or came to the end of a
// chain (NFT_MSG_TRACE, sent by net/netfilter/nf_tables_trace.c).
type Message struct {
	// ID names the packet, within one network namespace and as long as it is
	// under way.
	ID uint32
	// Family is that of the table; 0 for those of other families, such as inet.
	Family trace.Family
	Table  string
	Chain  string
	Type   uint32 // unix.NFT_TRACETYPE_*
	// Handle names the rule; 0 where a chain or the policy speaks.
	Handle uint64
	// Verdict is a code of enum nft_verdicts or of netfilter itself
	// (include/uapi/linux/netfilter/nf_tables.h, include/uapi/linux/netfilter.h).
	Verdict int32
	Target  string // the chain of a jump or goto
	Policy  uint32
	// Headers are up to 40 bytes of the packet's network header and 20 of what
	// follows it (decode.Headers), on the first message of every base chain that
	// the packet comes to; nil on all others.
	Headers []byte
}

// Reader receives the trace of a network namespace.
type Reader struct {
	conn *netlink.Conn
	// busy says that a message is between the socket and its taker.
	busy   atomic.Bool
	closed atomic.Bool
}

// receiveBuffer is the size of the socket's buffer, in bytes; without the
// right to exceed net.core.rmem_max the kernel gives less.
const receiveBuffer = 8 << 20

// Open begins to receive the trace of the calling thread's network namespace.
func Open() (*Reader, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, fmt.Errorf("opening the kernel's trace: %w", err)
	}
	// A full buffer is reported, so a smaller one than asked for is no error.
	_ = conn.SetReadBuffer(receiveBuffer)
	if err := conn.JoinGroup(unix.NFNLGRP_NFTRACE); err != nil {
		return nil, fmt.Errorf("joining the group of the kernel's trace: %w", errors.Join(err, conn.Close()))
	}
	return &Reader{conn: conn}, nil
}

// Run calls take with every message until Close. When the socket's buffer ran
// over it leaves out all that was in it, and calls overrun: what comes before
// that call and what comes after it have a gap between them.
func (r *Reader) Run(take func(Message), overrun func()) error {
	raw, err := r.conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("reading the kernel's trace: %w", err)
	}
	buf := make([]byte, maxMessage)
	for {
		n, err := r.receive(raw, buf)
		switch {
		case err == nil:
			err = each(buf[:n], take)
		case errors.Is(err, unix.ENOBUFS):
			overrun()
			err = nil
		case r.closed.Load():
			return nil
		}
		r.busy.Store(false)
		if err != nil {
			return fmt.Errorf("reading the kernel's trace: %w", err)
		}
	}
}

// maxMessage has room for any message: names, headers and numbers
// (nft_trace_notify asks for less than a page).
const maxMessage = 8 << 10

// receive waits for a datagram. From before it leaves the socket the reader is busy.
func (r *Reader) receive(raw syscall.RawConn, buf []byte) (n int, err error) {
	closed := raw.Read(func(fd uintptr) bool {
		r.busy.Store(true)
		n, err = recv(fd, buf)
		if errors.Is(err, unix.ENOBUFS) {
			// The gap is behind what the buffer holds.
			for err == nil || errors.Is(err, unix.ENOBUFS) {
				_, err = recv(fd, buf)
			}
			if errors.Is(err, unix.EAGAIN) {
				err = unix.ENOBUFS
			}
		}
		if errors.Is(err, unix.EAGAIN) {
			r.busy.Store(false)
			return false
		}
		return true
	})
	if closed != nil {
		return 0, closed
	}
	return n, err
}

// recv takes a datagram from the socket without waiting for one.
func recv(fd uintptr, buf []byte) (n int, err error) {
	for {
		if n, _, err = unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT); !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// Pending says whether the kernel has sent messages that were not taken yet.
func (r *Reader) Pending() bool {
	// In this order: what has left the socket by now has made the reader busy.
	return Unread(r.conn) || r.busy.Load()
}

// Unread says whether a socket holds something that was not read yet.
func Unread(conn *netlink.Conn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	unread := false
	err = raw.Control(func(fd uintptr) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		unread = err == nil && n > 0
	})
	return err == nil && unread
}

// Close ends the reading.
func (r *Reader) Close() error {
	r.closed.Store(true)
	return r.conn.Close()
}

// each takes the messages of a datagram.
func each(datagram []byte, take func(Message)) error {
	msgs, err := syscall.ParseNetlinkMessage(datagram)
	if err != nil {
		return err
	}
	for _, m := range msgs {
		parsed, ok, err := parse(m.Header.Type, m.Data)
		if err != nil {
			return err
		}
		if ok {
			take(parsed)
		}
	}
	return nil
}

// sizeofNfgenmsg is the size of struct nfgenmsg (include/uapi/linux/netfilter/nfnetlink.h).
const sizeofNfgenmsg = 4

// parse reads a message; ok is false for those of another kind.
func parse(typ uint16, data []byte) (m Message, ok bool, err error) {
	if typ != unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_TRACE || len(data) < sizeofNfgenmsg {
		return m, false, nil
	}
	ad, err := netlink.NewAttributeDecoder(data[sizeofNfgenmsg:])
	if err != nil {
		return m, false, err
	}
	ad.ByteOrder = binary.BigEndian
	m.Family = FamilyOf(data[0])
	var transport []byte
	for ad.Next() {
		switch ad.Type() {
		case unix.NFTA_TRACE_ID:
			m.ID = ad.Uint32()
		case unix.NFTA_TRACE_TABLE:
			m.Table = ad.String()
		case unix.NFTA_TRACE_CHAIN:
			m.Chain = ad.String()
		case unix.NFTA_TRACE_TYPE:
			m.Type = ad.Uint32()
		case unix.NFTA_TRACE_RULE_HANDLE:
			m.Handle = ad.Uint64()
		case unix.NFTA_TRACE_POLICY:
			m.Policy = ad.Uint32()
		case unix.NFTA_TRACE_VERDICT:
			ad.Nested(m.readVerdict)
		case unix.NFTA_TRACE_NETWORK_HEADER:
			m.Headers = ad.Bytes()
		case unix.NFTA_TRACE_TRANSPORT_HEADER:
			transport = ad.Bytes()
		}
	}
	if m.Headers != nil {
		m.Headers = append(m.Headers, transport...)
	}
	return m, ad.Err() == nil, ad.Err()
}

func (m *Message) readVerdict(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		switch ad.Type() {
		case unix.NFTA_VERDICT_CODE:
			m.Verdict = int32(ad.Uint32())
		case unix.NFTA_VERDICT_CHAIN:
			m.Target = ad.String()
		}
	}
	return nil
}

// FamilyOf is the address family of an nf_tables family; 0 for those that are
// for more than one, or none.
func FamilyOf(nfproto byte) trace.Family {
	switch nfproto {
	case unix.NFPROTO_IPV4:
		return trace.IPv4
	case unix.NFPROTO_IPV6:
		return trace.IPv6
	}
	return 0
}
