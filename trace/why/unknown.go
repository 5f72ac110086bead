package why

// unknown says what is not known, and what would show it.
func (c *Case) unknown() Finding {
	var f Finding
	for node, s := range c.Hosts {
		for part, err := range s.Unseen {
			f.Unseen = append(f.Unseen, Fact{Kind: NotLookedAt, Step: -1, Values: Values{"node": node, "part": string(part), "err": err}})
		}
	}
	return f
}
