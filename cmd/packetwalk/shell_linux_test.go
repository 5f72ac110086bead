package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// terminal is a user at a terminal with a program on it.
type terminal struct {
	t     *testing.T
	cmd   *exec.Cmd
	keys  *os.File
	mu    sync.Mutex
	shown bytes.Buffer
	read  int // up to where expect has looked
	ended chan struct{}
}

// onTerminal starts a program on a terminal of its own.
func onTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	x := &terminal{t: t, cmd: exec.Command("packetwalk", args...), ended: make(chan struct{})}
	x.cmd.Env = append(os.Environ(), "SHELL=/bin/sh", "TERM=xterm", "LANG=C.UTF-8")
	var err error
	if x.keys, err = pty.StartWithSize(x.cmd, &pty.Winsize{Rows: 33, Cols: 99}); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(x.ended)
		buf := make([]byte, 4096)
		for {
			n, err := x.keys.Read(buf)
			x.mu.Lock()
			x.shown.Write(buf[:n])
			x.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = x.cmd.Process.Kill() // where the test has not ended it
		_, _ = x.cmd.Process.Wait()
		_ = x.keys.Close()
		<-x.ended
	})
	return x
}

// keysTyped types something.
func (x *terminal) keysTyped(keys string) {
	x.t.Helper()
	if _, err := io.WriteString(x.keys, keys); err != nil {
		x.t.Fatal(err)
	}
}

// expect waits until something new is shown that fits the expression.
func (x *terminal) expect(expression string) string {
	x.t.Helper()
	re := regexp.MustCompile(expression)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		x.mu.Lock()
		rest := x.shown.Bytes()[x.read:]
		at := re.FindIndex(rest)
		if at != nil {
			found := string(rest[at[0]:at[1]])
			x.read += at[1]
			x.mu.Unlock()
			return found
		}
		x.mu.Unlock()
		if time.Now().After(end) {
			x.t.Fatalf("%q is not shown; the last is %q", expression, rest[max(0, len(rest)-500):])
		}
	}
}

// exits waits for the program's end.
func (x *terminal) exits(want int) {
	x.t.Helper()
	state, err := x.cmd.Process.Wait()
	if err != nil {
		x.t.Fatal(err)
	}
	if got := state.ExitCode(); got != want {
		x.t.Errorf("the exit code is %d (%s), want %d; shown: %q", got, state, want, x.last())
	}
}

// last is the end of what is shown.
func (x *terminal) last() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	all := x.shown.Bytes()
	return string(all[max(0, len(all)-500):])
}

// labRuns starts a lab on a terminal, out of the way of others of this user,
// and waits until it can be entered.
func labRuns(t *testing.T) *terminal {
	t.Helper()
	if !canBuildLabs(t, "nft") {
		t.Skip("there are no labs here")
	}
	dir, err := os.MkdirTemp("", "pw") // short: the path of a socket has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("TMPDIR", dir)
	return anotherLab(t)
}

func anotherLab(t *testing.T) *terminal {
	t.Helper()
	x := onTerminal(t, "run", "publish-port", "--iptables", "nft")
	x.expect("Where will it end?") // the lab is there, traced, and in its first step
	return x
}

// in runs packetwalk without a terminal.
func in(t *testing.T, stdin io.Reader, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command("packetwalk", args...)
	var out, complaints bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &complaints
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), complaints.String(), cmd.ProcessState.ExitCode()
}

func TestExec(t *testing.T) {
	labRuns(t)
	for _, test := range []struct {
		args           []string
		stdin          string
		stdout, stderr string // expressions
		code           int
	}{
		{[]string{"exec", "host", "--", "sh", "-c", "cat; echo bad >&2; exit 3"}, "good", "^good$", "^bad\n$", 3},
		{[]string{"exec", "host", "sh", "-c", "kill -9 $$"}, "", "^$", "^$", 128 + 9},
		{[]string{"exec", "c1", "--", "sh", "-c", `printf "%s|" "$@" | od -An -c`, "sh", "a b", "--", "\xff"}, "", `^ +a +b +\| +- +- +\| +377 +\|\n$`, "^$", 0},
		{[]string{"exec", "c1", "--", "no-such-program"}, "", "^$", "no-such-program: there is no such program", 127},
		{[]string{"exec", "c1", "--", "/etc"}, "", "^$", "cannot be run", 126},
		{[]string{"exec", "nowhere", "--", "true"}, "", "^$", `no node "nowhere" in the lab; there are: client, host, c1`, 2},
		{[]string{"exec", "--lab", "other", "host", "--", "true"}, "", "^$", `no running lab is called "other"; there are: [0-9]+ \(publish-port\)`, 2},
		{[]string{"exec", "--lab", "publish-port", "host", "--", "iptables", "-t", "nat", "-S", "DOCKER"}, "", "^-N DOCKER\n-A DOCKER -i docker0 -j RETURN\n-A DOCKER .*DNAT.*\n$", "^$", 0},
		// A program that SIGPIPE cannot end would complain.
		{[]string{"exec", "host", "--", "sh", "-c", "yes | head -n 1"}, "", "^y\n$", "^$", 0},
		{[]string{"shell"}, "echo $0 $PACKETWALK_NODE; exit 5", "sh host\n$", "^$", 5},
	} {
		out, complaints, code := in(t, strings.NewReader(test.stdin), test.args...)
		if code != test.code || !regexp.MustCompile(test.stdout).MatchString(out) || !regexp.MustCompile(test.stderr).MatchString(complaints) {
			t.Errorf("%q: exit code %d, %q, %q\nwant %d, %q, %q", test.args, code, out, complaints, test.code, test.stdout, test.stderr)
		}
	}
}

// TestExecSignal sees that a signal without a terminal is the program's.
func TestExecSignal(t *testing.T) {
	labRuns(t)
	cmd := exec.Command("packetwalk", "exec", "host", "--", "sh", "-c", "trap 'echo caught; exit 7' TERM; echo ready; while :; do sleep 0.05; done")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(out, buf); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(out)
	_ = cmd.Wait() // the exit code says it
	if err != nil || string(rest) != "caught\n" || cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("%q, %v, %s", rest, err, cmd.ProcessState)
	}
}

// TestShell is a session at a terminal.
func TestShell(t *testing.T) {
	labRuns(t)
	x := onTerminal(t, "shell", "c1")
	x.expect("c1# $")
	x.keysTyped("stty size; tty\r")
	x.expect("33 99\r\n/dev/pts/[0-9]+\r\n")
	if err := pty.Setsize(x.keys, &pty.Winsize{Rows: 44, Cols: 111}); err != nil {
		t.Fatal(err)
	}
	x.keysTyped("while [ \"$(stty size)\" != '44 111' ]; do :; done; echo wi''der\r")
	x.expect("wider")
	x.expect("c1# $")
	// Ctrl-C is the program's, and neither the shell's nor the client's.
	x.keysTyped("sh -c 'echo wai\"\"ting; exec sleep 1000'; echo code $?\r")
	x.expect("waiting")
	x.keysTyped("\x03")
	x.expect("c1# $")
	x.keysTyped("sh -c 'echo wai\"\"ting; exec sleep 1000'\r")
	x.expect("waiting")
	x.keysTyped("\x1a") // Ctrl-Z
	x.expect("Stopped")
	x.expect("c1# $")
	x.keysTyped("kill -9 %1; ip -o -4 addr show eth0\r")
	x.expect("172.17.0.2/16")
	x.keysTyped("exit 42\r")
	x.exits(42)
}

// TestTerminalOutput sees that nothing of a program's last words is lost.
func TestTerminalOutput(t *testing.T) {
	labRuns(t)
	for range 5 {
		x := onTerminal(t, "exec", "host", "--", "sh", "-c", "sleep 1000 & seq 1 20000; echo the last")
		x.exits(0)
		x.expect("\r\n20000\r\nthe last\r\n")
	}
}

// marked is a program that can be told from others by its argument, a number of
// seconds.
func marked() string { return fmt.Sprintf("sleep 99%07d", rand.IntN(10_000_000)) }

// count counts the processes of the machine with this command line.
func count(t *testing.T, command string) (n int) {
	t.Helper()
	want := strings.ReplaceAll(command, " ", "\x00") + "\x00"
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if data, err := os.ReadFile(path); err == nil && string(data) == want {
			n++
		}
	}
	return n
}

func awaitCount(t *testing.T, command string, want int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); count(t, command) != want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d processes are %q, want %d", count(t, command), command, want)
		}
	}
}

// namespaces are those of a process that a lab makes, as namespaces(7) names them.
func namespaces(t *testing.T, pid int) (all []string) {
	t.Helper()
	for _, kind := range []string{"net", "mnt", "pid"} {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, link)
	}
	return all
}

// inhabitants counts processes and mounts that hold one of the namespaces.
func inhabitants(t *testing.T, spaces []string) (n int) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/ns/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if space, err := os.Readlink(l); err == nil && slices.Contains(spaces, space) {
			n++
		}
	}
	return n
}

// pidOf finds the process with this command line.
func pidOf(t *testing.T, command string) int {
	t.Helper()
	want := strings.ReplaceAll(command, " ", "\x00") + "\x00"
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range paths {
		if data, err := os.ReadFile(path); err == nil && string(data) == want {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatalf("there is no process %q", command)
	return 0
}

// parentOf is the parent of a process (proc_pid_status(5)).
func parentOf(t *testing.T, pid int) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`PPid:\t([0-9]+)`).FindSubmatch(data)
	if found == nil {
		t.Fatalf("process %d has no parent", pid)
	}
	parent, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return parent
}

// TestKilled kills one of those who take part in a session, and wants to see
// that no process is left of it, and no namespace where the lab has gone too.
func TestKilled(t *testing.T) {
	for _, who := range []string{"shell", "client", "TUI", "lab"} {
		t.Run(who, func(t *testing.T) {
			outer := labRuns(t)
			x := onTerminal(t, "shell", "c1")
			x.expect("c1# $")
			// One waits in front; one is in the background and deaf to hanging up.
			front, back := marked(), marked()
			x.keysTyped("nohup " + back + " >/dev/null 2>&1 & " + front + "\r")
			awaitCount(t, front, 1)
			awaitCount(t, back, 1)
			shell := parentOf(t, pidOf(t, front))
			inner := parentOf(t, shell)
			spaces := append(namespaces(t, shell), namespaces(t, inner)...)
			victim := map[string]int{"shell": shell, "client": x.cmd.Process.Pid, "TUI": inner, "lab": outer.cmd.Process.Pid}[who]
			if err := unix.Kill(victim, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			awaitCount(t, front, 0)
			awaitCount(t, back, 0)
			switch who {
			case "shell":
				x.exits(128 + 9)
			case "TUI", "lab":
				x.exits(exitLost)
				x.expect("the lab has ended")
				_, _ = outer.cmd.Process.Wait()
				for end := time.Now().Add(20 * time.Second); inhabitants(t, spaces) > 0; time.Sleep(10 * time.Millisecond) {
					if time.Now().After(end) {
						t.Fatalf("%d hold on to the lab's namespaces", inhabitants(t, spaces))
					}
				}
				// What a killed lab leaves is a socket, which the next look removes.
				_, complaints, code := in(t, nil, "exec", "host", "--", "true")
				if code != exitFailed || !strings.Contains(complaints, "no lab of this user is running") {
					t.Errorf("exit code %d, %s", code, complaints)
				}
				if left, _ := filepath.Glob(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "packetwalk", "*")); len(left) > 0 {
					t.Errorf("there is still %q", left)
				}
				return
			}
			// The lab itself goes on.
			if out, complaints, code := in(t, nil, "exec", "host", "--", "echo", "here"); code != 0 || out != "here\n" {
				t.Errorf("exit code %d, %q, %q", code, out, complaints)
			}
		})
	}
}

// TestLabEnds sees that the end of the lab ends the shell, and says so.
func TestLabEnds(t *testing.T) {
	outer := labRuns(t)
	x := onTerminal(t, "shell")
	x.expect("host# $")
	front := marked()
	x.keysTyped(front + "\r")
	awaitCount(t, front, 1)
	outer.keysTyped("q")
	outer.exits(0)
	x.exits(exitLost)
	x.expect("packetwalk: the lab has ended")
	awaitCount(t, front, 0)
	if left, _ := filepath.Glob(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "packetwalk", "*")); len(left) > 0 {
		t.Errorf("there is still %q", left)
	}
}

// TestSeveralLabs has to choose.
func TestSeveralLabs(t *testing.T) {
	first := labRuns(t)
	anotherLab(t)
	_, complaints, code := in(t, nil, "exec", "host", "--", "true")
	pid := strconv.Itoa(first.cmd.Process.Pid)
	if code != exitUsage || !strings.Contains(complaints, "choose one with --lab: ") || !strings.Contains(complaints, pid+" (publish-port)") {
		t.Errorf("exit code %d, %s", code, complaints)
	}
	if out, complaints, code := in(t, nil, "exec", "--lab", pid, "host", "--", "echo", "here"); code != 0 || out != "here\n" {
		t.Errorf("exit code %d, %q, %q", code, out, complaints)
	}
}

// TestWhyKilled kills a question that is asked in a running lab, and wants to
// see that its probes go, and those of the lab's own trace stay.
func TestWhyKilled(t *testing.T) {
	for _, who := range []string{"client", "process in the lab"} {
		t.Run(who, func(t *testing.T) {
			labRuns(t)
			probes := func() int {
				out, complaints, code := in(t, nil, "exec", "host", "--", iptablesSave(t))
				if code != 0 {
					t.Fatalf("exit code %d, %s", code, complaints)
				}
				return strings.Count(out, "--nflog-prefix")
			}
			settles := func(what string, enough func(int) bool) {
				t.Helper()
				for end := time.Now().Add(30 * time.Second); !enough(probes()); time.Sleep(10 * time.Millisecond) {
					if time.Now().After(end) {
						t.Fatalf("%s: %d probes", what, probes())
					}
				}
			}
			own := probes()
			// Nobody has this address: the answer takes as long as it is looked for.
			x := onTerminal(t, "why", "192.168.23.77:80", "--from", "client")
			settles("while it is asked", func(n int) bool { return n > own })
			victim := x.cmd.Process.Pid
			if who != "client" {
				self, err := exec.LookPath("packetwalk")
				if err != nil {
					t.Fatal(err)
				}
				victim = pidOf(t, self+" why --inside --lang en 192.168.23.77:80 --from client")
			}
			if err := unix.Kill(victim, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			settles("after the kill", func(n int) bool { return n == own })
			if out, complaints, code := in(t, nil, "why", "192.168.23.149:80", "--from", "client"); code != 0 || !strings.HasPrefix(out, "reachable") {
				t.Errorf("asked again: exit code %d, %s%s", code, out, complaints)
			}
			settles("in the end", func(n int) bool { return n == own })
		})
	}
}

// iptablesSave is the system's own, which hides nothing, as the lab's does.
func iptablesSave(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("iptables-nft-save")
	if err != nil {
		t.Fatal(err)
	}
	return path
}
