package lab

import "slices"

// tableKey names a table of a node. Not its variant: commands that leave it to
// the lab may mean the table of those that name it.
type tableKey struct {
	ipv6  bool
	table string
}

// dependencies says, for each command, which earlier ones it must wait for;
// what does not depend on each other may run at the same time. Tables know
// nothing of each other, and within a table
//   - the commands of one chain keep their order,
//   - a jump comes after the -N of the chain that it leads to,
//   - chains are made in their order, which some versions of iptables show,
//   - the first command goes ahead, since it makes the table,
//   - a command that concerns several chains waits for all before it, and all
//     behind it wait for it.
func dependencies(commands []RuleCommand) [][]int {
	deps := make([][]int, len(commands))
	tables := map[tableKey]*tableOrder{}
	for i, c := range commands {
		t := tables[tableKey{c.IPv6, c.Table}]
		if t == nil {
			t = &tableOrder{last: map[string]int{}, made: map[string]int{}, barrier: -1, newest: -1}
			tables[tableKey{c.IPv6, c.Table}] = t
		}
		deps[i] = t.add(i, c)
	}
	return deps
}

// tableOrder is what dependencies has seen of one table so far, as indices of commands.
type tableOrder struct {
	all     []int
	last    map[string]int // by chain: the last command on it
	made    map[string]int // by chain: its -N
	barrier int            // the last command that concerned everything; -1: none
	newest  int            // the last -N; -1: none
}

func (t *tableOrder) add(i int, c RuleCommand) []int {
	var deps []int
	if len(t.all) == 0 || c.concernsTable() {
		deps = slices.Clone(t.all)
		t.barrier = i
	} else {
		deps = append(deps, t.barrier)
		if last, ok := t.last[c.Chain]; ok {
			deps = append(deps, last)
		}
		for _, word := range c.targets() {
			if made, ok := t.made[word]; ok {
				deps = append(deps, made)
			}
		}
		if c.Action == 'N' && t.newest >= 0 {
			deps = append(deps, t.newest)
		}
	}
	t.all = append(t.all, i)
	t.last[c.Chain] = i
	if c.Action == 'N' {
		t.made[c.Chain], t.newest = i, i
	}
	slices.Sort(deps)
	return slices.Compact(deps)
}

// concernsTable says whether the command may touch more than the chain it names.
func (c RuleCommand) concernsTable() bool {
	switch c.Action {
	case 'A', 'I', 'D', 'R', 'N', 'P':
		return false
	case 'F':
		return c.Chain == ""
	}
	return true
}

// targets lists the words behind -j and -g.
func (c RuleCommand) targets() []string {
	var words []string
	for i := 1; i < len(c.Spec); i++ {
		if isJump(c.Spec[i-1]) {
			words = append(words, c.Spec[i])
		}
	}
	return words
}

func isJump(word string) bool {
	return slices.Contains([]string{"-j", "--jump", "-g", "--goto"}, word)
}
