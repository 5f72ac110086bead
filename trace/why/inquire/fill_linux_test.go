package inquire_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
)

// mostEntries is how large a table a test fills: an entry takes some 300 bytes of
// the kernel's memory.
const mostEntries = 300_000

// tableLimit is nf_conntrack_max.
func tableLimit(t *testing.T, node *lab.Namespace) int {
	t.Helper()
	n := 0
	err := node.Do(func() error {
		data, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_max")
		if err == nil {
			n, err = strconv.Atoi(strings.TrimSpace(string(data)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// fillIn puts the machine's limit, and twice that, into what is expected: MAX and MORE.
func (c causeCase) fillIn(t *testing.T, l *lab.Lab) {
	t.Helper()
	if c.Culprit == nil || !strings.HasSuffix(c.Culprit.Text, "MAX") {
		return
	}
	limit := tableLimit(t, l.Node(c.Culprit.Node))
	c.Culprit.Text = strings.Replace(c.Culprit.Text, "MAX", strconv.Itoa(limit), 1)
	c.Fix.Commands[0] = strings.Replace(c.Fix.Commands[0], "MORE", strconv.Itoa(2*limit), 1)
}

// fillConntrack tracks as many connections in a node as there may be, each of
// which has seen both directions, so that the kernel gives none up for a new one
// (early_drop in net/netfilter/nf_conntrack_core.c).
func fillConntrack(t *testing.T, node *lab.Namespace) {
	t.Helper()
	limit := tableLimit(t, node)
	if limit > mostEntries {
		labtest.Skip(t, fmt.Sprintf("the table holds %d connections, more than a test should make", limit))
	}
	err := node.Do(func() error {
		conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
		if err != nil {
			return err
		}
		defer conn.Close()
		const batch = 500
		for i := 0; i < limit; i += batch {
			var messages []netlink.Message
			for k := i; k < min(i+batch, limit); k++ {
				messages = append(messages, tracked(uint32(k)))
			}
			if _, err := conn.SendMessages(messages); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("filling the table: %v", err)
	}
}

// tracked is a request to track a UDP connection that nobody has: the n-th of them.
func tracked(n uint32) netlink.Message {
	src := binary.BigEndian.AppendUint32(nil, 10<<24|n)
	dst := []byte{198, 51, 100, 1}
	e := netlink.NewAttributeEncoder()
	e.ByteOrder = binary.BigEndian
	tuple := func(kind uint16, src, dst []byte, sport, dport uint16) {
		e.Nested(kind, func(e *netlink.AttributeEncoder) error {
			e.Nested(1, func(e *netlink.AttributeEncoder) error { // CTA_TUPLE_IP
				e.Bytes(1, src) // CTA_IP_V4_SRC
				e.Bytes(2, dst) // CTA_IP_V4_DST
				return nil
			})
			e.Nested(2, func(e *netlink.AttributeEncoder) error { // CTA_TUPLE_PROTO
				e.Uint8(1, unix.IPPROTO_UDP) // CTA_PROTO_NUM
				e.Uint16(2, sport)           // CTA_PROTO_SRC_PORT
				e.Uint16(3, dport)           // CTA_PROTO_DST_PORT
				return nil
			})
			return nil
		})
	}
	tuple(1, src, dst, 1000, 2000) // CTA_TUPLE_ORIG
	tuple(2, dst, src, 2000, 1000) // CTA_TUPLE_REPLY
	e.Uint32(3, 1<<1|1<<2|1<<3)    // CTA_STATUS: seen reply, assured, confirmed
	e.Uint32(7, 3600)              // CTA_TIMEOUT, in seconds
	attributes, err := e.Encode()
	if err != nil {
		panic(err) // constants that do not fit together
	}
	header := []byte{unix.AF_INET, unix.NFNETLINK_V0, 0, 0}
	return netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_CTNETLINK << 8, Flags: netlink.Request | netlink.Create | netlink.Excl}, // IPCTNL_MSG_CT_NEW
		Data:   append(header, attributes...),
	}
}
