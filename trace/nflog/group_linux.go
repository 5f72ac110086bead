package nflog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// firstGroup is where the search for a free NFLOG group begins: above the
// numbers that people choose by hand. The group is a 16 bit number. It is an
// even one, and the odd one behind it says that it is taken: a tracer keeps that
// one while it does not listen to the other.
const firstGroup = 20000

// claimOf is the group that says whether another one is taken.
func claimOf(group uint16) uint16 { return group | 1 }

// ErrNoNFLOG says that nothing can be traced here, whatever the namespace.
var ErrNoNFLOG = errors.New("this kernel has no nfnetlink_log, by which probes report packets; to mend it: sudo modprobe nfnetlink_log")

// claimGroup finds a group that nobody has and takes it. Of two that look at the
// same time one gets it, and the other looks on.
func claimGroup() (group uint16, claim *netlink.Conn, err error) {
	taken, err := takenGroups()
	if err != nil {
		return 0, nil, err
	}
	if claim, err = netlink.Dial(unix.NETLINK_NETFILTER, nil); err != nil {
		return 0, nil, fmt.Errorf("opening an NFLOG socket: %w", err)
	}
	for group = firstGroup; group < math.MaxUint16-1; group += 2 {
		if taken[group] || taken[claimOf(group)] {
			continue
		}
		_, err = claim.Execute(configure(claimOf(group), netlink.Acknowledge, command(bind)))
		if err == nil || !errors.Is(err, unix.EBUSY) {
			break
		}
	}
	if errors.Is(err, unix.EINVAL) {
		return 0, nil, errors.Join(ErrNoNFLOG, claim.Close())
	}
	if err != nil {
		return 0, nil, errors.Join(fmt.Errorf("taking NFLOG group %d: %w", group, err), claim.Close())
	}
	return group, claim, nil
}

// takenGroups reads which NFLOG groups of this network namespace have a reader.
func takenGroups() (map[uint16]bool, error) {
	taken := map[uint16]bool{}
	text, err := os.ReadFile("/proc/thread-self/net/netfilter/nfnetlink_log")
	if errors.Is(err, os.ErrNotExist) {
		return taken, nil // shows up with the first reader where the module is not loaded yet
	}
	if err != nil {
		return nil, fmt.Errorf("looking for a free NFLOG group: %w", err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if f := strings.Fields(line); len(f) > 0 {
			if n, err := strconv.ParseUint(f[0], 10, 16); err == nil {
				taken[uint16(n)] = true
			}
		}
	}
	return taken, nil
}

// The messages that set an NFLOG group up (enum nfulnl_msg_config_cmds,
// nfulnl_attr_config and nfulnl_msg_types in
// include/uapi/linux/netfilter/nfnetlink_log.h).
const (
	messageConfig = unix.NFNL_SUBSYS_ULOG<<8 | 1

	attrCommand, attrMode, attrThreshold, attrFlags = 1, 2, 5, 6

	bind, unbind = 1, 2
	copyPacket   = 2
	withSequence = 1
)

func command(c byte) netlink.Attribute { return netlink.Attribute{Type: attrCommand, Data: []byte{c}} }

// configure is a message to the kernel about a group.
func configure(group uint16, flags netlink.HeaderFlags, attrs ...netlink.Attribute) netlink.Message {
	data, err := netlink.MarshalAttributes(attrs)
	if err != nil {
		panic(err) // they are short, and always the same
	}
	head := binary.BigEndian.AppendUint16([]byte{unix.AF_UNSPEC, unix.NFNETLINK_V0}, group)
	return netlink.Message{
		Header: netlink.Header{Type: messageConfig, Flags: netlink.Request | flags},
		Data:   append(head, data...),
	}
}

// Mute stops listening: for the kernel a probe whose group has no reader costs
// little more than a rule that does nothing. Events that were there before are
// read all the same. The group stays ours.
func (t *Tracer) Mute() error {
	if t.mute.Swap(true) {
		return nil
	}
	return t.tell(command(unbind))
}

// Discard says, after Mute, that what is still to be read is not wanted.
func (t *Tracer) Discard() { t.discard.Store(true) }

// Unmute listens again. What was not heard meanwhile does not count as lost. It
// must not be called before Pending has said that everything is read.
func (t *Tracer) Unmute() error {
	if !t.mute.Load() {
		return nil
	}
	t.overrun.Store(false)
	t.discard.Store(false)
	t.unmuted.Store(true)
	t.mute.Store(false)
	// All at once, so that no event comes before the group is set up (nfulnl_recv_config
	// in net/netfilter/nfnetlink_log.c binds first, and takes the rest of a message then).
	return t.tell(command(bind),
		netlink.Attribute{Type: attrMode, Data: append(binary.BigEndian.AppendUint32(nil, copyRange), copyPacket, 0)},
		netlink.Attribute{Type: attrThreshold, Data: binary.BigEndian.AppendUint32(nil, 1)},
		netlink.Attribute{Type: attrFlags, Data: binary.BigEndian.AppendUint16(nil, withSequence)},
	)
}

// tell configures the tracer's group. The kernel does so while it is told, and
// answers only where it cannot: the answer goes to the reader of events.
func (t *Tracer) tell(attrs ...netlink.Attribute) error {
	if _, err := t.log.Con.Send(configure(t.group, 0, attrs...)); err != nil {
		return fmt.Errorf("setting up NFLOG group %d on %s: %w", t.group, t.target.Node, err)
	}
	return nil
}
