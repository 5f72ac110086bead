package nflog_test

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace/nflog"
)

// elsewhere is a network namespace that is not the program's own.
func elsewhere(t *testing.T) *nflog.NetNS {
	t.Helper()
	labtest.Need(t)
	labtest.Build(t, lab.Topology{Nodes: []lab.Node{{Name: "elsewhere", Kind: lab.Host}}}, "")
	n, err := nflog.OpenNetNS("elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// What is done in a namespace moves the program's main thread nowhere, on
// whatever thread it began: /proc shows that thread for the whole program.
func TestNamespaceKeepsTheMainThread(t *testing.T) {
	n := elsewhere(t)
	where := func(path string) string {
		link, err := os.Readlink(path)
		if err != nil {
			t.Error(err)
		}
		return link
	}
	before := where("/proc/self/ns/net")
	for range 10 {
		var pipe [2]int
		if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 50 { // every thread is taken, and so is the main one
			all.Go(func() {
				err := n.Do(func() error {
					if where("/proc/thread-self/ns/net") == before {
						t.Error("the function did not run in the namespace")
					}
					_, err := unix.Read(pipe[0], make([]byte, 1)) // until the other end is closed
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		unix.Close(pipe[1])
		all.Wait()
		unix.Close(pipe[0])
	}
	if after := where("/proc/self/ns/net"); after != before {
		t.Errorf("the main thread is in %s, not %s", after, before)
	}
}

func TestNetNSAtWhatIsNone(t *testing.T) {
	for _, path := range []string{"/proc/self/ns/uts", "/dev/null", t.TempDir() + "/missing"} {
		if n, err := nflog.NetNSAt(path); err == nil {
			t.Errorf("%s was opened as a network namespace", path)
			n.Close()
		}
	}
}

// TestHereFromElsewhere holds that Here is the program's own namespace, also
// where somebody asks for it from inside another one.
func TestHereFromElsewhere(t *testing.T) {
	n := elsewhere(t)
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	err = n.Do(func() error {
		return nflog.Here{}.Do(func() error {
			here, err := os.Readlink("/proc/thread-self/ns/net")
			if here != own {
				t.Errorf("here is %s, not %s", here, own)
			}
			return err
		})
	})
	if err != nil {
		t.Error(err)
	}
}

// TestOthers finds every network namespace but the program's own, by the name
// that people know it by.
func TestOthers(t *testing.T) {
	labtest.Need(t)
	labtest.Build(t, lab.Topology{Nodes: []lab.Node{{Name: "one", Kind: lab.Host}, {Name: "two", Kind: lab.Host}}}, "")
	nameless := exec.Command("unshare", "-n", "sh", "-c", "echo; read line")
	stdin, err := nameless.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := nameless.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := nameless.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = stdin.Close(), nameless.Wait() }()
	if _, err := stdout.Read(make([]byte, 1)); err != nil { // it is in its namespace
		t.Fatal(err)
	}
	others, err := nflog.Others()
	if err != nil {
		t.Fatal(err)
	}
	var own, it unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &own); err != nil {
		t.Fatal(err)
	}
	names := map[string]int{}
	for _, o := range others {
		names[o.Name]++
		if err := o.Do(func() error { return unix.Stat("/proc/thread-self/ns/net", &it) }); err != nil {
			t.Error(err)
		}
		if it.Ino == own.Ino {
			t.Errorf("%s is the program's own", o.Name)
		}
		o.Close()
	}
	for _, want := range []string{"one", "two", fmt.Sprintf("%d (sh)", nameless.Process.Pid)} {
		if names[want] != 1 {
			t.Errorf("%q is there %d times, among %v", want, names[want], names)
		}
	}
}
