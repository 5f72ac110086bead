package dropped

// ProgramID is the kernel's number of a watcher's program.
func ProgramID(w *Watcher) (uint32, error) {
	info, err := w.hook.Info()
	if err != nil {
		return 0, err
	}
	return uint32(info.Program), nil
}

// LoadFor loads the program as it would be for a kernel whose tracepoint hands
// over a reason and the receiving socket, or not.
func LoadFor(w *Watcher, reason, receiver bool) error {
	other := &Watcher{layout: w.layout, ring: w.ring, losses: w.losses}
	other.layout.reason, other.layout.receiver = reason, receiver
	return withoutLimit(func() error {
		p, err := other.load()
		if err != nil {
			return err
		}
		return p.Close()
	})
}
