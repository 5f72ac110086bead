package xtables

import (
	"slices"

	"packetwalk/trace"
)

// Info is what the kernel says about a table (struct ipt_getinfo): the hooks
// that it has base chains on, as bits, and at which offsets in the entries each
// of these chains begins and has its policy.
type Info struct {
	ValidHooks uint32
	HookEntry  [hooks]uint32
	Underflow  [hooks]uint32
	Entries    uint32 // how many there are
	Size       uint32 // how many bytes they are
}

// hooks is how many hooks there are (NF_INET_NUMHOOKS).
const hooks = 5

// Table is a table taken apart.
type Table struct {
	Family trace.Family
	Name   trace.Table
	// Chains come in their order in the table, base chains first.
	Chains []Chain
	info   Info
	end    Rule // marks the end of the entries
}

// Chain is a chain of a table. Its rules may be put together anew, of old ones
// and of those that Table.NewLog makes.
type Chain struct {
	Name  string
	Rules []Rule
	hook  int  // of a base chain; -1 for a user-defined one
	head  Rule // names a user-defined chain
	foot  Rule // the policy, or the return
}

// Parse takes the entries of a table apart. What is not as the kernel and
// iptables write it is an error that wraps ErrUnsupported.
func Parse(family trace.Family, name trace.Table, info Info, entries []byte) (*Table, error) {
	p := parser{Table: Table{Family: family, Name: name, info: info}, layout: layouts[family], starts: map[int]int{}, names: map[string]bool{}}
	if uint64(len(entries)) != uint64(info.Size) {
		return nil, unsupported("%d bytes of entries, where %d were announced", len(entries), info.Size)
	}
	for offset := 0; offset < len(entries); {
		r, err := p.layout.readEntry(entries[offset:])
		if err != nil {
			return nil, err
		}
		r.from = int32(p.read)
		p.read++
		if err := p.entry(offset, r, offset+len(r.raw) == len(entries)); err != nil {
			return nil, err
		}
		offset += len(r.raw)
	}
	if p.read != int(info.Entries) || p.end.raw == nil {
		return nil, unsupported("%d entries, where %d were announced", p.read, info.Entries)
	}
	if err := p.finish(); err != nil {
		return nil, err
	}
	return &p.Table, nil
}

// parser is a table that is being read, entry by entry.
type parser struct {
	Table
	layout layout
	read   int
	starts map[int]int // which chain begins at an offset
	names  map[string]bool
	// offset is that of each chain's last entry so far.
	offset []int
}

// entry takes the next entry, which may be the last of all.
func (p *parser) entry(offset int, r Rule, last bool) error {
	mark := p.layout.targetName(r) == errorTarget
	hook := p.hookAt(offset)
	switch {
	case last && mark:
		p.end = r
	case mark:
		name := text(p.layout.target(r)[partHeader:])
		if name == "" || p.names[name] {
			return unsupported("a second chain %q", name)
		}
		p.begin(Chain{Name: name, hook: -1, head: r}, offset+len(r.raw))
	case hook >= 0:
		p.begin(Chain{Name: trace.Hook(hook).String(), hook: hook}, offset)
		return p.rule(offset, r)
	case len(p.Chains) == 0:
		return unsupported("a rule outside of a chain")
	default:
		return p.rule(offset, r)
	}
	return nil
}

// errorTarget is the target of the entries that are no rules: those that begin
// a user-defined chain, and that at the end.
const errorTarget = "ERROR"

// hookAt is the hook whose base chain begins at an offset; -1 for none.
func (p *parser) hookAt(offset int) int {
	for h := range hooks {
		if p.info.ValidHooks>>h&1 == 1 && uint64(p.info.HookEntry[h]) == uint64(offset) {
			return h
		}
	}
	return -1
}

func (p *parser) begin(c Chain, offset int) {
	p.starts[offset], p.names[c.Name] = len(p.Chains), true
	p.Chains, p.offset = append(p.Chains, c), append(p.offset, -1)
}

// rule takes a rule of the current chain. Which the last one is shows later.
func (p *parser) rule(offset int, r Rule) error {
	i := len(p.Chains) - 1
	if v, standard := p.layout.verdict(r); standard && v >= 0 {
		r.leads = toChain
		r.chain = int(v)
		if int(v) == offset+len(r.raw) {
			r.leads = toNext
		}
	}
	p.Chains[i].Rules = append(p.Chains[i].Rules, r)
	p.offset[i] = offset
	return nil
}

// finish tells policies from rules, and finds the chains that rules lead to.
func (p *parser) finish() error {
	for i := range p.Chains {
		c := &p.Chains[i]
		last := len(c.Rules) - 1
		if last < 0 {
			return unsupported("chain %s has no end", c.Name)
		}
		c.foot, c.Rules = c.Rules[last], c.Rules[:last:last]
		if v, standard := p.layout.verdict(c.foot); !standard || v >= 0 || !p.layout.unconditional(c.foot) {
			return unsupported("chain %s ends with an entry that is neither a policy nor a return", c.Name)
		}
		if c.hook >= 0 && uint64(p.info.Underflow[c.hook]) != uint64(p.offset[i]) {
			return unsupported("the policy of chain %s is at %d, and not where it was announced", c.Name, p.offset[i])
		}
		for j := range c.Rules {
			r := &c.Rules[j]
			if r.leads != toChain {
				continue
			}
			chain, ok := p.starts[r.chain]
			if !ok || p.Chains[chain].hook >= 0 {
				return unsupported("a rule of chain %s leads into the middle of nowhere", c.Name)
			}
			r.chain = chain
		}
	}
	for h := range hooks {
		if p.info.ValidHooks>>h&1 == 1 && !slices.ContainsFunc(p.Chains, func(c Chain) bool { return c.hook == h }) {
			return unsupported("the base chain on %s is missing", trace.Hook(h))
		}
	}
	return nil
}

// Chain finds a chain by its name.
func (t *Table) Chain(name string) (*Chain, bool) {
	i := slices.IndexFunc(t.Chains, func(c Chain) bool { return c.Name == name })
	if i < 0 {
		return nil, false
	}
	return &t.Chains[i], true
}

// LogPrefix is the prefix of a rule whose target is NFLOG.
func (t *Table) LogPrefix(r Rule) (prefix string, ok bool) { return layouts[t.Family].logPrefix(r) }

// Delete deletes the rules that log with a prefix that is meant, and says how
// many they were.
func (t *Table) Delete(meant func(prefix string) bool) int {
	n := 0
	for i := range t.Chains {
		c := &t.Chains[i]
		before := len(c.Rules)
		c.Rules = slices.DeleteFunc(slices.Clone(c.Rules), func(r Rule) bool {
			prefix, ok := t.LogPrefix(r)
			return ok && meant(prefix)
		})
		n += before - len(c.Rules)
	}
	return n
}

// Replacement is a table put together again, as the kernel takes it.
type Replacement struct {
	Family trace.Family
	Name   trace.Table
	Info   Info
	Blob   []byte
	// From says which entry of the table that was read each one was; -1 for a new one.
	From []int32
	// Read is how many entries that table had.
	Read uint32
}

// Replacement puts the table together: every entry at its new place, and all
// that leads to a chain to that chain's.
func (t *Table) Replacement() Replacement {
	l := layouts[t.Family]
	out := Replacement{Family: t.Family, Name: t.Name, Info: Info{ValidHooks: t.info.ValidHooks}, Read: t.info.Entries}
	var leading []Rule // the rules that lead somewhere
	var at []int       // and where they are
	starts := make([]int, len(t.Chains))
	entries, size := t.size()
	out.Blob, out.From = make([]byte, 0, size), make([]int32, 0, entries)
	add := func(r Rule) {
		if r.leads != nowhere {
			leading, at = append(leading, r), append(at, len(out.Blob))
		}
		out.Blob, out.From = append(out.Blob, r.raw...), append(out.From, r.from)
	}
	for i, c := range t.Chains {
		if c.hook < 0 {
			add(c.head)
		}
		starts[i] = len(out.Blob)
		for _, r := range c.Rules {
			add(r)
		}
		if c.hook >= 0 {
			out.Info.HookEntry[c.hook], out.Info.Underflow[c.hook] = uint32(starts[i]), uint32(len(out.Blob))
		}
		add(c.foot)
	}
	add(t.end)
	for i, r := range leading {
		to := at[i] + len(r.raw)
		if r.leads == toChain {
			to = starts[r.chain]
		}
		entry := Rule{raw: out.Blob[at[i]:]}
		native.PutUint32(l.target(entry)[partHeader:], uint32(to))
	}
	out.Info.Entries, out.Info.Size = uint32(len(out.From)), uint32(len(out.Blob))
	return out
}

// size says how many entries the table has and how many bytes they are.
func (t *Table) size() (entries, size int) {
	add := func(r Rule) { entries, size = entries+1, size+len(r.raw) }
	for _, c := range t.Chains {
		if c.hook < 0 {
			add(c.head)
		}
		for _, r := range c.Rules {
			add(r)
		}
		add(c.foot)
	}
	add(t.end)
	return entries, size
}
