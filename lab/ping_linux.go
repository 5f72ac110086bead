package lab

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"
)

// The echo messages of RFC 792 and RFC 4443.
const (
	echoReply4, echoRequest4 = 0, 8
	echoRequest6, echoReply6 = 128, 129
	icmpHeaderLen            = 8
)

// pingNetwork names the raw socket for ICMP. Root of the node may open one;
// the datagram socket that ping(8) prefers depends on net.ipv4.ping_group_range.
func pingNetwork(a netip.Addr) string {
	if a.Is4() {
		return "ip4:icmp"
	}
	return "ip6:ipv6-icmp"
}

// Dialer makes connections that look as they did before multipath TCP, as all
// of a lab's do: its option makes the SYN look different.
func Dialer() *net.Dialer {
	dialer := &net.Dialer{KeepAlive: -1}
	dialer.SetMultipathTCP(false)
	return dialer
}

// PingFrom sends one echo request in the network namespace of the calling thread
// and waits for its reply, which comes back with the time that it took.
func PingFrom(ctx context.Context, to netip.Addr) (Response, error) {
	dialer := Dialer()
	start := time.Now()
	conn, err := dialer.DialContext(ctx, pingNetwork(to), to.String())
	if err != nil {
		return Response{}, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	r := Response{Local: addrPort(conn.LocalAddr()), Remote: addrPort(conn.RemoteAddr())}
	r.Body, err = ping(conn, to)
	r.RTT = time.Since(start)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return r, err
}

// ping sends one echo request and waits for its reply. The socket is connected,
// so an ICMP error comes back as the error of reading.
func ping(conn net.Conn, to netip.Addr) ([]byte, error) {
	ip, ok := conn.(*net.IPConn)
	if !ok {
		return nil, errors.New("the socket is no raw socket")
	}
	id := uint16(rand.Uint32())
	if _, err := conn.Write(echoRequest(to, id)); err != nil {
		return nil, err
	}
	buf := make([]byte, maxDatagram)
	for {
		n, _, err := ip.ReadFromIP(buf) // without the IP header, unlike Read
		if err != nil {
			return nil, err
		}
		if body, ok := parseEchoReply(buf[:n], to, id); ok {
			return body, nil
		}
	}
}

// echoRequest builds the message. The kernel fills in the checksum of ICMPv6,
// which covers addresses (RFC 3542, section 3.1).
func echoRequest(to netip.Addr, id uint16) []byte {
	m := make([]byte, icmpHeaderLen, icmpHeaderLen+len(payload))
	m[0] = echoRequest6
	if to.Is4() {
		m[0] = echoRequest4
	}
	binary.BigEndian.PutUint16(m[4:], id)
	binary.BigEndian.PutUint16(m[6:], 1) // the sequence number
	m = append(m, payload...)
	if to.Is4() {
		binary.BigEndian.PutUint16(m[2:], checksum(m))
	}
	return m
}

// parseEchoReply gives the payload of the reply to the request with this
// identifier; a raw socket also gets what is meant for others.
func parseEchoReply(m []byte, from netip.Addr, id uint16) (body []byte, ok bool) {
	want := byte(echoReply6)
	if from.Is4() {
		want = echoReply4
	}
	if len(m) < icmpHeaderLen || m[0] != want || binary.BigEndian.Uint16(m[4:]) != id {
		return nil, false
	}
	return bytes.Clone(m[icmpHeaderLen:]), true
}

// checksum is the Internet checksum (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
