// Package labtest lets tests run in the sandbox of package lab. It is for the
// tests of any package that needs live network namespaces; what is built in
// them is left to package lab.
package labtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"packetwalk/lab"
	"packetwalk/lab/toolbox"
)

// RequireEnv names the environment variable that turns skipped tests into
// failed ones: set to 1 where everything is known to be there, as in CI.
const RequireEnv = "PACKETWALK_REQUIRE"

// unavailable says why there is no sandbox. Main sets it before any test runs.
var unavailable = "TestMain did not call labtest.Main"

// Main is a TestMain that moves the test binary into the sandbox and ends the
// process. Where there is no sandbox to be had, the tests run outside, and
// those that call Need are skipped.
func Main(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if code, ok := toolbox.Run(os.Args); ok {
		return code // started in a lab, under the name of one of its tools
	}
	switch {
	case lab.InSandbox():
		unavailable = ""
		if err := lab.Enter(); err != nil {
			unavailable = err.Error()
		}
		return m.Run()
	case isFuzzWorker():
		unavailable = "fuzz workers stay outside the sandbox"
		return m.Run()
	}
	code, err := lab.Reexec(context.Background(), nil)
	if err != nil {
		unavailable = err.Error()
		return m.Run()
	}
	return code
}

// isFuzzWorker says whether the testing package started this process to fuzz:
// it talks to such a process through descriptors that a sandbox has other uses for.
func isFuzzWorker() bool {
	return slices.ContainsFunc(os.Args, func(a string) bool {
		return strings.HasPrefix(strings.TrimLeft(a, "-"), "test.fuzzworker")
	})
}

// Need skips the test where there is no sandbox.
func Need(t testing.TB) {
	t.Helper()
	if unavailable != "" {
		Skip(t, "there is no sandbox here: "+unavailable)
	}
}

// NeedIptables skips the test where there is no sandbox or where this variant
// of iptables ("", "nft" or "legacy") is missing or does not work here.
func NeedIptables(t testing.TB, variant string) {
	t.Helper()
	Need(t)
	name := lab.Command(variant).Iptables
	if out, err := exec.Command(name, "-w", "-n", "-L").CombinedOutput(); err != nil {
		Skip(t, fmt.Sprintf("%s does not work here: %v: %s", name, err, strings.TrimSpace(string(out))))
	}
}

// OrdinaryUser says whether the sandbox's root is somebody else outside of its
// user namespace (uid_map in user_namespaces(7)). What needs root is no lack
// then: such a test is skipped, but not with Skip.
func OrdinaryUser() bool {
	text, err := os.ReadFile("/proc/thread-self/uid_map")
	f := strings.Fields(string(text))
	return err == nil && len(f) >= 2 && f[1] != "0"
}

// Build builds a lab that ends with the test.
func Build(t testing.TB, topology lab.Topology, variant string) *lab.Lab {
	t.Helper()
	l, err := lab.Build(t.Context(), topology, lab.Options{Iptables: variant})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// Skip skips the test for lack of something, or fails it where RequireEnv says
// that nothing may lack.
func Skip(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv(RequireEnv) == "1" {
		t.Fatalf("%s=1, but %s", RequireEnv, reason)
		return
	}
	t.Skip(reason)
}
