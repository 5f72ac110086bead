package why

import (
	"slices"
	"testing"

	"packetwalk/lab/labtest"
	"packetwalk/trace/dropped"
)

// TestReasons holds the reasons of the causes to those that the kernel has.
func TestReasons(t *testing.T) {
	known, err := dropped.Reasons()
	if err != nil {
		labtest.Skip(t, err.Error())
	}
	// The youngest that a cause has.
	const youngest = "TCP_LISTEN_OVERFLOW"
	if !slices.Contains(known, youngest) {
		t.Skip("this kernel is older than some of the reasons: it does not know " + youngest)
	}
	for _, c := range causes {
		for _, r := range c.Reasons {
			if !slices.Contains(known, r) {
				t.Errorf("the cause %s has the reason %s, which the kernel does not give", c.Name, r)
			}
		}
	}
}
