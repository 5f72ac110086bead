package lab_test

import (
	"net/netip"
	"os/exec"
	"sync"
	"testing"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
)

// TestReplaceBesideCommands replaces a service while this process starts others:
// between fork and exec they hold what it has open, the old service's socket too.
func TestReplaceBesideCommands(t *testing.T) {
	labtest.Need(t)
	l := labtest.Build(t, lab.Topology{Nodes: []lab.Node{{Name: "a", Kind: lab.Host}}}, "")
	var starting sync.WaitGroup
	defer starting.Wait()
	enough := make(chan struct{})
	defer close(enough)
	for range 4 {
		starting.Go(func() {
			for {
				select {
				case <-enough:
					return
				default:
					_ = exec.Command("true").Run() // that it starts is enough
				}
			}
		})
	}
	for i := range 200 {
		listen := []string{"127.0.0.1:80", "0.0.0.0:80"}[i%2]
		s := lab.Service{Node: "a", Protocol: lab.TCPEcho, Listen: netip.MustParseAddrPort(listen)}
		if err := l.ReplaceService(t.Context(), s); err != nil {
			t.Fatalf("replacement %d: %v", i, err)
		}
	}
}
