package lab_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"packetwalk/lab"
	"packetwalk/lab/control"
	"packetwalk/lab/labtest"
)

// pairOfNodes is a host and a container with a service, linked directly.
func pairOfNodes() lab.Topology {
	t := published()
	return lab.Topology{Nodes: []lab.Node{t.Nodes[0], {Name: "host", Kind: lab.Host}}, Links: t.Links[:1]}
}

func TestRun(t *testing.T) {
	labtest.Need(t)
	l := labtest.Build(t, pairOfNodes(), "")
	for _, test := range []struct {
		node, command, output string
		exit                  int
	}{
		{"host", "echo one; echo two >&2; echo three", "one\ntwo\nthree\n", 0},
		{"host", "exit 3", "", 3},
		{"host", "kill -TERM $$", "", 128 + 15},
		{"host", "cat", "", 0}, // there is no input
		{"client", "echo $PACKETWALK_NODE ${PATH%%:*}", "client /run/packetwalk/bin\n", 0},
		{"client", "cd /sys 2>/dev/null; grep -c ens33 /proc/net/dev", "0\n", 1},
		{"host", "grep -c ens33 /proc/net/dev", "1\n", 0},
		{"host", "ip netns exec client grep -c eth0 /proc/net/dev", "1\n", 0},
	} {
		r, err := l.Run(t.Context(), test.node, test.command)
		if err != nil || string(r.Output) != test.output || r.Exit != test.exit || r.Omitted != 0 {
			t.Errorf("%s: %s: %q, exit %d, %d omitted, %v; want %q, exit %d",
				test.node, test.command, r.Output, r.Exit, r.Omitted, err, test.output, test.exit)
		}
	}
	var fault *control.Error
	if _, err := l.Run(t.Context(), "nobody", "true"); !errors.As(err, &fault) || fault.Fault != control.NoNode || !strings.Contains(err.Error(), "client, host") {
		t.Errorf("a node that is not there: %v", err)
	}
}

func TestRunCuts(t *testing.T) {
	labtest.Need(t)
	l := labtest.Build(t, pairOfNodes(), "")
	const size = 300_000
	r, err := l.Run(t.Context(), "host", fmt.Sprintf("head -c %d /dev/zero", size))
	if err != nil || len(r.Output) != lab.MaxOutput || r.Omitted != size-lab.MaxOutput {
		t.Errorf("%d bytes and %d omitted of %d: %v", len(r.Output), r.Omitted, size, err)
	}
}

// TestRunEnds sees that the end of the context ends the shell and what it has
// started, and that what came until then is kept.
func TestRunEnds(t *testing.T) {
	labtest.Need(t)
	l := labtest.Build(t, pairOfNodes(), "")
	ctx, cancel := context.WithCancel(t.Context())
	pids := filepath.Join(t.TempDir(), "pids")
	go func() {
		await(t, "the programs", func() bool { data, _ := os.ReadFile(pids); return strings.Count(string(data), "\n") == 2 })
		cancel()
	}()
	command := "trap '' HUP TERM; sleep 1000 & echo $! >>" + pids + "; echo before; sh -c 'echo $$ >>" + pids + "; sleep 1000'"
	r, err := l.Run(ctx, "host", command)
	if !errors.Is(err, context.Canceled) || string(r.Output) != "before\n" || r.Exit != 128+9 {
		t.Errorf("%q, exit %d, %v", r.Output, r.Exit, err)
	}
	data, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	for pid := range strings.FieldsSeq(string(data)) {
		awaitEnd(t, pid)
	}
}

// TestRunBackground sees that a program in the background goes on, even one that
// prints, and that it goes with the lab.
func TestRunBackground(t *testing.T) {
	labtest.Need(t)
	l, err := lab.Build(t.Context(), pairOfNodes(), lab.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.Run(t.Context(), "host", "while echo again; do sleep 0.01; done & echo $!; setsid sleep 1000 >/dev/null & echo $!; unshare -n sleep 1000 & echo $!")
	if err != nil {
		t.Fatal(err)
	}
	var pids []string
	for word := range strings.FieldsSeq(string(r.Output)) {
		if _, err := strconv.Atoi(word); err == nil {
			pids = append(pids, word)
		}
	}
	if len(pids) != 3 {
		t.Fatalf("the programs are %q", r.Output)
	}
	time.Sleep(100 * time.Millisecond) // for the loop to print on into nothing
	for _, pid := range pids {
		if !lives(pid) {
			t.Errorf("process %s has not gone on", pid)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids[:2] {
		awaitEnd(t, pid)
	}
	// The last one has left the lab for a network of its own: it ends with the sandbox.
	if pid, err := strconv.Atoi(pids[2]); err == nil {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	if _, err := l.Run(t.Context(), "host", "true"); err == nil {
		t.Error("a program ran in a closed lab")
	}
}

// TestReaper leaves orphans behind while others wait for exit codes.
func TestReaper(t *testing.T) {
	labtest.Need(t)
	l := labtest.Build(t, pairOfNodes(), "")
	r, err := l.Run(t.Context(), "host", "for i in 1 2 3 4 5 6 7 8 9; do (sleep 0.05 & echo $!); done")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		want := i % 8
		cmd := exec.Command("sh", "-c", "exit "+strconv.Itoa(want))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if i%20 == 0 {
			time.Sleep(120 * time.Millisecond) // one that has ended waits to be waited for
		}
		_ = cmd.Wait()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != want {
			t.Fatalf("the exit code of run %d is lost: %v, want %d", i, cmd.ProcessState, want)
		}
	}
	orphans := strings.Fields(string(r.Output))
	if len(orphans) != 9 {
		t.Fatalf("the orphans are %q", r.Output)
	}
	for _, pid := range orphans {
		await(t, "orphan "+pid+" to be taken in", func() bool { _, err := os.Stat("/proc/" + pid); return err != nil })
	}
}

// await waits until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("waited in vain for %s", what)
			return
		}
	}
}

// lives says whether a process is there and no zombie.
func lives(pid string) bool {
	data, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && !strings.Contains(string(data), ") Z ")
}

func awaitEnd(t *testing.T, pid string) {
	t.Helper()
	await(t, "process "+pid+" to end", func() bool { return !lives(pid) })
}
