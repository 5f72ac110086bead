package rebuild

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"packetwalk/trace/host"
)

// link is an interface as ip-address(8) lists it.
type link struct {
	host.Link
	// peers are the far addresses of point-to-point links, by the near ones.
	peers map[netip.Prefix]netip.Prefix
	line  int // 0 where it was not listed
	// bonds says that it is the master of others and no bridge (IFF_MASTER).
	bonds bool
	// stated says that the listing tells whether it is up.
	stated bool
	// far says that the other end is in another namespace, or has no name.
	far bool
}

const addressCommand = "ip addr"

// readAddresses reads what ip-address(8) prints.
func readAddresses(f File) ([]*link, error) {
	lines, err := f.lines(addressCommand)
	if err != nil {
		return nil, err
	}
	p := addressParser{file: f}
	switch first := strings.TrimSpace(strings.Join(lines, "\n")); {
	case first[0] == '[' || first[0] == '{':
		err = p.json(strings.Join(lines, "\n"))
	default:
		err = p.text(lines)
	}
	if err != nil {
		return nil, err
	}
	p.settle()
	return p.links, p.check(len(lines))
}

type addressParser struct {
	file  File
	links []*link
}

// aboutLink is how a line begins that is about an interface: "2: eth0@if5: <UP> …"
// and, with -o, "2: eth0    inet 10.0.0.1/24 …".
var aboutLink = regexp.MustCompile(`^(\d+):\s+(\S+?):?\s+(.*)$`)

func (p *addressParser) text(lines []string) error {
	brief := regexp.MustCompile(`^(\S+)\s+(UP|DOWN|UNKNOWN|LOWERLAYERDOWN|DORMANT|NOTPRESENT|TESTING)(\s.*)?$`)
	for i, l := range lines {
		l = strings.TrimSpace(strings.ReplaceAll(l, `\`, " "))
		words := strings.Fields(l)
		var err error
		if m := aboutLink.FindStringSubmatch(l); m != nil {
			err = p.about(i+1, m)
		} else if m := brief.FindStringSubmatch(l); m != nil {
			err = p.brief(i+1, m)
		} else if len(words) > 0 {
			err = p.detail(i+1, words)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// about reads the line that an interface begins with.
func (p *addressParser) about(line int, m []string) error {
	l, err := p.link(line, m[2])
	if err != nil {
		return err
	}
	words := strings.Fields(m[3])
	if len(words) > 0 && strings.HasPrefix(words[0], "inet") {
		return p.detail(line, words)
	}
	if len(words) == 0 || words[0][0] != '<' || !strings.HasSuffix(words[0], ">") {
		return p.file.fault(line, "behind the name of an interface its <FLAGS> are missing: is the line cut off?")
	}
	l.flags(strings.Split(strings.Trim(words[0], "<>"), ","))
	return p.attributes(l, line, words[1:])
}

// attributes reads "mtu 1500 … master br0 …".
func (p *addressParser) attributes(l *link, line int, words []string) error {
	for i := 0; i+1 < len(words); i++ {
		switch words[i] {
		case "mtu":
			mtu, err := strconv.Atoi(words[i+1])
			if err != nil || mtu < 0 {
				return p.file.fault(line, "%q is no MTU", words[i+1])
			}
			l.MTU = mtu
		case "master":
			l.Bridge = words[i+1]
		}
	}
	return nil
}

// link is the interface of a name, which is new where it was not listed yet.
func (p *addressParser) link(line int, name string) (*link, error) {
	name, far, paired := strings.Cut(name, "@")
	if !isInterface(name) {
		return nil, p.file.fault(line, "%q is no name for an interface: is this the output of ip addr?", name)
	}
	if i := slices.IndexFunc(p.links, func(l *link) bool { return l.Name == name }); i >= 0 {
		return p.links[i], nil
	}
	l := &link{Link: host.Link{Name: name}, line: line, peers: map[netip.Prefix]netip.Prefix{}}
	l.far = paired && (far == "NONE" || strings.HasPrefix(far, "if"))
	if paired && !l.far && !strings.HasPrefix(name, "veth") {
		l.Kind = "vlan" // or something else that stands on another interface
	}
	p.links = append(p.links, l)
	return l, nil
}

// isInterface says whether the kernel takes a name for an interface
// (dev_valid_name in net/core/dev.c), and one can be typed.
func isInterface(name string) bool {
	return name != "" && len(name) <= 15 && name != "." && name != ".." && name[0] != '-' &&
		strings.IndexFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("/:%'\"\\$`;&|<>(){}*?#!~", r) }) < 0
}

func (l *link) flags(all []string) {
	has := func(f string) bool { return slices.Contains(all, f) }
	l.Up, l.Carrier, l.stated = has("UP"), has("LOWER_UP"), true
	l.bonds = has("MASTER")
	switch {
	case has("LOOPBACK"):
		l.Kind = "loopback"
	case has("POINTOPOINT"):
		l.Kind = "tunnel"
	}
}

// brief reads a line of ip -br addr.
func (p *addressParser) brief(line int, m []string) error {
	l, err := p.link(line, m[1])
	if err != nil {
		return err
	}
	l.Carrier = m[2] == "UP" || m[2] == "UNKNOWN"
	// A bridge without ports is down in this column, too, and takes packets all the same.
	l.Up, l.stated = l.Carrier || m[2] == "LOWERLAYERDOWN" || looksLikeBridge(l.Name), true
	words := strings.Fields(m[3])
	for i := 0; i < len(words); i++ {
		w, peer := words[i], ""
		switch {
		case w[0] == '<': // of ip -br link
			l.flags(strings.Split(strings.Trim(w, "<>"), ","))
			continue
		case isMAC(w):
			l.MAC = w
			continue
		case w == "metric":
			i++
			continue
		case i+2 < len(words) && words[i+1] == "peer":
			peer = words[i+2]
			i += 2
		}
		if err := p.address(l, line, w, peer); err != nil {
			return err
		}
	}
	return nil
}

func isMAC(w string) bool { return len(w) == 17 && strings.Count(w, ":") == 5 }

// detail reads a line below the one that names an interface.
func (p *addressParser) detail(line int, words []string) error {
	if len(p.links) == 0 {
		return p.file.fault(line, "this is not the output of ip addr: %s", short(strings.Join(words, " ")))
	}
	l := p.links[len(p.links)-1]
	switch {
	case words[0] == "inet" || words[0] == "inet6":
		if len(words) < 2 {
			return p.file.fault(line, "there is no address behind %s: is the line cut off?", words[0])
		}
		peer := ""
		if len(words) > 3 && words[2] == "peer" {
			peer = words[3]
		}
		return p.address(l, line, words[1], peer)
	case strings.HasPrefix(words[0], "link/"):
		if len(words) > 1 && isMAC(words[1]) {
			l.MAC = words[1]
		}
		if words[0] == "link/none" {
			l.Kind = "tunnel"
		}
	case slices.Contains(detailed, words[0]): // with -d
		l.Kind = words[0]
	}
	return nil
}

// detailed are the kinds of link with which a line of ip -d begins.
var detailed = []string{
	"bridge", "veth", "dummy", "vlan", "vxlan", "bond", "tun", "wireguard", "macvlan", "ipvlan", "vrf", "gre", "ipip", "sit", "ifb", "team", "geneve",
}

func (p *addressParser) address(l *link, line int, text, peer string) error {
	near := text
	if peer != "" {
		near = text + "/32"
		if strings.Contains(text, ":") {
			near = text + "/128"
		}
		far, err := parsePrefix(peer)
		if err != nil {
			return p.file.fault(line, "%q is no address of a peer: is the line cut off?", peer)
		}
		if a, err := netip.ParsePrefix(near); err == nil {
			l.peers[a] = far.Masked()
		}
	}
	a, err := parsePrefix(near)
	if err != nil || a.Addr().Zone() != "" {
		return p.file.fault(line, "%q is no address such as 10.0.0.1/24: is the line cut off?", text)
	}
	if !slices.Contains(l.Addresses, a) {
		l.Addresses = append(l.Addresses, a)
	}
	return nil
}

// settle says of which kind interfaces are, and what is up, as far as the listing tells.
func (p *addressParser) settle() {
	for _, l := range p.links {
		if !l.stated { // ip -o addr does not tell
			l.Up, l.Carrier = true, true
		}
		if l.Name == "lo" {
			l.Kind = "loopback"
		}
		isMaster := slices.ContainsFunc(p.links, func(o *link) bool { return o.Bridge == l.Name })
		switch {
		case l.Kind != "":
		case l.bonds:
			l.Kind = "bond"
		case isMaster || looksLikeBridge(l.Name):
			l.Kind = "bridge"
		case l.far || strings.HasPrefix(l.Name, "veth"):
			l.Kind = "veth"
		}
	}
}

// looksLikeBridge says whether Docker, libvirt and their like call their bridges so.
func looksLikeBridge(name string) bool {
	return bridgeName.MatchString(name)
}

var bridgeName = regexp.MustCompile(`^(docker\d|docker_gwbridge|br-[0-9a-f]|br\d|bridge|virbr\d|lxcbr\d|lxdbr\d|incusbr\d|cni\d|cni-podman\d|podman\d|cbr\d|nerdctl\d)`)

// check refuses a listing without interfaces.
func (p *addressParser) check(last int) error {
	if len(p.links) == 0 {
		return p.file.fault(last, "there is no interface in it: send the output of ip addr")
	}
	return nil
}

// jsonLink is an interface as ip -j addr prints it.
type jsonLink struct {
	Name     string   `json:"ifname"`
	Flags    []string `json:"flags"`
	MTU      int      `json:"mtu"`
	Master   string   `json:"master"`
	Link     string   `json:"link"`
	MAC      string   `json:"address"`
	LinkInfo struct {
		Kind string `json:"info_kind"`
	} `json:"linkinfo"`
	LinkIndex int `json:"link_index"`
	Addresses []struct {
		Local  string `json:"local"`
		Peer   string `json:"address"` // where there is a peer
		Length int    `json:"prefixlen"`
	} `json:"addr_info"`
}

func (p *addressParser) json(text string) error {
	return decodeJSON(p.file, text, func(line int, j jsonLink) error {
		if j.Name == "" { // ip prints empty objects for what a filter leaves out
			return nil
		}
		l, err := p.link(line, j.Name)
		if err != nil {
			return err
		}
		l.flags(j.Flags)
		if j.MTU < 0 {
			return p.file.fault(line, "%d is no MTU", j.MTU)
		}
		l.MTU, l.Bridge, l.MAC = j.MTU, j.Master, j.MAC
		l.far = j.LinkIndex != 0 && j.Link == ""
		switch {
		case j.LinkInfo.Kind != "":
			l.Kind = j.LinkInfo.Kind
		case j.Link != "" && l.Kind == "":
			l.Kind = "vlan"
		}
		for _, a := range j.Addresses {
			if a.Local == "" {
				continue
			}
			near, peer := a.Local+"/"+strconv.Itoa(a.Length), ""
			if a.Peer != "" {
				near, peer = a.Local, a.Peer+"/"+strconv.Itoa(a.Length)
			}
			if err := p.address(l, line, near, peer); err != nil {
				return err
			}
		}
		return nil
	})
}
