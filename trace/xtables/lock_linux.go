package xtables

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Lock is the lock that every iptables-legacy command takes before it reads a
// table in order to change it (xtables_lock in iptables/xshared.c). It goes when
// it is released and every process that has inherited it has ended.
type Lock struct{ file *os.File }

// TakeLock waits for the lock, as iptables does with --wait, until ctx ends.
func TakeLock(ctx context.Context) (*Lock, error) {
	path := os.Getenv("XTABLES_LOCKFILE")
	if path == "" {
		path = "/run/xtables.lock"
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the xtables lock: %w", err)
	}
	taken := make(chan error, 1)
	go func() { taken <- flock(file) }()
	select {
	case err := <-taken:
		if err != nil {
			file.Close()
			return nil, fmt.Errorf("taking the xtables lock %s: %w", path, err)
		}
		return &Lock{file}, nil
	case <-ctx.Done():
		go func() { // whoever has the lock lets it go some time
			<-taken
			file.Close()
		}()
		return nil, fmt.Errorf("waiting for the xtables lock %s: %w", path, ctx.Err())
	}
}

func flock(file *os.File) error {
	for {
		if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != unix.EINTR {
			return err
		}
	}
}

// Release lets the lock go; doing so twice does no harm. A nil Lock has nothing
// to let go.
func (l *Lock) Release() {
	if l != nil && l.file != nil {
		l.file.Close() // nothing was written
		l.file = nil
	}
}
