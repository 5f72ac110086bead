package xtables

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packetwalk/trace"
)

// entryOf makes an entry with a target, which asks a packet nothing but what
// the matches do.
func entryOf(l layout, target []byte, matches ...[]byte) []byte {
	b := bytes.Join(slices.Concat([][]byte{make([]byte, l.header)}, matches, [][]byte{target}), nil)
	native.PutUint16(b[l.targetOffset:], uint16(len(b)-len(target)))
	native.PutUint16(b[l.targetOffset+2:], uint16(len(b)))
	return b
}

func standard(verdict int) []byte {
	t := newPart("", 0, 4)
	native.PutUint32(t[partHeader:], uint32(int32(verdict)))
	return t
}

func named(name string) []byte {
	t := newPart(errorTarget, 0, 30)
	copy(t[partHeader:], name)
	return t
}

// Verdicts as the kernel writes them: -NF_ACCEPT - 1, -NF_DROP - 1, XT_RETURN.
const (
	accept  = -2
	drop    = -1
	returns = -5
)

// sample is a filter table with two user-defined chains: INPUT jumps to USER
// behind a rule without a target, USER is empty, and OTHER goes to USER.
func sample(family trace.Family) (Info, []byte) {
	l := layouts[family]
	info := Info{ValidHooks: 1<<trace.Input | 1<<trace.Forward | 1<<trace.Output}
	var b []byte
	add := func(target []byte, matches ...[]byte) (at int) {
		at = len(b)
		b = append(b, entryOf(l, target, matches...)...)
		info.Entries++
		return at
	}
	lead := func(from, to int) { // of an entry without matches
		native.PutUint32(b[from+l.header+partHeader:], uint32(to))
	}
	first := add(standard(0)) // no target: on to the next
	jump := add(standard(0))
	add(standard(drop), modules["tcp"].make("tcp"))
	lead(first, jump)
	info.Underflow[trace.Input] = uint32(add(standard(accept)))
	info.HookEntry[trace.Forward] = uint32(add(standard(drop)))
	info.Underflow[trace.Forward] = info.HookEntry[trace.Forward]
	info.HookEntry[trace.Output] = uint32(add(standard(accept)))
	info.Underflow[trace.Output] = info.HookEntry[trace.Output]
	add(named("USER"))
	lead(jump, add(standard(returns)))
	user := len(b) - len(entryOf(l, standard(0)))
	add(named("OTHER"))
	lead(add(standard(0)), user)
	add(standard(returns))
	add(named(errorTarget))
	info.Size = uint32(len(b))
	return info, b
}

func parseSample(t testing.TB, family trace.Family) *Table {
	t.Helper()
	info, b := sample(family)
	table, err := Parse(family, trace.Filter, info, b)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func eachFamily(t *testing.T, test func(t *testing.T, family trace.Family)) {
	for name, family := range map[string]trace.Family{"IPv4": trace.IPv4, "IPv6": trace.IPv6} {
		t.Run(name, func(t *testing.T) { test(t, family) })
	}
}

// shape is a table's chains with what their rules lead to.
func shape(t *Table) map[string][]string {
	all := map[string][]string{}
	for _, c := range t.Chains {
		all[c.Name] = []string{}
		for _, r := range c.Rules {
			word := layouts[t.Family].targetName(r)
			if prefix, ok := t.LogPrefix(r); ok {
				word += " " + prefix
			}
			switch r.leads {
			case toNext:
				word = "next"
			case toChain:
				word = t.Chains[r.chain].Name
			}
			all[c.Name] = append(all[c.Name], word)
		}
	}
	return all
}

func TestParse(t *testing.T) {
	eachFamily(t, func(t *testing.T, family trace.Family) {
		table := parseSample(t, family)
		want := map[string][]string{"INPUT": {"next", "USER", ""}, "FORWARD": {}, "OUTPUT": {}, "USER": {}, "OTHER": {"USER"}}
		if diff := cmp.Diff(want, shape(table)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if got := table.Modules(table.Chains[0].Rules[2]); !slices.Equal(got, []string{"tcp"}) {
			t.Errorf("the matches of INPUT's last rule are %v", got)
		}
	})
}

// A table that nobody has edited is put together as it was.
func TestReplacementOfAnUneditedTable(t *testing.T) {
	eachFamily(t, func(t *testing.T, family trace.Family) {
		info, b := sample(family)
		r := parseSample(t, family).Replacement()
		if diff := cmp.Diff(info, r.Info); diff != "" {
			t.Errorf("(-read +put together):\n%s", diff)
		}
		if !bytes.Equal(r.Blob, b) {
			t.Error("the entries are others")
		}
		for i, from := range r.From {
			if int(from) != i {
				t.Errorf("entry %d has the counters of %d", i, from)
			}
		}
	})
}

// logged puts a rule that logs in front of every rule and every end.
func logged(t testing.TB, table *Table) {
	t.Helper()
	for i := range table.Chains {
		c := &table.Chains[i]
		r, err := table.NewLog(Log{Group: 7, Prefix: "here"})
		if err != nil {
			t.Fatal(err)
		}
		var rules []Rule
		for _, old := range c.Rules {
			rules = append(rules, r, old)
		}
		c.Rules = append(rules, r)
	}
}

func TestEdit(t *testing.T) {
	eachFamily(t, func(t *testing.T, family trace.Family) {
		table := parseSample(t, family)
		logged(t, table)
		r := table.Replacement()
		if r.Read != 12 || r.Info.Entries != 12+9 {
			t.Errorf("%d entries read and %d put together", r.Read, r.Info.Entries)
		}
		again, err := Parse(family, trace.Filter, r.Info, r.Blob)
		if err != nil {
			t.Fatal(err)
		}
		const log = "NFLOG here"
		want := map[string][]string{
			"INPUT": {log, "next", log, "USER", log, "", log}, "FORWARD": {log}, "OUTPUT": {log}, "USER": {log}, "OTHER": {log, "USER", log},
		}
		if diff := cmp.Diff(want, shape(again)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if n := again.Delete(func(prefix string) bool { return prefix == "else" }); n != 0 {
			t.Errorf("%d rules of somebody else are gone", n)
		}
		if n := again.Delete(func(prefix string) bool { return prefix == "here" }); n != 9 {
			t.Errorf("%d rules are gone", n)
		}
		_, b := sample(family)
		back := again.Replacement()
		if !bytes.Equal(back.Blob, b) {
			t.Error("the entries are not what they were")
		}
		for i, from := range back.From { // in the table with logs
			if r.From[from] != int32(i) {
				t.Errorf("entry %d has the counters of another one", i)
			}
		}
	})
}

func TestParseRefusesWhatItDoesNotKnow(t *testing.T) {
	l := layouts[trace.IPv4]
	for what, damage := range map[string]func(info *Info, b []byte){
		"too few entries":        func(info *Info, _ []byte) { info.Entries++ },
		"another size":           func(info *Info, _ []byte) { info.Size-- },
		"no base chain there":    func(info *Info, _ []byte) { info.HookEntry[trace.Output] += 8 },
		"a hook too many":        func(info *Info, _ []byte) { info.ValidHooks |= 1 },
		"the policy elsewhere":   func(info *Info, _ []byte) { info.Underflow[trace.Input] = 0 },
		"a target before":        func(_ *Info, b []byte) { native.PutUint16(b[l.targetOffset:], uint16(l.header-8)) },
		"a target behind":        func(_ *Info, b []byte) { native.PutUint16(b[l.targetOffset:], 0xfff8) },
		"an entry without end":   func(_ *Info, b []byte) { native.PutUint16(b[l.targetOffset+2:], 0xfff8) },
		"an entry of no size":    func(_ *Info, b []byte) { native.PutUint16(b[l.targetOffset+2:], 0) },
		"a target too large":     func(_ *Info, b []byte) { native.PutUint16(b[l.header:], 0xfff8) },
		"a jump into nowhere":    func(_ *Info, b []byte) { native.PutUint32(b[l.header+partHeader:], 8) },
		"a jump to a base chain": func(_ *Info, b []byte) { native.PutUint32(b[l.header+partHeader:], 0) },
		"a policy with a match": func(info *Info, b []byte) {
			b[info.Underflow[trace.Forward]] = 1
		},
		"a policy that leads on": func(info *Info, b []byte) {
			native.PutUint32(b[int(info.Underflow[trace.Forward])+l.header+partHeader:], 0)
		},
		"two chains of a name": func(_ *Info, b []byte) {
			copy(b[bytes.Index(b, []byte("OTHER")):], "USER\x00")
		},
		"no end": func(_ *Info, b []byte) {
			copy(b[bytes.LastIndex(b, []byte(errorTarget)):], "ENDED")
			copy(b[bytes.LastIndex(b, []byte(errorTarget)):], "ENDED")
		},
	} {
		info, b := sample(trace.IPv4)
		damage(&info, b)
		if _, err := Parse(trace.IPv4, trace.Filter, info, b); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: Parse = %v", what, err)
		}
	}
	if _, err := Parse(trace.IPv4, trace.Filter, Info{}, nil); !errors.Is(err, ErrUnsupported) {
		t.Errorf("nothing: Parse = %v", err)
	}
}

func TestNewLogRefusesWhatItDoesNotKnow(t *testing.T) {
	for what, log := range map[string]Log{
		"a module":        {Match: []string{"-m", "owner", "--uid-owner", "1"}},
		"an option":       {Match: []string{"-m", "conntrack", "--ctstatus", "SEEN_REPLY"}},
		"no module":       {Match: []string{"--dport", "1"}},
		"a value":         {Match: []string{"-m", "tcp", "--dport", "80:90"}},
		"a state":         {Match: []string{"-m", "conntrack", "--ctstate", "SNAT"}},
		"a direction":     {Match: []string{"-m", "conntrack", "--ctdir", "BACK"}},
		"a protocol":      {Match: []string{"-p", "sctp"}},
		"any protocol":    {Match: []string{"-p", "0"}},
		"another family":  {Match: []string{"-s", "2001:db8::/32"}},
		"no address":      {Match: []string{"-m", "conntrack", "--ctorigsrc", "host"}},
		"a port range":    {Match: []string{"-m", "multiport", "--dports", "1,2"}},
		"half a range":    {Match: []string{"-m", "iprange", "--src-range", "192.0.2.1"}},
		"interfaces":      {Match: []string{"-i", "eth+"}},
		"a long name":     {Match: []string{"-i", "an-interface-too"}},
		"no value":        {Match: []string{"-s"}},
		"a long prefix":   {Prefix: string(make([]byte, 64))},
		"a missing match": {Like: &parseSample(t, trace.IPv4).Chains[0].Rules[2], Keep: []int{1}},
	} {
		if _, err := parseSample(t, trace.IPv4).NewLog(log); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: NewLog = %v", what, err)
		}
	}
}

// FuzzParse holds that no table can break the parser, and that what it accepts
// can be edited and comes back as it was.
func FuzzParse(f *testing.F) {
	for _, family := range []trace.Family{trace.IPv4, trace.IPv6} {
		info, b := sample(family)
		f.Add(family == trace.IPv6, info.ValidHooks, int(info.Entries), int(info.HookEntry[1]), int(info.HookEntry[2]), int(info.HookEntry[3]),
			int(info.Underflow[1]), int(info.Underflow[2]), int(info.Underflow[3]), b)
	}
	f.Fuzz(func(t *testing.T, six bool, valid uint32, entries, in, forward, out, inEnd, forwardEnd, outEnd int, b []byte) {
		family := trace.IPv4
		if six {
			family = trace.IPv6
		}
		info := Info{
			ValidHooks: valid & (1<<hooks - 1), Entries: uint32(entries), Size: uint32(len(b)),
			HookEntry: [hooks]uint32{1: uint32(in), uint32(forward), uint32(out)},
			Underflow: [hooks]uint32{1: uint32(inEnd), uint32(forwardEnd), uint32(outEnd)},
		}
		table, err := Parse(family, trace.Filter, info, b)
		if err != nil {
			if !errors.Is(err, ErrUnsupported) {
				t.Errorf("Parse = %v", err)
			}
			return
		}
		before := shape(table)
		if r := table.Replacement(); !bytes.Equal(r.Blob, b) || r.Info.Size != info.Size || r.Info.Entries != info.Entries {
			t.Error("a table that nobody has edited is another one")
		}
		ours := func(prefix string) bool { return prefix == "here" }
		if table.Delete(ours) > 0 {
			before = shape(table)
		}
		logged(t, table)
		r := table.Replacement()
		again, err := Parse(family, trace.Filter, r.Info, r.Blob)
		if err != nil {
			t.Fatalf("an edited table cannot be read: %v", err)
		}
		again.Delete(ours)
		if diff := cmp.Diff(before, shape(again)); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
	})
}
