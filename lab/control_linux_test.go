package lab_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"packetwalk/lab"
	"packetwalk/lab/control"
	"packetwalk/lab/labtest"
)

// notes are probes that only remember what was asked of them.
type notes struct {
	mu  sync.Mutex
	all []string
}

func (n *notes) note(words ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, strings.Join(words, " "))
}

func (n *notes) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.all
	n.all = nil
	return all
}

func (n *notes) Pause(_ context.Context, node string) error  { n.note("pause", node); return nil }
func (n *notes) Resume(_ context.Context, node string) error { n.note("resume", node); return nil }

// controlled is a lab that is controlled for as long as the test lasts.
func controlled(t *testing.T, topology lab.Topology, variant string) (*lab.Lab, control.Lab, *notes) {
	t.Helper()
	l := labtest.Build(t, topology, variant)
	n := &notes{}
	c, err := l.Control(lab.ControlOptions{Scenario: "test", Probes: n, Changed: func(node string) { n.note("changed", node) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	client, err := c.Client()
	if err != nil {
		t.Fatal(err)
	}
	return l, client, n
}

// runs runs a command line in a node and wants it to succeed.
func runs(t *testing.T, l *lab.Lab, node, command string) string {
	t.Helper()
	r, err := l.Run(t.Context(), node, command)
	if err != nil || r.Exit != 0 {
		t.Errorf("%s: %s: exit %d, %v: %s", node, command, r.Exit, err, r.Output)
	}
	return string(r.Output)
}

func TestDescription(t *testing.T) {
	labtest.Need(t)
	_, client, _ := controlled(t, pairOfNodes(), "")
	want := []control.Node{{Name: "client", Kind: "machine"}, {Name: "host", Kind: "host"}}
	if client.Scenario != "test" || !slices.Equal(client.Nodes, want) {
		t.Errorf("the lab calls itself %+v", client.Description)
	}
}

// TestWrapper holds the wrappers to being like what they stand for.
func TestWrapper(t *testing.T) {
	for _, variant := range []string{"nft", "legacy"} {
		t.Run(variant, func(t *testing.T) {
			labtest.NeedIptables(t, variant)
			l, _, n := controlled(t, pairOfNodes(), variant)
			real, err := exec.LookPath("iptables-" + variant)
			if err != nil {
				t.Fatal(err)
			}
			runs(t, l, "host", "sudo iptables -A FORWARD -j DROP")
			want := []string{"pause host", "resume host", "changed host"}
			var got []string
			// The last is told when the program has its answer already.
			await(t, "the change to be told", func() bool { got = append(got, n.take()...); return len(got) >= len(want) })
			if !slices.Equal(got, want) {
				t.Errorf("the lab heard %q, want %q", got, want)
			}
			if got, want := runs(t, l, "host", "iptables -S"), runs(t, l, "host", real+" -S"); got != want || !strings.Contains(got, "DROP") {
				t.Errorf("iptables -S says %q, and the system's %q", got, want)
			}
			n.take()
			// The node is where the program runs, not where its shell does.
			runs(t, l, "host", "ip netns exec client iptables -S")
			if got := n.take(); !slices.Contains(got, "pause client") || slices.Contains(got, "pause host") {
				t.Errorf("the lab heard %q", got)
			}
			runs(t, l, "host", "printf '*filter\\n:MINE - [0:0]\\nCOMMIT\\n' | iptables-restore --noflush; iptables-save | grep -q :MINE")
			wrong, err := l.Run(t.Context(), "host", "iptables -A NOWHERE -j DROP")
			same, sameErr := l.Run(t.Context(), "host", real+" -A NOWHERE -j DROP")
			if err != nil || sameErr != nil || wrong.Exit == 0 || wrong.Exit != same.Exit || !bytes.Equal(wrong.Output, same.Output) {
				t.Errorf("a wrong call: exit %d, %q; the system's: exit %d, %q (%v, %v)", wrong.Exit, wrong.Output, same.Exit, same.Output, err, sameErr)
			}
		})
	}
}

// TestWrapperSignals puts a program in the place of nft that can be killed.
func TestWrapperSignals(t *testing.T) {
	labtest.Need(t)
	l, _, n := controlled(t, pairOfNodes(), "")
	dir := t.TempDir()
	script := "#!/bin/sh\necho $$ >" + dir + "/pid\nexec sleep 1000\n"
	if err := os.WriteFile(filepath.Join(dir, "nft"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	command := "PATH=${PATH%%:*}:" + dir + ":$PATH; nft & wait=$!; while ! [ -s " + dir + "/pid ]; do sleep 0.01; done; "
	for _, test := range []struct {
		name, kill string
		exit       int
	}{
		{"SIGTERM to the wrapper", "kill -TERM $wait", 128 + 15},
		{"SIGKILL to the program", "kill -KILL $(cat " + dir + "/pid)", 128 + 9},
		{"SIGKILL to the wrapper", "kill -KILL $wait", 128 + 9},
	} {
		_ = os.Remove(dir + "/pid")
		r, err := l.Run(t.Context(), "host", command+test.kill+"; wait $wait")
		if err != nil || r.Exit != test.exit {
			t.Errorf("%s: exit %d, %v, want %d: %s", test.name, r.Exit, err, test.exit, r.Output)
		}
		pid, err := os.ReadFile(dir + "/pid")
		if err != nil {
			t.Fatal(err)
		}
		awaitEnd(t, strings.TrimSpace(string(pid)))
		await(t, "the probes to come back", func() bool {
			n.mu.Lock()
			defer n.mu.Unlock()
			return slices.Contains(n.all, "resume host")
		})
		n.take()
	}
}

// TestWithoutControl sees that the wrappers work where no lab answers.
func TestWithoutControl(t *testing.T) {
	labtest.NeedIptables(t, "")
	l := labtest.Build(t, pairOfNodes(), "")
	c, err := l.Control(lab.ControlOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if out := runs(t, l, "host", "command -v iptables; iptables -S"); !strings.HasPrefix(out, lab.ToolDir) || !strings.Contains(out, "-P FORWARD ACCEPT") {
		t.Errorf("iptables -S says %q", out)
	}
}

func TestServe(t *testing.T) {
	labtest.Need(t)
	topology := pairOfNodes()
	topology.Services = []lab.Service{{Node: "host", Protocol: lab.HTTP, Listen: published().Clients[0].To, Reply: "before\n"}}
	l, _, n := controlled(t, topology, "")
	get := "/run/packetwalk/fallback/curl -sS -m 5 "
	if got := runs(t, l, "client", get+"192.168.23.149"); got != "before\n" {
		t.Errorf("the service says %q", got)
	}
	runs(t, l, "host", "serve http 127.0.0.1:80")
	await(t, "the service to be told of", func() bool { return slices.Contains(n.take(), "changed host") })
	if r, err := l.Run(t.Context(), "client", get+"192.168.23.149"); err != nil || r.Exit != 7 {
		t.Errorf("a service on 127.0.0.1 is asked from outside: exit %d, %v: %s", r.Exit, err, r.Output)
	}
	if got := runs(t, l, "host", get+"127.0.0.1"); got != "before\n" {
		t.Errorf("the service says %q", got)
	}
	runs(t, l, "host", "serve --reply after 80 && serve udp 9 && serve tcp '[::]:7'")
	if got := runs(t, l, "client", get+"http://192.168.23.149/any"); got != "after\n" {
		t.Errorf("the service says %q", got)
	}
	// One that cannot be started leaves the old one.
	if r, err := l.Run(t.Context(), "host", "serve http 192.0.2.1:80"); err != nil || r.Exit != 1 || !strings.Contains(string(r.Output), "192.0.2.1:80") {
		t.Errorf("an address that is not the node's: exit %d, %v: %s", r.Exit, err, r.Output)
	}
	if got := runs(t, l, "client", get+"192.168.23.149"); got != "after\n" {
		t.Errorf("the service says %q", got)
	}
	if got := l.Services(); len(got) != 3 {
		t.Errorf("the services are %v", got)
	}
	for _, wrong := range []string{"serve", "serve sctp 80", "serve 0", "serve http name:80", "serve -x 80"} {
		if r, err := l.Run(t.Context(), "host", wrong); err != nil || r.Exit != 2 || !strings.Contains(string(r.Output), "usage: serve") {
			t.Errorf("%s: exit %d, %v: %s", wrong, r.Exit, err, r.Output)
		}
	}
	if err := l.StopService(lab.Service{Node: "host", Protocol: lab.HTTP, Listen: topology.Services[0].Listen}); err != nil {
		t.Error(err)
	}
	if r, err := l.Run(t.Context(), "client", get+"192.168.23.149"); err != nil || r.Exit != 7 {
		t.Errorf("a stopped service is asked: exit %d, %v: %s", r.Exit, err, r.Output)
	}
}

// TestFallbacks runs the stand-ins, whatever the system has.
func TestFallbacks(t *testing.T) {
	labtest.Need(t)
	topology := pairOfNodes()
	for _, p := range []lab.Protocol{lab.TCPEcho, lab.UDPEcho} {
		topology.Services = append(topology.Services, lab.Service{Node: "host", Protocol: p, Listen: published().Services[1].Listen})
	}
	l, _, _ := controlled(t, topology, "")
	for _, test := range []struct {
		command, output string
		exit            int
	}{
		{"ping -c 2 -W 2 -i 0.01 192.168.23.149", "2 packets transmitted, 2 received", 0},
		{"ping -c1 -W 0.1 192.168.23.77", "1 packets transmitted, 0 received", 1},
		{"ping -c 1 192.0.2.1", "unreachable", 1},
		{"ping name", "is no IP address", 2},
		{"nc -z 192.168.23.149 7", "connected to 192.168.23.149:7", 0},
		{"nc -z 192.168.23.149 8", "refused", 1},
		{"nc -w 0.2 192.168.23.149 7 <<<said", "said", 0},
		{"nc -u -w 0.2 192.168.23.149 7 <<<said", "said", 0},
		{"nc", "expected an address and a port", 1},
		{"curl -s http://192.168.23.149:8/", "", 7},
		{"conntrack -F", "emptied", 0},
		{"conntrack -L", "0 flow entries have been shown", 0},
		{"conntrack -D -p udp", "0 flow entries have been deleted", 1},
		{"conntrack", "expected one of", 2},
		{"curl --junk 192.168.23.149", "does not know the option --junk", 2},
		{"curl https://192.168.23.149", "speaks http only", 3},
	} {
		command := strings.ReplaceAll(test.command, "<<<said", "<"+saidFile(t))
		r, err := l.Run(t.Context(), "client", "/run/packetwalk/fallback/"+command)
		if err != nil || r.Exit != test.exit || !strings.Contains(string(r.Output), test.output) {
			t.Errorf("%s: exit %d, %v: %s\nwant exit %d and %q", test.command, r.Exit, err, r.Output, test.exit, test.output)
		}
	}
}

func saidFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "said")
	if err := os.WriteFile(path, []byte("said\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestBinary sees that what goes through a program's pipes is not touched.
func TestBinary(t *testing.T) {
	labtest.Need(t)
	_, client, n := controlled(t, pairOfNodes(), "")
	data := make([]byte, 5<<20)
	for i := range data {
		data[i] = byte(i * i >> 3)
	}
	in, toProgram, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromProgram, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = toProgram.Write(data) // a short write shows in the sum
		_ = toProgram.Close()
	}()
	sum := make(chan []byte)
	go func() {
		h := sha256.New()
		_, _ = io.Copy(h, fromProgram)
		sum <- h.Sum(nil)
	}()
	p := control.Program{Args: [][]byte{[]byte("cat")}}
	exit, err := client.Run(t.Context(), "client", p, control.Streams{In: in, Out: out, Err: os.Stderr}, nil)
	_ = out.Close()
	if want := sha256.Sum256(data); err != nil || exit.Status() != 0 || !bytes.Equal(<-sum, want[:]) {
		t.Errorf("exit %d, %v, or what came is not what was sent", exit.Status(), err)
	}
	await(t, "the change to be told", func() bool { return slices.Contains(n.take(), "changed client") })
}

// TestStranger sees that another user is not answered, even where the modes of
// the socket and its directory would let one in.
func TestStranger(t *testing.T) {
	labtest.Need(t)
	controlled(t, pairOfNodes(), "")
	if err := os.Chmod("/run/packetwalk/lab.sock", 0o777); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		uid  uint32
		want string
	}{{0, "runs in no node"}, {65534, "another user's"}} {
		cmd := exec.Command(lab.ToolDir+"/serve", "80")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: test.uid, Gid: test.uid, NoSetGroups: true}}
		out, err := cmd.CombinedOutput()
		if err != nil && test.uid != 0 && len(out) == 0 {
			t.Skipf("there are no other users here: %v", err) // in a user namespace with one user
		}
		if !strings.Contains(string(out), test.want) {
			t.Errorf("user %d: %v: %s", test.uid, err, out)
		}
	}
}
