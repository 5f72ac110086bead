package toolbox

import (
	"os"
	"path/filepath"
	"slices"

	"packetwalk/lab"
	"packetwalk/lab/control"
)

// Run is the tool that args[0] names; ok is false where it names none. The exit
// code is the tool's.
func Run(args []string) (exitCode int, ok bool) {
	if len(args) == 0 {
		return 0, false
	}
	name := filepath.Base(args[0])
	own := map[string]func(string, []string) int{
		"sudo": sudo, "serve": serve, "curl": curl, "ping": ping, "nc": netcat, "conntrack": conntrack,
	}
	switch tool, isOwn := own[name]; {
	case isOwn:
		return tool(name, args[1:]), true
	case slices.Contains(lab.LabTools().Wrapped, name):
		return wrap(name, args[1:]), true
	}
	return 0, false
}

// The exit codes of a shell for a program that could not be run (POSIX.1-2017,
// Shell Command Language, section 2.8.2).
const (
	exitCannotRun = 126
	exitNotFound  = 127
)

// find looks for a program in the PATH, past the tools that stand for others if
// real is asked for. It complains in the name of the caller, and returns the exit
// code that says so.
func find(caller, name string, real bool) (path string, exitCode int) {
	dirs := filepath.SplitList(os.Getenv("PATH"))
	if real {
		dirs = slices.DeleteFunc(dirs, func(d string) bool { return filepath.Clean(d) == lab.ToolDir })
	}
	wd, _ := os.Getwd() // without one, only absolute names are found
	path, err := lab.FindProgram(name, wd, joinList(dirs))
	if err == nil {
		return path, 0
	}
	return "", complain(caller, ExitCode(err), "%v", err)
}

// ExitCode is a shell's for a program that FindProgram did not find, or that
// could not be run.
func ExitCode(err error) int {
	if fault, ok := err.(*control.Error); ok && fault.Fault == control.NoProgram {
		return exitNotFound
	}
	return exitCannotRun
}
