package xtables_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/ruleset"
	"packetwalk/trace/xtables"
)

// editEnv makes the test binary edit the filter table, on and on.
const editEnv = "PACKETWALK_TEST_EDIT"

func TestMain(m *testing.M) {
	if os.Getenv(editEnv) == "" {
		labtest.Main(m)
	}
	for {
		for _, change := range []func(*xtables.Table) error{surround, strip} {
			if err := edit(context.Background(), change); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			fmt.Println("edited")
		}
	}
}

// node is a network namespace whose legacy tables hold rules.
func node(t *testing.T, rules string) *lab.Namespace {
	t.Helper()
	labtest.NeedIptables(t, "legacy")
	n := labtest.Build(t, lab.Topology{Nodes: []lab.Node{{Name: "host", Kind: lab.Host}}}, "legacy").Node("host")
	do(t, n, func() error { return feed(rules, "iptables-legacy-restore", "-c", "-w") })
	return n
}

func do(t *testing.T, n *lab.Namespace, f func() error) {
	t.Helper()
	if err := n.Do(f); err != nil {
		t.Fatal(err)
	}
}

func feed(input, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// listing is the filter table of the calling thread's network namespace with all counters.
func listing() (string, error) {
	out, err := exec.Command("iptables-legacy-save", "-c", "-t", "filter").Output()
	var lines []string
	for _, line := range strings.Split(string(out), "\n") {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n"), err
}

func readListing(t *testing.T, n *lab.Namespace) (text string) {
	t.Helper()
	do(t, n, func() (err error) {
		text, err = listing()
		return err
	})
	return text
}

// edit changes the filter table of the calling thread's network namespace.
func edit(ctx context.Context, change func(*xtables.Table) error) error {
	lock, err := xtables.TakeLock(ctx)
	if err != nil {
		return err
	}
	defer lock.Release()
	tables, err := lock.Open(trace.IPv4)
	if err != nil {
		return err
	}
	defer tables.Close()
	table, err := tables.Read(trace.Filter)
	if err != nil {
		return err
	}
	if err := change(table); err != nil {
		return err
	}
	return tables.Replace([]*xtables.Table{table})
}

// surround puts rules that log around every rule.
func surround(table *xtables.Table) error {
	for i := range table.Chains {
		c := &table.Chains[i]
		log, err := table.NewLog(xtables.Log{Group: 5, Prefix: "surround"})
		if err != nil {
			return err
		}
		rules := []xtables.Rule{log}
		for _, r := range c.Rules {
			rules = append(rules, r, log)
		}
		c.Rules = rules
	}
	return nil
}

// strip takes them away.
func strip(table *xtables.Table) error {
	table.Delete(func(prefix string) bool { return prefix == "surround" })
	return nil
}

// chains are rules with everything that an edit has to move: jumps, gotos,
// rules without a target, returns, chains without rules, targets with data,
// policies, and counters in all of them.
const chains = `*filter
:INPUT DROP [123:45678]
:FORWARD ACCEPT [3:33]
:OUTPUT ACCEPT [99:9999]
:A - [0:0]
:B - [0:0]
:LAST - [0:0]
[1:11] -A INPUT -p tcp -m tcp --dport 1 -j A
[2:22] -A INPUT -p tcp -m tcp --dport 2 -g B
[3:33] -A INPUT -s 192.0.2.1/32
[4:44] -A INPUT -p tcp -m tcp --dport 3 -j LAST
[5:55] -A FORWARD -j A
[6:66] -A A -m conntrack --ctstate RELATED,ESTABLISHED -j B
[7:77] -A A -m limit --limit 5/sec -j LOG --log-prefix "a: "
[8:88] -A A -j RETURN
[9:99] -A B -m comment --comment "in B" -g LAST
[10:110] -A B -j REJECT --reject-with icmp-port-unreachable
COMMIT
`

func TestEditsMoveRulesAndKeepCounters(t *testing.T) {
	n := node(t, chains)
	do(t, n, func() error {
		before, err := listing()
		if err != nil {
			return err
		}
		if err := edit(t.Context(), func(*xtables.Table) error { return nil }); err != nil {
			return err
		}
		if same, err := listing(); err != nil || same != before {
			t.Errorf("replaced by itself (-before +after), %v:\n%s", err, cmp.Diff(before, same))
		}
		if err := edit(t.Context(), surround); err != nil {
			return err
		}
		during, err := listing()
		if err != nil {
			return err
		}
		const log = `-j NFLOG --nflog-prefix surround --nflog-group 5`
		if got := strings.Count(during, log); got != 10+6 {
			t.Errorf("%d rules log:\n%s", got, during)
		}
		var others []string
		for _, line := range strings.Split(during, "\n") {
			if !strings.HasSuffix(line, log) {
				others = append(others, line)
			}
		}
		if diff := cmp.Diff(before, strings.Join(others, "\n")); diff != "" {
			t.Errorf("the other rules, between ours (-before +during):\n%s", diff)
		}
		if err := edit(t.Context(), strip); err != nil {
			return err
		}
		after, err := listing()
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
		return err
	})
}

// While packets pass, edits lose none of them: neither from rules nor from policies.
func TestEditsCountEveryPacket(t *testing.T) {
	n := node(t, "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:USER - [0:0]\n"+
		"-A INPUT -p udp -m udp --dport 9 -j USER\n-A OUTPUT -p udp -m udp --dport 9\n-A USER -p udp\nCOMMIT\n")
	var sent atomic.Uint64
	stop, sending := make(chan struct{}), make(chan error, 1)
	go func() {
		sending <- n.Do(func() error {
			receiver, err := net.ListenPacket("udp4", "127.0.0.1:9") // so that nothing is refused
			if err != nil {
				return err
			}
			defer receiver.Close()
			conn, err := net.Dial("udp4", "127.0.0.1:9")
			if err != nil {
				return err
			}
			defer conn.Close()
			for {
				select {
				case <-stop:
					return nil
				default:
				}
				if _, err := conn.Write([]byte("x")); err != nil {
					return err
				}
				sent.Add(1)
			}
		})
	}()
	do(t, n, func() error {
		defer close(stop)
		for range 20 {
			if err := edit(t.Context(), surround); err != nil {
				return err
			}
			if err := edit(t.Context(), strip); err != nil {
				return err
			}
		}
		return nil
	})
	if err := <-sending; err != nil {
		t.Fatal(err)
	}
	rules, err := ruleset.Parse(readListing(t, n))
	if err != nil {
		t.Fatal(err)
	}
	packets := map[string]uint64{}
	for _, name := range []string{"INPUT", "OUTPUT", "USER"} {
		c, _ := rules.Chain(trace.Filter, name)
		packets[name+" rule"] = c.Rules[0].Packets
		if c.Base() {
			packets[name+" policy"] = c.Packets
		}
	}
	want := sent.Load()
	for what, got := range packets {
		if got != want {
			t.Errorf("%s counted %d of %d packets", what, got, want)
		}
	}
	t.Logf("%d packets", want)
}

// Whoever edits a table may be killed at any moment, and every counter stays.
func TestCountersSurviveAKill(t *testing.T) {
	var rules strings.Builder
	rules.WriteString("*filter\n:INPUT DROP [12:345]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [6:78]\n")
	for i := range 3000 { // so that it takes the kernel some milliseconds
		fmt.Fprintf(&rules, "[%d:%d] -A INPUT -s 192.0.2.%d/32 -p tcp -m tcp --dport %d -j ACCEPT\n", i+1, 10*i+10, i%256, i+1)
	}
	rules.WriteString("COMMIT\n")
	n := node(t, rules.String())
	want := readListing(t, n)
	for range 10 {
		do(t, n, func() error {
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), editEnv+"=1")
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				return err
			}
			if err := cmd.Start(); err != nil {
				return err
			}
			_, readErr := bufio.NewReader(out).ReadString('\n')
			time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond) // any moment will do
			err = cmd.Process.Kill()
			_ = cmd.Wait() // the error says that it was killed
			if err := errors.Join(readErr, err); err != nil {
				return err
			}
			return edit(t.Context(), strip)
		})
		if got := readListing(t, n); got != want {
			t.Fatalf("(-before +after):\n%s", cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")))
		}
	}
}

// A change by somebody who does not take the lock is noticed, and not undone.
func TestReplaceNoticesAChange(t *testing.T) {
	n := node(t, chains)
	do(t, n, func() error {
		err := edit(t.Context(), func(table *xtables.Table) error {
			cmd := exec.Command("iptables-legacy", "-A", "INPUT", "-s", "192.0.2.9", "-j", "DROP")
			cmd.Env = append(cmd.Environ(), "XTABLES_LOCKFILE="+filepath.Join(t.TempDir(), "another.lock"))
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			return surround(table)
		})
		if !errors.Is(err, xtables.ErrChanged) {
			t.Errorf("edit = %v", err)
		}
		text, err := listing()
		if !strings.Contains(text, "192.0.2.9") || strings.Contains(text, "surround") {
			t.Errorf("the table is now:\n%s", text)
		}
		return err
	})
}

func TestTakeLockWaits(t *testing.T) {
	t.Setenv("XTABLES_LOCKFILE", filepath.Join(t.TempDir(), "xtables.lock"))
	first, err := xtables.TakeLock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := xtables.TakeLock(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("TakeLock while somebody has it = %v", err)
	}
	tables, err := first.Open(trace.IPv4)
	if err != nil {
		t.Fatal(err)
	}
	tables.Close()
	first.Release()
	first.Release()
	if _, err := first.Open(trace.IPv4); !errors.Is(err, xtables.ErrUnsupported) {
		t.Errorf("Open without the lock = %v", err)
	}
	second, err := xtables.TakeLock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second.Release()
	t.Setenv("XTABLES_LOCKFILE", t.TempDir())
	if _, err := xtables.TakeLock(t.Context()); err == nil {
		t.Error("a directory was taken for the lock")
	}
}
