package nflog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"packetwalk/trace"
)

// dumpBuffer is as much as the kernel puts into one message of a dump, which it
// does for a reader that shows it has the room (netlink_dump in
// net/netlink/af_netlink.c). A page at a time, thousands of rules take ten
// times as long.
const dumpBuffer = 32 << 10

// errInterrupted says that the rules changed while they were dumped.
var errInterrupted = errors.New("the rules changed while they were listed")

// dumpRules calls f with the attributes of every nf_tables rule of a family, or
// of the table and chain that further attributes name.
func dumpRules(family nftables.TableFamily, f func(rule []byte) error, of ...netlink.Attribute) error {
	const patience = 5
	var err error
	for range patience {
		var rules [][]byte
		if rules, err = dump(family, of); err == nil {
			for _, r := range rules {
				if err := f(r); err != nil {
					return err
				}
			}
			return nil
		}
		if !errors.Is(err, errInterrupted) {
			break
		}
	}
	return fmt.Errorf("listing nf_tables rules: %w", err)
}

// dump reads all rules, or fails where they changed meanwhile.
func dump(family nftables.TableFamily, of []netlink.Attribute) ([][]byte, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, dumpRequest(family, of), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, os.NewSyscallError("sendto", err)
	}
	var rules [][]byte
	for {
		buf := make([]byte, dumpBuffer)
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, os.NewSyscallError("recvfrom", err)
		}
		msgs, err := syscall.ParseNetlinkMessage(buf[:n])
		if err != nil {
			return nil, err
		}
		for _, m := range msgs {
			switch {
			case m.Header.Flags&unix.NLM_F_DUMP_INTR != 0:
				return nil, errInterrupted
			case m.Header.Type == unix.NLMSG_DONE:
				return rules, nil
			case m.Header.Type == unix.NLMSG_ERROR:
				return nil, dumpError(m.Data)
			case len(m.Data) > sizeofNfgenmsg:
				rules = append(rules, m.Data[sizeofNfgenmsg:])
			}
		}
	}
}

// sizeofNfgenmsg is the size of struct nfgenmsg (include/uapi/linux/netfilter/nfnetlink.h).
const sizeofNfgenmsg = 4

// dumpRequest asks for every rule of a family that has the attributes.
func dumpRequest(family nftables.TableFamily, of []netlink.Attribute) []byte {
	attrs, err := netlink.MarshalAttributes(of)
	if err != nil {
		panic(err) // names of tables and chains are never too long for an attribute
	}
	h := unix.NlMsghdr{
		Len:  uint32(unix.SizeofNlMsghdr + sizeofNfgenmsg + len(attrs)),
		Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETRULE, Flags: unix.NLM_F_REQUEST | unix.NLM_F_DUMP,
	}
	var b bytes.Buffer
	// Writing to a buffer does not fail.
	_ = binary.Write(&b, binary.NativeEndian, h)
	b.Write([]byte{byte(family), unix.NFNETLINK_V0, 0, 0})
	b.Write(attrs)
	return b.Bytes()
}

// dumpError reads struct nlmsgerr.
func dumpError(data []byte) error {
	if len(data) < 4 {
		return errors.New("the kernel's error is too short")
	}
	return unix.Errno(-int32(binary.NativeEndian.Uint32(data)))
}

// listedRule is a rule as nf_tables lists it.
type listedRule struct {
	table       trace.Table
	chain       string
	handle      []byte   // as the kernel writes it
	expressions [][]byte // each with its name and data
	prefix      Prefix   // of a probe
}

// listRules lists the rules of every chain, in their order.
func listRules(family trace.Family) (map[place][]listedRule, error) {
	all := map[place][]listedRule{}
	err := dumpRules(nftFamily(family), func(data []byte) error {
		r, err := readRule(data)
		at := place{r.table, r.chain}
		all[at] = append(all[at], r)
		return err
	})
	return all, err
}

func readRule(data []byte) (r listedRule, err error) {
	ad, err := netlink.NewAttributeDecoder(data)
	if err != nil {
		return r, fmt.Errorf("reading an nf_tables rule: %w", err)
	}
	for ad.Next() {
		switch ad.Type() {
		case unix.NFTA_RULE_TABLE:
			r.table = trace.Table(ad.String())
		case unix.NFTA_RULE_CHAIN:
			r.chain = ad.String()
		case unix.NFTA_RULE_HANDLE:
			r.handle = ad.Bytes()
		case unix.NFTA_RULE_EXPRESSIONS:
			ad.Nested(func(list *netlink.AttributeDecoder) error {
				for list.Next() {
					r.expressions = append(r.expressions, list.Bytes())
				}
				return nil
			})
		}
	}
	if err := ad.Err(); err != nil {
		return r, fmt.Errorf("reading an nf_tables rule: %w", err)
	}
	return r, nil
}

// expressionName is the name of an expression; empty where it has none.
func expressionName(e []byte) string {
	attrs, err := netlink.UnmarshalAttributes(e)
	if err != nil || len(attrs) == 0 || attrs[0].Type != unix.NFTA_EXPR_NAME {
		return ""
	}
	name, _, _ := bytes.Cut(attrs[0].Data, []byte{0})
	return string(name)
}
