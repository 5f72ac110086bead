package xtables

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// A match is a struct of its module in include/uapi/linux/netfilter/xt_*.h.
// Written here are those that a filter's words and the question for a
// connection's state need; the words are those of iptables-extensions(8).

// encode turns words into a header's fields and into matches. It knows -p, -s,
// -d and -i, and of the modules conntrack, tcp, udp, iprange and multiport what the
// tables below list; anything else is an error that wraps ErrUnsupported.
func (l layout) encode(header []byte, words []string) ([][]byte, error) {
	var matches [][]byte
	put := word.unknown
	for len(words) > 0 {
		if words[0] == "-m" && len(words) > 1 {
			module, ok := modules[words[1]]
			if !ok {
				return nil, unsupported("match %s is not known", words[1])
			}
			match := module.make(words[1])
			matches = append(matches, match)
			put = func(w word) error { return module.put(match[partHeader:], w) }
			words = words[2:]
			continue
		}
		w := word{not: words[0] == "!"}
		if w.not {
			words = words[1:]
		}
		if len(words) < 2 {
			return nil, unsupported("the match breaks off at %q", strings.Join(words, " "))
		}
		w.option, w.value, words = words[0], words[1], words[2:]
		var err error
		switch w.option { // these may also come behind a module
		case "-p", "-s", "-d", "-i":
			err = l.putHeader(header, w)
		default:
			err = put(w)
		}
		if err != nil {
			return nil, err
		}
	}
	return matches, nil
}

// word is an option with its value.
type word struct {
	not           bool
	option, value string
}

func (w word) unknown() error { return unsupported("%s %s is not known", w.option, w.value) }

func (w word) port() (uint16, error) {
	n, err := strconv.ParseUint(w.value, 10, 16)
	if err != nil {
		return 0, w.unknown()
	}
	return uint16(n), nil
}

// protocols are the names that a filter uses for them, and iptables-save for -p.
var protocols = map[string]uint16{"tcp": 6, "udp": 17, "icmp": 1, "ipv6-icmp": 58}

func (w word) protocol() (uint16, error) {
	if n, ok := protocols[w.value]; ok {
		return n, nil
	}
	n, err := strconv.ParseUint(w.value, 10, 8)
	if err != nil || n == 0 {
		return 0, w.unknown()
	}
	return uint16(n), nil
}

func (w word) network() (netip.Prefix, error) {
	p, err := netip.ParsePrefix(w.value)
	if err != nil {
		return p, w.unknown()
	}
	return p, nil
}

// interfaceSize is the room for an interface's name (IFNAMSIZ).
const interfaceSize = 16

// putHeader writes what needs no module: a protocol, an interface, or an address.
func (l layout) putHeader(header []byte, w word) error {
	var invert byte
	switch w.option {
	case "-p":
		proto, err := w.protocol()
		if err != nil {
			return err
		}
		native.PutUint16(header[l.proto:], proto)
		header[l.flags] |= l.protoFlag
		invert = invertProto
	case "-i":
		if len(w.value) >= interfaceSize || strings.HasSuffix(w.value, "+") { // that is many interfaces
			return w.unknown()
		}
		name := header[4*l.address:] // ours, that of the way out, and the masks of both
		mask := name[2*interfaceSize:]
		clear(name[:interfaceSize])
		clear(mask[:interfaceSize])
		copy(name, w.value)
		for i := range len(w.value) + 1 { // with the zero behind it
			mask[i] = 0xff
		}
		invert = invertIn
	default:
		network, err := w.network()
		if err != nil || network.Addr().BitLen() != l.address*8 {
			return w.unknown()
		}
		field := 0
		invert = invertSource
		if w.option == "-d" {
			field, invert = 1, invertDest
		}
		at := func(field int) []byte { return header[field*l.address:][:l.address] }
		putNetwork(at(field), at(field+2), network)
	}
	if header[l.flags+1] &^= invert; w.not {
		header[l.flags+1] |= invert
	}
	return nil
}

// module is a match module.
type module struct {
	revision byte
	size     int // of its struct
	// begin writes what a match has before any option.
	begin func(data []byte)
	put   func(data []byte, w word) error
}

func (m module) make(name string) []byte {
	part := newPart(name, m.revision, m.size)
	if m.begin != nil {
		m.begin(part[partHeader:])
	}
	return part
}

var modules = map[string]module{
	"conntrack": {revision: 3, size: 164, put: putConntrack},
	"tcp":       {size: 12, begin: anyPort, put: func(data []byte, w word) error { return putPort(data, 11, w) }},
	"udp":       {size: 10, begin: anyPort, put: func(data []byte, w word) error { return putPort(data, 8, w) }},
	"iprange":   {revision: 1, size: 68, put: putRange},
	"multiport": {revision: 1, size: 48, put: putMultiport},
}

// What the conntrack match asks for, as a bit of its flags and, where an option
// has a value of its own, the value's offset (struct xt_conntrack_mtinfo3).
const (
	ctState     = 1 << 0
	ctProto     = 1 << 1
	ctDirection = 1 << 12

	ctProtoAt  = 136
	ctFlags    = 146
	ctInverted = 148
	ctStatesAt = 150
)

var (
	ctStates    = map[string]uint16{"INVALID": 1 << 0, "ESTABLISHED": 1 << 1, "RELATED": 1 << 2, "NEW": 1 << 3, "UNTRACKED": 1 << 8}
	ctAddresses = map[string]struct {
		flag uint16
		at   int
	}{"--ctorigsrc": {1 << 2, 0}, "--ctorigdst": {1 << 3, 32}}
	ctPorts = map[string]struct {
		flag      uint16
		low, high int
	}{"--ctorigsrcport": {1 << 8, 138, 154}, "--ctorigdstport": {1 << 9, 140, 156}}
)

func putConntrack(data []byte, w word) error {
	flag, not := uint16(0), w.not
	address, port := ctAddresses[w.option], ctPorts[w.option]
	switch {
	case w.option == "--ctstate":
		flag = ctState
		var states uint16
		for _, s := range strings.Split(w.value, ",") {
			bit, ok := ctStates[s]
			if !ok {
				return w.unknown()
			}
			states |= bit
		}
		native.PutUint16(data[ctStatesAt:], states)
	case w.option == "--ctdir" && !not:
		flag = ctDirection
		not = w.value == "REPLY"
		if !not && w.value != "ORIGINAL" {
			return w.unknown()
		}
	case w.option == "--ctproto":
		flag = ctProto
		proto, err := w.protocol()
		if err != nil {
			return err
		}
		native.PutUint16(data[ctProtoAt:], proto)
	case address.flag != 0:
		flag = address.flag
		network, err := w.network()
		if err != nil {
			return err
		}
		putNetwork(data[address.at:], data[address.at+16:], network)
	case port.flag != 0:
		flag = port.flag
		n, err := w.port()
		if err != nil {
			return err
		}
		native.PutUint16(data[port.low:], n)
		native.PutUint16(data[port.high:], n)
	default:
		return w.unknown()
	}
	native.PutUint16(data[ctFlags:], native.Uint16(data[ctFlags:])|flag)
	if not {
		native.PutUint16(data[ctInverted:], native.Uint16(data[ctInverted:])|flag)
	}
	return nil
}

// anyPort opens the two ranges of ports, source and destination, with which the
// tcp and udp matches begin (struct xt_tcp, struct xt_udp).
func anyPort(data []byte) {
	native.PutUint16(data[2:], 0xffff)
	native.PutUint16(data[6:], 0xffff)
}

// putPort writes a port; inverted is the offset of the flags that turn a test round.
func putPort(data []byte, inverted int, w word) error {
	port, err := w.port()
	i := slices.Index([]string{"--sport", "--dport"}, w.option)
	if i < 0 || err != nil {
		return w.unknown()
	}
	native.PutUint16(data[4*i:], port)
	native.PutUint16(data[4*i+2:], port)
	if w.not {
		data[inverted] |= 1 << i
	}
	return nil
}

// putRange writes a range of addresses (struct xt_iprange_mtinfo).
func putRange(data []byte, w word) error {
	const flags = 64
	i := slices.Index([]string{"--src-range", "--dst-range"}, w.option)
	first, last, _ := strings.Cut(w.value, "-")
	from, err := netip.ParseAddr(first)
	to, lastErr := netip.ParseAddr(last)
	if i < 0 || err != nil || lastErr != nil {
		return w.unknown()
	}
	copy(data[32*i:], from.AsSlice())
	copy(data[32*i+16:], to.AsSlice())
	data[flags] |= 1 << i
	if w.not {
		data[flags] |= 1 << (i + 4)
	}
	return nil
}

// putMultiport writes a single port (struct xt_multiport_v1).
func putMultiport(data []byte, w word) error {
	const count, ports, inverted = 1, 2, 47
	port, err := w.port()
	i := slices.Index([]string{"--sports", "--dports"}, w.option)
	if i < 0 || err != nil {
		return w.unknown()
	}
	data[0], data[count] = byte(i), 1
	native.PutUint16(data[ports:], port)
	if w.not {
		data[inverted] = 1
	}
	return nil
}
