package lab

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"packetwalk/lab/control"
)

// ToolDir holds the tools that come before the system's on the lab's PATH.
const ToolDir = runDir + "/bin"

// The places of what a lab adds to the system, in the sandbox's own /run.
const (
	runDir      = "/run/packetwalk"
	socketPath  = runDir + "/lab.sock"
	programPath = runDir + "/packetwalk" // this program
	fallbackDir = runDir + "/fallback"   // tools that come after
)

// searchPath is the PATH of programs in the lab.
func searchPath() string {
	dirs := append([]string{ToolDir}, filepath.SplitList(os.Getenv("PATH"))...)
	for _, d := range []string{"/usr/sbin", "/sbin", fallbackDir} {
		if !slices.Contains(dirs, d) {
			dirs = append(dirs, d)
		}
	}
	return strings.Join(dirs, string(filepath.ListSeparator))
}

// environment is what programs in a node get: this process's environment
// without what is meant for it alone, the caller's wishes, and where they are.
func (l *Lab) environment(node string, extra []string) []string {
	env := slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "PACKETWALK_") })
	env = append(env, extra...)
	env = append(env, "PATH="+searchPath(), control.NodeEnv+"="+node)
	l.jobs.mu.Lock()
	defer l.jobs.mu.Unlock()
	if l.jobs.control != "" {
		env = append(env, control.PathEnv+"="+l.jobs.control)
	}
	return env
}

// command prepares what a client wants to have run in a node.
func (l *Lab) command(node string, p control.Program) (*exec.Cmd, error) {
	var env, args []string
	for _, e := range p.Env {
		env = append(env, string(e))
	}
	for _, a := range p.Args {
		args = append(args, string(a))
	}
	dir := string(p.Dir)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		dir = "/"
	}
	if len(args) == 0 {
		var more []string
		args, more = shell(string(p.Shell), node, p.Terminal)
		env = append(env, more...)
	}
	path, err := FindProgram(args[0], dir, searchPath())
	if err != nil {
		return nil, err
	}
	return &exec.Cmd{
		Path: path, Args: args, Dir: dir, Env: l.environment(node, env),
		SysProcAttr: &syscall.SysProcAttr{Setctty: p.Terminal}, // descriptor 0 is the terminal
	}, nil
}

// shell is the call of an interactive shell in a node: the one that the user
// likes, if the lab has it, without the user's own start-up files, which may set
// a PATH and a prompt of their own, and without a place in the user's history.
func shell(liked, node string, terminal bool) (args, env []string) {
	path, err := exec.LookPath(liked)
	if err != nil || !filepath.IsAbs(liked) {
		path = "/bin/sh"
	}
	prompt := node + "# "
	env = []string{"SHELL=" + path, "PS1=" + prompt, "HISTFILE=", "ENV="}
	switch filepath.Base(path) {
	case "bash":
		args = []string{path, "--noprofile", "--norc"}
	case "zsh":
		args = []string{path, "-f"}
	case "fish":
		args = []string{path, "--no-config", "--init-command", "function fish_prompt; echo -n '" + prompt + "'; end"}
	default:
		args = []string{path}
	}
	if terminal {
		args = append(args, "-i")
	}
	return args, env
}

// Tools are the names under which this program serves in a lab: Wrapped stand
// for programs of the system whose rules may hold probes, Added come before
// what the system has, and Fallbacks stand in for what it lacks.
type Tools struct{ Wrapped, Added, Fallbacks []string }

// LabTools lists the tools on the PATH of a lab.
func LabTools() Tools {
	t := Tools{Wrapped: []string{"nft"}, Added: []string{"sudo", "serve"}, Fallbacks: []string{"curl", "ping", "nc", "conntrack"}}
	for _, variant := range Variants() {
		c := Command(variant)
		t.Wrapped = append(t.Wrapped, c.Iptables, c.Save, c.Restore, c.Iptables6, c.Save6, c.Restore6)
	}
	return t
}

// placeTools fills the lab's own directories of programs.
func placeTools() error {
	for _, dir := range []string{runDir, ToolDir, fallbackDir} {
		if err := os.Mkdir(dir, 0o755); err != nil && !os.IsExist(err) {
			return err
		}
	}
	if err := placeProgram(); err != nil {
		return err
	}
	t := LabTools()
	for _, name := range slices.Concat(t.Wrapped, t.Added) {
		if err := link(filepath.Join(ToolDir, name)); err != nil {
			return err
		}
	}
	for _, name := range t.Fallbacks {
		if err := link(filepath.Join(fallbackDir, name)); err != nil {
			return err
		}
	}
	return nil
}

func link(path string) error {
	if err := os.Symlink(programPath, path); err != nil && !os.IsExist(err) {
		return err
	}
	return nil
}

// placeProgram makes this program reachable at programPath, wherever its file is
// and whatever becomes of that.
func placeProgram() error {
	if _, err := os.Lstat(programPath); err == nil {
		return nil // by an earlier lab of this process
	}
	file, err := os.OpenFile(programPath, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	defer file.Close()
	if unix.Mount("/proc/self/exe", programPath, "", unix.MS_BIND, "") == nil {
		return nil
	}
	// A file that has been removed cannot be mounted any more, but copied.
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer exe.Close()
	_, err = io.Copy(file, exe)
	return errors.Join(err, file.Close())
}
