package nflog_test

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/nflog"
)

// full asks for the long run of the tests that kill tracers.
var full = flag.Bool("full", false, "kill tracers 50 times instead of 5")

// The test binary plays the tracer, and its guard, for the tests that kill them.
const (
	roleEnv     = "PACKETWALK_TEST_ROLE" // "tracer" or "guard"
	runEnv      = "PACKETWALK_TEST_RUN"
	iptablesEnv = "PACKETWALK_TEST_IPTABLES"
)

func TestMain(m *testing.M) {
	backends := []nflog.Backend{{Family: trace.IPv4, Command: os.Getenv(iptablesEnv)}}
	switch os.Getenv(roleEnv) {
	case "tracer":
		os.Exit(traceUntilKilled(backends))
	case "guard":
		if err := nflog.Guard(context.Background(), os.Stdin, os.Getenv(runEnv), backends); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	labtest.Main(m)
}

// traceUntilKilled attaches a watching tracer with a guard, says so, and waits.
func traceUntilKilled(backends []nflog.Backend) int {
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_, err = nflog.Attach(context.Background(),
		nflog.Target{Node: "host", Namespace: nflog.Here{}, Backends: backends, Tables: trace.Tables()},
		nflog.Options{
			Guard: func(run string, _ []nflog.Backend) []string {
				return []string{"/usr/bin/env", roleEnv + "=guard", runEnv + "=" + run, self}
			},
			Report: func(err error) { fmt.Fprintln(os.Stderr, err) },
		}, func(trace.Event) {})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("attached")
	select {}
}

// tracerProcess is a tracer in a process of its own, in the node.
type tracerProcess struct {
	cmd      *exec.Cmd
	attached chan bool // closed when it has attached or ended
}

func startTracer(t *testing.T, n *lab.Namespace, c lab.Commands) *tracerProcess {
	t.Helper()
	p := &tracerProcess{attached: make(chan bool)}
	err := n.Do(func() error {
		p.cmd = exec.Command("/proc/self/exe")
		p.cmd.Env = append(os.Environ(), roleEnv+"=tracer", iptablesEnv+"="+c.Iptables)
		out, err := p.cmd.StdoutPipe()
		if err != nil {
			return err
		}
		go func() {
			_, _ = bufio.NewReader(out).ReadString('\n') // it may be killed before it has said so
			close(p.attached)
		}()
		return p.cmd.Start()
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// killGuard kills the processes that the tracer has started, but for the one
// that swaps legacy tables: it is there so that a kill does no harm.
func (p *tracerProcess) killGuard(t *testing.T) {
	t.Helper()
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", p.cmd.Process.Pid, p.cmd.Process.Pid))
	if err != nil {
		return
	}
	for _, child := range strings.Fields(string(children)) {
		name, err := os.ReadFile("/proc/" + child + "/cmdline")
		pid, pidErr := strconv.Atoi(child)
		if err == nil && pidErr == nil && !bytes.HasPrefix(name, []byte("packetwalk-swap")) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
		}
	}
}

func (p *tracerProcess) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = p.cmd.Wait() // the error says that it was killed
	<-p.attached
}

func rounds() int {
	if *full {
		return 50
	}
	return 5
}

// others adds and deletes rules until stop is closed, 250 of them at a time.
func others(t *testing.T, n *lab.Namespace, c lab.Commands, stop <-chan struct{}) <-chan struct{} {
	done := make(chan struct{})
	var add, remove strings.Builder
	add.WriteString("*filter\n")
	remove.WriteString("*filter\n")
	for i := range 250 {
		fmt.Fprintf(&add, "-A THEIRS -s 192.0.2.%d -j DROP\n", i)
		fmt.Fprintf(&remove, "-D THEIRS -s 192.0.2.%d -j DROP\n", i)
	}
	add.WriteString("COMMIT\n")
	remove.WriteString("COMMIT\n")
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			script := add.String()
			if i%2 == 1 {
				script = remove.String()
			}
			err := n.Do(func() error {
				cmd := exec.Command(c.Restore, "--noflush", "--wait")
				cmd.Stdin = strings.NewReader(script)
				out, err := cmd.CombinedOutput()
				if err != nil {
					return fmt.Errorf("%w: %s", err, out)
				}
				return nil
			})
			if err != nil {
				t.Errorf("changing rules beside the tracer: %v", err)
				return
			}
			select {
			case <-stop:
				if i%2 == 1 { // an even number of changes leaves what was there
					return
				}
			default:
			}
		}
	}()
	return done
}

// withTheirs is filtered with a chain that others change.
func withTheirs() lab.Topology {
	topology := filtered()
	topology.Nodes[0].Rules = append(topology.Nodes[0].Rules, "iptables -N THEIRS", "iptables -A INPUT -p icmp -j THEIRS",
		"iptables -t mangle -A OUTPUT -p udp --dport 5353", "iptables -A OUTPUT -p udp --dport 53")
	return topology
}

func TestGuardRemovesProbesOfAKilledTracer(t *testing.T) {
	eachVariant(t, withTheirs(), func(t *testing.T, l *lab.Lab, c lab.Commands) {
		host := l.Node("host")
		before := uncounted(save(t, host, c))
		check := counting(t, l, c)
		for range rounds() {
			stop := make(chan struct{})
			done := others(t, host, c, stop)
			p := startTracer(t, host, c)
			if rand.IntN(2) == 0 {
				<-p.attached
			}
			time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond) // any moment will do
			p.kill(t)
			close(stop)
			<-done
			await(t, "the guard to leave what was there before", func() bool { return uncounted(save(t, host, c)) == before })
		}
		check()
	})
}

func TestCleanRemovesWhatEvenTheGuardMissed(t *testing.T) {
	eachVariant(t, withTheirs(), func(t *testing.T, l *lab.Lab, c lab.Commands) {
		host := l.Node("host")
		backends, err := nflog.Installed(host)
		if err != nil {
			t.Fatal(err)
		}
		backends = append(backends, nflog.Backend{Family: trace.IPv4, Command: c.Iptables}) // an ordinary user's legacy tables
		before := uncounted(save(t, host, c))
		check := counting(t, l, c)
		alive := attach(t, l, c, func(trace.Event) {})
		for range rounds() {
			stop := make(chan struct{})
			done := others(t, host, c, stop)
			p := startTracer(t, host, c)
			if rand.IntN(2) == 0 {
				<-p.attached
			}
			time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
			p.killGuard(t)
			p.kill(t)
			close(stop)
			<-done
			// What was under way when it was killed ends by itself.
			await(t, "clean to find nothing more", func() bool {
				dead, err := nflog.Leftovers(t.Context(), host, backends)
				if err != nil {
					t.Fatal(err)
				}
				if err := nflog.Clean(t.Context(), host, backends, dead); err != nil {
					t.Fatal(err)
				}
				return len(dead) == 0
			})
		}
		if err := alive.Detach(t.Context()); err != nil {
			t.Fatal(err)
		}
		await(t, "what was there before", func() bool { return uncounted(save(t, host, c)) == before })
		check()
	})
}

// await asks until the answer is yes: what is waited for happens in another
// process, which has no way to tell.
func await(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !yes(); {
		if time.Now().After(end) {
			t.Fatalf("waited 10 s for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Rules that come, go and move while a tracer runs are followed.
func TestWatchFollowsChanges(t *testing.T) {
	eachVariant(t, filtered(), func(t *testing.T, l *lab.Lab, c lab.Commands) {
		host := l.Node("host")
		before := save(t, host, c)
		r := newRecorder()
		tr := attachWatching(t, l, c, r.receive)
		// Directly before the rule that the datagram matched so far, and behind
		// that rule's probe.
		command(t, host, c.Iptables, "-w", "-I", "INPUT", "1", "-p", "udp", "--dport", "53", "-m", "comment", "--comment", "new", "-j", "ACCEPT")
		await(t, "the new rule's probe", func() bool {
			if _, err := l.Send(t.Context(), "ask"); err != nil {
				t.Fatal(err)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, e := range r.events {
				if e.Probe.Kind == trace.Match && e.Probe.Rule == 1 && strings.Contains(e.Probe.Text, "new") {
					return true
				}
			}
			return false
		})
		// A restore that flushes takes our probes with it.
		err := host.Do(func() error {
			cmd := exec.Command(c.Restore, "--wait")
			cmd.Stdin = strings.NewReader(before)
			return cmd.Run()
		})
		if err != nil {
			t.Fatal(err)
		}
		await(t, "probes after a flush", func() bool { return strings.Count(save(t, host, c), "packetwalk:") > 20 })
		if err := tr.Detach(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, save(t, host, c)); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
	})
}

// Where nothing tracks connections, a careful trace must not begin to.
func TestCarefulLeavesConntrackOff(t *testing.T) {
	topology := lab.Topology{Nodes: []lab.Node{{Name: "host", Kind: lab.Host, Rules: []string{"iptables -A INPUT -p udp --dport 9 -j DROP"}}}}
	eachVariant(t, topology, func(t *testing.T, l *lab.Lab, c lab.Commands) {
		tr, err := nflog.Attach(t.Context(), nflog.Target{
			Node: "host", Namespace: l.Node("host"), Backends: []nflog.Backend{{Family: trace.IPv4, Command: c.Iptables}},
			Tables: trace.Tables(), Careful: true,
		}, nflog.Options{}, func(trace.Event) {})
		if err != nil {
			t.Fatal(err)
		}
		during := command(t, l.Node("host"), c.Save)
		if strings.Contains(during, "conntrack") || strings.Contains(during, "*nat") {
			t.Errorf("a careful trace asks about connections:\n%s", during)
		}
		for _, tables := range tr.Probed()[trace.IPv4] {
			if len(tables) != 4 {
				t.Errorf("probed tables %v, want all but nat", tables)
			}
		}
		if err := tr.Detach(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// While rules come at the end of a chain, and the probes there are replaced,
// every packet that enters the chain is still seen at its end.
func TestReplacedProbesStillCount(t *testing.T) {
	topology := talking()
	topology.Nodes[0].Rules = []string{"iptables -A INPUT -s 192.0.2.1 -j DROP"}
	eachVariant(t, topology, func(t *testing.T, l *lab.Lab, c lab.Commands) {
		host := l.Node("host")
		r := newRecorder()
		tr := attachWatching(t, l, c, r.receive)
		ask := func() {
			if _, err := l.Send(t.Context(), "ask"); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 4 {
			command(t, host, c.Iptables, "-w", "-A", "INPUT", "-s", "192.0.2.2", "-j", "DROP")
			ours := fmt.Sprintf("rule %d of INPUT to have its probe", i+2)
			await(t, ours, func() bool {
				ask()
				input, _ := tr.Rules(trace.IPv4).Chain(trace.Filter, "INPUT")
				return len(input.Rules) == i+2
			})
		}
		ask()
		if err := tr.Detach(t.Context()); err != nil {
			t.Fatal(err)
		}
		count := map[trace.ProbeKind]int{}
		for _, e := range r.events {
			if e.Probe.Table == trace.Filter && e.Probe.Chain == "INPUT" {
				count[e.Probe.Kind]++
			}
		}
		if count[trace.Enter] != count[trace.End] || tr.Lost() != 0 {
			t.Errorf("%d packets entered the chain, %d were seen at its end, %d events were lost", count[trace.Enter], count[trace.End], tr.Lost())
		}
	})
}
