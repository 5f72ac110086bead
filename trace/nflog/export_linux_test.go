package nflog

// ByCommand is the backend as it is where legacy tables cannot be edited.
func (b Backend) ByCommand() Backend {
	b.byCommand = true
	return b
}
