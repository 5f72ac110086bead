package lab_test

import (
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packetwalk/lab/labtest"
)

// TestMachineUntouched compares what a lab must leave alone, before, during and after.
func TestMachineUntouched(t *testing.T) {
	labtest.NeedIptables(t, "")
	furnish(t)
	before := machine(t)

	cmd := helper(t, "hold")
	cmd.Stdin = ownNetwork(t)
	links := subscribe(t)
	start(t, cmd)
	during := machine(t)
	// The tell-tale is the helper's own doing.
	during["links"] = withoutLines(during["links"], "telltale")
	if diff := cmp.Diff(before, during, cmp.Comparer(sameButCounters)); diff != "" {
		t.Errorf("the lab changed the machine (-before +during):\n%s", diff)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	links.awaitGone(t, "telltale")

	if out, err := helper(t, "lab").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if diff := cmp.Diff(before, machine(t), cmp.Comparer(sameButCounters)); diff != "" {
		t.Errorf("the labs changed the machine (-before +after):\n%s", diff)
	}
}

// furnish gives the machine something that could be changed.
func furnish(t *testing.T) {
	t.Helper()
	for _, line := range []string{
		"ip link add furniture type veth peer name furniture1", "ip addr add 10.99.0.1/24 dev furniture", "ip link set furniture up",
		"ip route add 10.98.0.0/16 via 10.99.0.9", "ip rule add from 10.99.0.0/24 table 99",
		"iptables -N FURNITURE", "iptables -A INPUT -j FURNITURE",
	} {
		words := strings.Fields(line)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	t.Cleanup(func() {
		for _, line := range []string{"ip link del furniture", "ip rule del table 99", "iptables -F", "iptables -X"} {
			words := strings.Fields(line)
			if err := exec.Command(words[0], words[1:]...).Run(); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	})
}

// machine is what can be seen of the network that the test runs in.
func machine(t *testing.T) map[string]string {
	t.Helper()
	seen := map[string]string{}
	for name, line := range map[string]string{
		"links": "ip -o link", "addresses": "ip -o addr", "routes": "ip route show table all", "rules": "ip rule",
		"iptables": "iptables-save", "namespaces": "ls /run",
	} {
		words := strings.Fields(line)
		out, err := exec.Command(words[0], words[1:]...).Output()
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		seen[name] = string(out)
	}
	seen["iptables"] = withoutLines(seen["iptables"], "#") // they carry the time
	seen["addresses"] = withoutLines(seen["addresses"], "telltale")
	maps.Copy(seen, sysctls(t))
	return seen
}

// sysctls reads everything below /proc/sys/net that can be read.
func sysctls(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir("/proc/sys/net", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(path, "telltale") {
			return nil // what cannot be read cannot be compared
		}
		data, err := os.ReadFile(path)
		// Counts of the whole machine change by themselves.
		if err == nil && !strings.Contains(path, "nf_conntrack_count") {
			all[path] = string(data)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// sameButCounters compares lines without the counters of iptables-save.
func sameButCounters(a, b string) bool {
	return counterFree(a) == counterFree(b)
}

func counterFree(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, " [")
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.Join(lines, "\n")
}

func withoutLines(text, with string) string {
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return strings.Contains(l, with) })
	return strings.Join(lines, "\n")
}
