package host

import (
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// bridgePort is what a bridge knows of one of its ports.
type bridgePort struct {
	isolated, hairpin bool
	state             string
}

// portStates are the names of the states of a port (include/uapi/linux/if_bridge.h,
// BR_STATE_DISABLED and those that follow), as bridge-link(8) prints them.
var portStates = []string{"disabled", "listening", "learning", "forwarding", "blocking"}

// bridgePorts lists the ports of all bridges, by the number of the link.
func bridgePorts() (map[int]bridgePort, error) {
	messages, err := listed(func() ([][]byte, error) {
		request := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP)
		request.AddData(nl.NewIfInfomsg(unix.AF_BRIDGE))
		return request.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	})
	if err != nil {
		return nil, fmt.Errorf("listing the ports of bridges: %w", err)
	}
	ports := map[int]bridgePort{}
	for _, m := range messages {
		if len(m) < unix.SizeofIfInfomsg {
			continue
		}
		info := nl.DeserializeIfInfomsg(m)
		err := attributes(m[info.Len():], func(kind uint16, v []byte) (err error) {
			if kind == unix.IFLA_PROTINFO {
				ports[int(info.Index)], err = bridgePortOf(v)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("reading the port of a bridge: %w", err)
		}
	}
	return ports, nil
}

// bridgePortOf reads the attributes of a port (IFLA_BRPORT_*).
func bridgePortOf(data []byte) (p bridgePort, err error) {
	err = attributes(data, func(kind uint16, v []byte) error {
		if len(v) != 1 {
			return nil
		}
		switch kind {
		case nl.IFLA_BRPORT_STATE:
			p.state = word(portStates, int(v[0]))
		case nl.IFLA_BRPORT_MODE:
			p.hairpin = v[0] != 0
		case nl.IFLA_BRPORT_ISOLATED:
			p.isolated = v[0] != 0
		}
		return nil
	})
	return p, err
}

// word is the name of a number, or the number where it has none.
func word(names []string, n int) string {
	if n >= 0 && n < len(names) {
		return names[n]
	}
	return fmt.Sprint(n)
}
