package lab

import (
	"path"
	"strings"

	"packetwalk/trace/host"
)

// path is where the sysctl lies below /proc/sys.
func (s Sysctl) path() string { return host.SysctlPath(s.Name) }

// belongsToNode says whether the sysctl lies below net, the part of /proc/sys
// that every network namespace has of its own.
func (s Sysctl) belongsToNode() bool {
	p := s.path()
	return strings.HasPrefix(p, "net/") && path.Clean(p) == p
}

// sameValue compares what was written with what the kernel shows: it separates
// numbers with tabs.
func sameValue(written, shown string) bool {
	return strings.Join(strings.Fields(written), " ") == strings.Join(strings.Fields(shown), " ")
}
