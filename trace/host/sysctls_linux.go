package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// sysctls reads the settings. The files below /proc/sys/net are those of the
// reading thread's namespace. What this kernel does not have, or does not show
// in this namespace, is missing.
func (r *reader) sysctls(context.Context) error {
	var refused error
	r.Sysctls = map[string]string{}
	for _, name := range sysctlsOf(r.Links) {
		value, err := os.ReadFile("/proc/sys/" + SysctlPath(name))
		switch {
		case err == nil:
			r.Sysctls[name] = strings.Join(strings.Fields(string(value)), " ")
		case !errors.Is(err, os.ErrNotExist):
			refused = fmt.Errorf("reading sysctl %s: %w", name, err)
		}
	}
	return refused
}
