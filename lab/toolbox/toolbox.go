// Package toolbox is what this program is under other names, on the PATH of
// programs in a lab: iptables and its kin, which run the system's own without
// the probes being in the way; sudo and serve; and small stand-ins for curl,
// ping, nc and conntrack. Which names there are and where is left to package lab.
package toolbox

import (
	"fmt"
	"os"
)

// complain prints what is wrong with a tool's call or fate, and returns its exit code.
func complain(name string, code int, format string, args ...any) int {
	fmt.Fprintf(os.Stderr, name+": "+format+"\n", args...)
	return code
}
