package nflog

import (
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// dumpedExpression is an expression of a dumped rule.
func dumpedExpression(name string, attributes ...netlink.Attribute) func(*netlink.AttributeEncoder) error {
	return func(ae *netlink.AttributeEncoder) error {
		ae.String(unix.NFTA_EXPR_NAME, name)
		data, err := netlink.MarshalAttributes(attributes)
		ae.Bytes(unix.NFTA_EXPR_DATA|unix.NLA_F_NESTED, data)
		return err
	}
}

// dumped is a rule as the kernel dumps it, with a comment in its user data or none.
func dumped(t testing.TB, comment string, expressions ...func(*netlink.AttributeEncoder) error) []byte {
	t.Helper()
	ae := netlink.NewAttributeEncoder()
	ae.String(unix.NFTA_RULE_TABLE, "filter")
	ae.String(unix.NFTA_RULE_CHAIN, "INPUT")
	ae.Nested(unix.NFTA_RULE_EXPRESSIONS, func(list *netlink.AttributeEncoder) error {
		for _, e := range expressions {
			list.Nested(unix.NFTA_LIST_ELEM, e)
		}
		return nil
	})
	if comment != "" {
		ae.String(unix.NFTA_RULE_USERDATA, comment)
	}
	rule, err := ae.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return rule
}

// The kinds of expression that rules of the tests are made of.
func commentMatch(text string) func(*netlink.AttributeEncoder) error {
	return dumpedExpression("match", netlink.Attribute{Type: unix.NFTA_MATCH_NAME, Data: []byte("comment\x00")},
		netlink.Attribute{Type: unix.NFTA_MATCH_INFO, Data: append([]byte(text), make([]byte, 16)...)})
}

func logTo(prefix string) func(*netlink.AttributeEncoder) error {
	return dumpedExpression("log", netlink.Attribute{Type: unix.NFTA_LOG_GROUP, Data: []byte{0x4e, 0x20}},
		netlink.Attribute{Type: unix.NFTA_LOG_PREFIX, Data: append([]byte(prefix), 0)})
}

func logOnly(prefix string) func(*netlink.AttributeEncoder) error {
	return dumpedExpression("log", netlink.Attribute{Type: unix.NFTA_LOG_PREFIX, Data: append([]byte(prefix), 0)})
}

func compatTarget(name, info string) func(*netlink.AttributeEncoder) error {
	return dumpedExpression("target", netlink.Attribute{Type: unix.NFTA_TARGET_NAME, Data: append([]byte(name), 0)},
		netlink.Attribute{Type: unix.NFTA_TARGET_INFO, Data: append([]byte(info), 0)})
}

var (
	traceOn = dumpedExpression("meta", netlink.Attribute{Type: unix.NFTA_META_KEY, Data: []byte{0, 0, 0, unix.NFT_META_NFTRACE}},
		netlink.Attribute{Type: unix.NFTA_META_SREG, Data: []byte{0, 0, 0, 9}})
	setMark = dumpedExpression("meta", netlink.Attribute{Type: unix.NFTA_META_KEY, Data: []byte{0, 0, 0, unix.NFT_META_MARK}},
		netlink.Attribute{Type: unix.NFTA_META_SREG, Data: []byte{0, 0, 0, 9}})
	accept = dumpedExpression("immediate")
)

func TestFindProbe(t *testing.T) {
	const ours, other = "packetwalk:run:5:", "packetwalk:other:6:"
	for name, c := range map[string]struct {
		rule       []byte
		asks, want bool
	}{
		"log":                              {dumped(t, "", logTo(ours)), false, true},
		"log of x_tables":                  {dumped(t, "", compatTarget("NFLOG", ours)), false, true},
		"log beside a comment":             {dumped(t, other, commentMatch(other), logTo(ours)), false, true},
		"question, the comment a match":    {dumped(t, "", commentMatch(ours), traceOn), true, true},
		"question, the comment in data":    {dumped(t, ours, traceOn), true, true},
		"question of x_tables":             {dumped(t, "", commentMatch(ours), compatTarget("TRACE", "")), true, true},
		"somebody's log":                   {dumped(t, ours, commentMatch(ours), logTo("web: ")), false, false},
		"somebody's trace":                 {dumped(t, "web", traceOn), true, false},
		"somebody's rule with the comment": {dumped(t, ours, commentMatch(ours), accept), false, false},
		"somebody's mark with the comment": {dumped(t, ours, commentMatch(ours), setMark), false, false},
		"another target with the prefix":   {dumped(t, "", compatTarget("LOG", ours)), false, false},
		"a log to no group":                {dumped(t, "", logOnly(ours)), false, false},
		"no expression":                    {dumped(t, ours), false, false},
	} {
		prefix, asks, ok := findProbe(c.rule)
		if ok != c.want || ok && (asks != c.asks || prefix != Prefix{Run: "run", Probe: 5}) {
			t.Errorf("%s: %+v, asks %t, found %t; want asks %t, found %t", name, prefix, asks, ok, c.asks, c.want)
		}
	}
}

func FuzzFindProbe(f *testing.F) {
	f.Add(dumped(f, "packetwalk:run:5:", traceOn))
	f.Add(dumped(f, "", logTo("packetwalk:run:5:t")))
	f.Fuzz(func(t *testing.T, rule []byte) {
		prefix, _, ok := findProbe(rule)
		if again, valid := ParsePrefix(prefix.String()); ok && (!valid || again != prefix) {
			t.Errorf("%+v is no prefix", prefix)
		}
	})
}
