package why

import (
	"fmt"
	"maps"
	"slices"
)

// unknown says what is not known, and what would show it.
func (c *Case) unknown() Finding {
	var f Finding
	for _, node := range c.nodes() {
		unseen := c.Hosts[node].Unseen
		for _, part := range slices.Sorted(maps.Keys(unseen)) {
			f.Unseen = append(f.Unseen, Fact{Kind: NotLookedAt, Step: -1, Values: Values{"node": node, "part": string(part), "err": unseen[part]}})
		}
	}
	switch {
	case c.Deaf != "":
		f.Unseen = append(f.Unseen, Fact{Kind: KernelDeaf, Step: -1, Values: Values{"err": c.Deaf}})
	case c.DropsLost:
		f.Unseen = append(f.Unseen, Fact{Kind: KernelMissed, Step: -1})
	}
	if node, command, ok := c.nextLook(); ok {
		f.Unseen = append(f.Unseen, Fact{Kind: WouldShow, Step: -1, Values: Values{"node": node, "command": command}})
	}
	return f
}

// nextLook is a command that shows more where a packet vanished: behind a
// routing decision what the kernel decides; on a wire what is on it.
func (c *Case) nextLook() (node, command string, ok bool) {
	if x, ok := c.crossing(); ok {
		return x.from.Node, fmt.Sprintf("tcpdump -eni %s host %s or arp", x.from.Interface, x.walk.Steps[x.step].Dst.Addr()), true
	}
	d, ok := c.lastDecision()
	if !ok {
		return "", "", false
	}
	return d.node, c.ip() + " route get " + routeQuery(d.query), true
}
