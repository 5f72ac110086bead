package host

import (
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// attributeType masks the flags of a netlink attribute's type (NLA_TYPE_MASK in
// include/uapi/linux/netlink.h).
const attributeType = ^uint16(unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)

// attributes calls f for each netlink attribute, by its type without flags.
func attributes(data []byte, f func(kind uint16, v []byte) error) error {
	all, err := nl.ParseRouteAttr(data)
	if err != nil {
		return err
	}
	for _, a := range all {
		if err := f(a.Attr.Type&attributeType, a.Value); err != nil {
			return err
		}
	}
	return nil
}
