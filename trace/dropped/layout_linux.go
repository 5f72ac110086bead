package dropped

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// layout says where in this kernel's structures things lie, in bytes, and what
// the tracepoint hands over.
type layout struct {
	skbDevice, skbSocket, skbHead, skbTail, skbNetworkHeader, skbProtocol int32

	deviceName, deviceNet, socketNet, netInode int32

	// reason says that the tracepoint's third argument is the reason, receiver that
	// the fourth is the receiving socket.
	reason, receiver bool
	// reasons are the names by number.
	reasons map[uint32]string
}

// readLayout takes a layout out of the kernel's description of its types.
func readLayout(types *btf.Spec) (layout, error) {
	var l layout
	for _, field := range []struct {
		at   *int32
		typ  string
		path []string
	}{
		{&l.skbDevice, "sk_buff", []string{"dev"}},
		{&l.skbSocket, "sk_buff", []string{"sk"}},
		{&l.skbHead, "sk_buff", []string{"head"}},
		{&l.skbTail, "sk_buff", []string{"tail"}},
		{&l.skbNetworkHeader, "sk_buff", []string{"network_header"}},
		{&l.skbProtocol, "sk_buff", []string{"protocol"}},
		{&l.deviceName, "net_device", []string{"name"}},
		{&l.deviceNet, "net_device", []string{"nd_net", "net"}},
		{&l.socketNet, "sock_common", []string{"skc_net", "net"}},
		{&l.netInode, "net", []string{"ns", "inum"}},
	} {
		var s *btf.Struct
		if err := types.TypeByName(field.typ, &s); err != nil {
			return l, fmt.Errorf("looking for struct %s: %w", field.typ, err)
		}
		at, err := offset(s, field.path)
		if err != nil {
			return l, fmt.Errorf("looking for %s.%s: %w", field.typ, strings.Join(field.path, "."), err)
		}
		*field.at = int32(at)
	}
	err := l.readArguments(types)
	return l, err
}

// errNoField says that a structure does not have a field.
var errNoField = errors.New("this kernel has no such field")

// offset finds a field of a field, in bytes from the beginning of the outermost
// structure.
func offset(t btf.Type, path []string) (uint32, error) {
	if len(path) == 0 {
		return 0, nil
	}
	for _, m := range members(t) {
		rest := path
		if m.Name == path[0] {
			rest = path[1:]
		} else if m.Name != "" {
			continue
		}
		// The fields of a structure without a name count as those of the one around it.
		if at, err := offset(m.Type, rest); err == nil {
			return m.Offset.Bytes() + at, nil
		}
	}
	return 0, errNoField
}

func members(t btf.Type) []btf.Member {
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		return t.Members
	case *btf.Union:
		return t.Members
	}
	return nil
}

// reasonEnum is the type of the reasons, and tracepointType that of a function
// which is attached to the tracepoint (its first parameter is that function's own).
const (
	reasonEnum     = "skb_drop_reason"
	tracepointType = "btf_trace_" + tracepoint
)

// readArguments looks whether the tracepoint hands over a reason (kernel 5.17) and
// the receiving socket (kernel 6.11), and what the reasons are called.
func (l *layout) readArguments(types *btf.Spec) error {
	var attached *btf.Typedef
	if err := types.TypeByName(tracepointType, &attached); err != nil {
		return fmt.Errorf("looking for the tracepoint %s: %w", tracepoint, err)
	}
	function, err := parameters(attached)
	if err != nil {
		return err
	}
	if len(function) < 3 || !leadsTo(function[1].Type, "sk_buff") {
		return fmt.Errorf("looking at the tracepoint %s: it does not begin with a packet and a location", tracepoint)
	}
	if len(function) < 4 {
		return nil
	}
	enum, ok := btf.UnderlyingType(function[3].Type).(*btf.Enum)
	if !ok || enum.Name != reasonEnum {
		return nil
	}
	l.receiver = len(function) > 4 && leadsTo(function[4].Type, "sock")
	l.reason, l.reasons = true, map[uint32]string{}
	for _, v := range enum.Values {
		l.reasons[uint32(v.Value)] = strings.TrimPrefix(strings.TrimPrefix(v.Name, "SKB_DROP_REASON_"), "SKB_")
	}
	return nil
}

func parameters(t *btf.Typedef) ([]btf.FuncParam, error) {
	if p, ok := btf.UnderlyingType(t).(*btf.Pointer); ok {
		if f, ok := p.Target.(*btf.FuncProto); ok {
			return f.Params, nil
		}
	}
	return nil, fmt.Errorf("looking at the tracepoint %s: its type is no pointer to a function", tracepoint)
}

// leadsTo says whether a type is a pointer to this structure.
func leadsTo(t btf.Type, structure string) bool {
	p, ok := t.(*btf.Pointer)
	if !ok {
		return false
	}
	s, ok := p.Target.(*btf.Struct)
	return ok && s.Name == structure
}

// reasonName is what the kernel calls a reason. Subsystems number their own
// reasons in modules, with themselves in the upper half (SKB_DROP_REASON_SUBSYS_SHIFT).
func (l layout) reasonName(number uint32) string {
	if !l.reason {
		return ""
	}
	if name, ok := l.reasons[number]; ok {
		return name
	}
	return fmt.Sprintf("%d of subsystem %d", number&0xffff, number>>16)
}
