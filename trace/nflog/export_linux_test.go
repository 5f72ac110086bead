package nflog

// ByCommand is the backend as it is where nothing but iptables' own commands works.
func (b Backend) ByCommand() Backend {
	b.byCommand = true
	return b
}
