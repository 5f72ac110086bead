package labtest

import (
	"testing"

	"packetwalk/lab"
)

func TestMain(m *testing.M) { Main(m) }

func TestMainEnters(t *testing.T) {
	Need(t)
	if !lab.InSandbox() {
		t.Error("Need let a test run outside the sandbox")
	}
}

// recorder notes how a test was ended.
type recorder struct {
	testing.TB
	skipped, failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Skip(...any)           { r.skipped = true }
func (r *recorder) Fatalf(string, ...any) { r.failed = true }

func TestSkip(t *testing.T) {
	for _, required := range []bool{false, true} {
		t.Setenv(RequireEnv, map[bool]string{true: "1"}[required])
		r := &recorder{TB: t}
		Skip(r, "nothing is there")
		if r.skipped == required || r.failed != required {
			t.Errorf("with %s=%q: skipped %t, failed %t", RequireEnv, map[bool]string{true: "1"}[required], r.skipped, r.failed)
		}
	}
}
