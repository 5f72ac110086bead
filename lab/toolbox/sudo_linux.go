package toolbox

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// sudo runs a program as it stands: everybody in a lab is root. It understands
// the options that do not matter here, and variables in front of the program.
func sudo(name string, args []string) int {
	env := os.Environ()
	for len(args) > 0 {
		a := args[0]
		switch {
		case a == "-u" || a == "--user":
			if len(args) < 2 || args[1] != "root" {
				return complain(name, 1, "in a lab there is only root")
			}
			args = args[1:]
		case a == "-i" || a == "-s":
			return sudoShell(name, args[1:], env)
		case strings.HasPrefix(a, "-") && strings.Trim(a, "-EHnSk") == "" && a != "--":
		case a == "--":
			return become(name, args[1:], env)
		case strings.HasPrefix(a, "-"):
			return complain(name, 1, "in a lab, sudo knows -E, -H, -n, -S, -k, -i, -s and -u root, not %s", a)
		case strings.Contains(a, "=") && !strings.HasPrefix(a, "="):
			env = append(env, a)
		default:
			return become(name, args, env)
		}
		args = args[1:]
	}
	return become(name, nil, env)
}

// sudoShell runs a shell or, through one, a program.
func sudoShell(name string, args, env []string) int {
	shell := os.Getenv("SHELL")
	if shell == "" {
		shell = "/bin/sh"
	}
	call := []string{shell}
	if len(args) > 0 {
		call = append(call, "-c", `exec "$0" "$@"`)
	}
	return become(name, append(call, args...), env)
}

// become turns this process into the program.
func become(name string, args, env []string) int {
	if len(args) == 0 {
		return complain(name, 1, "usage: sudo PROGRAM ARGUMENTS...")
	}
	path, code := find(name, args[0], false)
	if path == "" {
		return code
	}
	err := unix.Exec(path, args, env)
	return complain(name, exitCannotRun, "%s: %v", path, err)
}
