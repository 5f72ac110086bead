//go:build !linux

package toolbox

// Run runs no tool: only labs have them, and only Linux has labs.
func Run([]string) (exitCode int, ok bool) { return 0, false }
