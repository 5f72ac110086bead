package lab_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
)

// helperEnv makes TestHelper, in a test binary started by another test, do
// what it names, inside a sandbox within the test's own.
const helperEnv = "PACKETWALK_TEST_HELPER"

// helper is this test binary, to be started as a program that uses the sandbox.
// The sandbox that the tests run in is the machine that it must not touch.
func helper(t *testing.T, does string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestHelper$", "-test.v")
	cmd.Env = append(os.Environ(), helperEnv+"="+does)
	return cmd
}

// TestHelper is no test: it is what helper starts.
func TestHelper(t *testing.T) {
	switch does := os.Getenv(helperEnv); does {
	case "":
		return
	case "exit":
		os.Exit(7)
	case "wait":
		fmt.Println("ready")
		select {}
	case "count":
		countInterrupts()
	case "end":
		ended := make(chan os.Signal, 1)
		signal.Notify(ended, unix.SIGTERM)
		fmt.Println("ready")
		<-ended
		os.Exit(9)
	case "lab":
		if _, err := runLab(t); err != nil {
			t.Fatal(err)
		}
		os.Exit(0)
	case "hold":
		holdLab(t)
	case "read-only":
		l, err := readOnlyLab(t)
		if err == nil {
			_ = l.Close()
		}
		fmt.Printf("error: %v\n", err)
		os.Exit(0)
	case "limited":
		labtest.Need(t)
		t.Fatal("there is a sandbox in spite of the limit")
	default:
		t.Fatalf("a helper that does %q?", does)
	}
}

// countInterrupts says how many interrupts came before SIGTERM, by its exit code.
func countInterrupts() {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT)
	fmt.Println("ready")
	count := 0
	for s := range signals {
		if s == unix.SIGTERM {
			os.Exit(count)
		}
		count++
		fmt.Println("interrupted")
	}
}

// runLab builds a lab in all ways and uses it.
func runLab(t *testing.T) (*lab.Lab, error) {
	labtest.Need(t)
	l, err := lab.Build(t.Context(), published(), lab.Options{})
	if err != nil {
		return nil, err
	}
	_, err = l.Send(t.Context(), "request")
	return l, errors.Join(err, l.Check(t.Context()))
}

// holdLab runs a lab with a program in it until it is killed. Its standard
// input is the network namespace of the test, where it leaves a tell-tale: the
// other end of a link to a node, which goes when the node does.
func holdLab(t *testing.T) {
	l, err := runLab(t)
	if err != nil {
		t.Fatal(err)
	}
	err = l.Node("host").Do(func() error {
		veth := &netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: "held", TxQLen: -1}, PeerName: "telltale",
			PeerNamespace: netlink.NsFd(os.Stdin.Fd()),
		}
		return errors.Join(netlink.LinkAdd(veth), exec.Command("sleep", "1000").Start())
	})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("ready")
	select {}
}

// readOnlyLab builds a lab with a sysctl where /proc/sys cannot be written.
func readOnlyLab(t *testing.T) (*lab.Lab, error) {
	labtest.Need(t)
	for _, flags := range []uintptr{unix.MS_BIND, unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY} {
		if err := unix.Mount("/proc/sys", "/proc/sys", "", flags, ""); err != nil {
			return nil, err
		}
	}
	return lab.Build(t.Context(), published(), lab.Options{})
}

// start starts a helper and waits until it says that it is ready.
func start(t *testing.T, cmd *exec.Cmd) *bufio.Scanner {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	awaitLine(t, lines, "ready")
	return lines
}

// awaitLine reads what a helper prints until it prints a certain line.
func awaitLine(t *testing.T, lines *bufio.Scanner, want string) {
	t.Helper()
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == want {
			return
		}
	}
	t.Fatalf("the helper ended before it printed %q", want)
}

func TestReexec(t *testing.T) {
	labtest.NeedIptables(t, "")
	t.Run("exit code", func(t *testing.T) {
		wantExit(t, helper(t, "exit").Run(), 7)
	})
	t.Run("SIGTERM reaches the child", func(t *testing.T) {
		cmd := helper(t, "end")
		start(t, cmd)
		if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		wantExit(t, cmd.Wait(), 9)
	})
	t.Run("a killed child", func(t *testing.T) {
		cmd := helper(t, "wait")
		start(t, cmd)
		for pid := range childrenOf(t, cmd.Process.Pid) {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
		wantExit(t, cmd.Wait(), 128+int(unix.SIGKILL))
	})
}

// TestInterrupt sees that an interrupt arrives exactly once, whether the
// terminal sends it to the whole process group or somebody to the outer process.
func TestInterrupt(t *testing.T) {
	labtest.Need(t)
	t.Run("from the terminal", func(t *testing.T) {
		cmd := helper(t, "count")
		terminal := startOnTerminal(t, cmd)
		lines := bufio.NewScanner(terminal)
		awaitLine(t, lines, "ready")
		const interrupt = "\x03" // Ctrl-C
		if _, err := terminal.WriteString(interrupt); err != nil {
			t.Fatal(err)
		}
		// The terminal echoes the character in front of what follows.
		for lines.Scan() && !strings.HasSuffix(strings.TrimSpace(lines.Text()), "interrupted") {
		}
		endCount(t, cmd)
	})
	t.Run("from somebody", func(t *testing.T) {
		cmd := helper(t, "count")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // away from any terminal
		lines := start(t, cmd)
		if err := cmd.Process.Signal(unix.SIGINT); err != nil {
			t.Fatal(err)
		}
		awaitLine(t, lines, "interrupted")
		endCount(t, cmd)
	})
}

// startOnTerminal starts a program as the foreground of a terminal of its own,
// and gives the side of the terminal where the keyboard is (pts(4)).
func startOnTerminal(t *testing.T, cmd *exec.Cmd) *os.File {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		labtest.Skip(t, "there are no pseudoterminals: "+err.Error())
	}
	t.Cleanup(func() { _ = keyboard.Close() })
	fd := int(keyboard.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err := errors.Join(err, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)); err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return keyboard
}

// endCount ends a helper that counts interrupts and wants it to have seen one.
func endCount(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	wantExit(t, cmd.Wait(), 1)
}

// TestSuspend sees that the sandbox stops with the outer process and goes on with it.
func TestSuspend(t *testing.T) {
	labtest.Need(t)
	cmd := helper(t, "end")
	start(t, cmd)
	if err := cmd.Process.Signal(unix.SIGTSTP); err != nil {
		t.Fatal(err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(cmd.Process.Pid, &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("the outer process is not stopped: %v, %#x", err, status)
	}
	for _, s := range []syscall.Signal{unix.SIGCONT, unix.SIGTERM} {
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	wantExit(t, cmd.Wait(), 9)
}

func wantExit(t *testing.T, err error, want int) {
	t.Helper()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != want {
		t.Errorf("the program ended with %v, want exit code %d", err, want)
	}
}

// ownNetwork opens the network namespace of the test, for a helper's standard input.
func ownNetwork(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Open("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// linkEvents is a subscription to the links of the test's network namespace.
type linkEvents chan netlink.LinkUpdate

func subscribe(t *testing.T) linkEvents {
	t.Helper()
	events := make(linkEvents, 256)
	done := make(chan struct{})
	if err := netlink.LinkSubscribe(events, done); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(done)
		for range events { // its sender must not be left blocked
		}
	})
	return events
}

// awaitGone waits for the kernel to say that a link is gone.
func (e linkEvents) awaitGone(t *testing.T, name string) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case u := <-e:
			if u.Header.Type == unix.RTM_DELLINK && u.Attrs().Name == name {
				return
			}
		case <-timeout:
			t.Fatalf("link %s is still there", name)
		}
	}
}

// TestKilled sees that nothing survives SIGKILL of the outer process: neither
// the sandboxed process, nor programs in its nodes, nor the nodes themselves.
func TestKilled(t *testing.T) {
	labtest.NeedIptables(t, "")
	cmd := helper(t, "hold")
	cmd.Stdin = ownNetwork(t)
	links := subscribe(t)
	start(t, cmd)
	var family []int
	for pid := range childrenOf(t, cmd.Process.Pid) {
		family = append(family, pid)
		for grandchild := range childrenOf(t, pid) {
			family = append(family, grandchild)
		}
	}
	if len(family) != 2 {
		t.Fatalf("the sandbox and the program in it are processes %v", family)
	}
	var ends []int
	for _, pid := range family {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		ends = append(ends, fd)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	for i, fd := range ends {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10_000)
		if n != 1 {
			t.Errorf("process %d lives on (poll: %v)", family[i], err)
		}
	}
	links.awaitGone(t, "telltale")
}

// childrenOf lists the child processes of a process: field 4 of /proc/PID/stat
// is the parent (proc_pid_stat(5)).
func childrenOf(t *testing.T, parent int) map[int]bool {
	t.Helper()
	children := map[int]bool{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// The name in field 2 may hold anything, brackets included.
		_, rest, _ := bytes.Cut(data[bytes.LastIndexByte(data, ')'):], []byte(" "))
		fields := strings.Fields(string(rest))
		if len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			children[pid] = true
		}
	}
	return children
}

func TestReadOnlySysctls(t *testing.T) {
	labtest.NeedIptables(t, "")
	out, err := helper(t, "read-only").CombinedOutput()
	if want := "/proc/sys is mounted read-only"; err != nil || !strings.Contains(string(out), want) {
		t.Errorf("%v: %s\nwant %q in it", err, out, want)
	}
}

// TestLimited starts a program in a user namespace whose limit forbids it to
// make network namespaces. It must name the limit.
func TestLimited(t *testing.T) {
	labtest.Need(t)
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c",
		`echo 0 >/proc/sys/user/max_net_namespaces && exec "$0" -test.run='^TestHelper$'`, os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"=limited", labtest.RequireEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if want := "namespaces are switched off (user.max_net_namespaces = 0)"; err == nil || !strings.Contains(string(out), want) {
		t.Errorf("%v: %s\nwant %q in it", err, out, want)
	}
}

func TestEnterOutside(t *testing.T) {
	t.Setenv("PACKETWALK_SANDBOX", "")
	if err := lab.Enter(); err == nil {
		t.Error("Enter outside the sandbox succeeded")
	}
}

func TestDoctor(t *testing.T) {
	labtest.NeedIptables(t, "")
	names := map[string]bool{}
	for _, c := range lab.Doctor(t.Context()) {
		t.Logf("%-28s %-8s %s", c.Name, c.Status, c.Detail)
		names[c.Name] = true
		if c.Status == lab.Missing {
			t.Errorf("%s is missing, yet labs work here: %s", c.Name, c.Detail)
		}
	}
	for _, want := range []string{"kernel", "user namespaces", "sandbox", "iptables", "veth", "bridge", "nfnetlink_log", "sysctls"} {
		if !names[want] {
			t.Errorf("%s was not checked", want)
		}
	}
}
