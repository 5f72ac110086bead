package nflog_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"packetwalk/lab"
	"packetwalk/trace"
	"packetwalk/trace/ruleset"
	"packetwalk/trace/xtables"
)

// counters are how many packets each rule and policy has counted, by its text.
type counters map[string]uint64

// readCounters reads the counters of what only packets should change: those of
// all rules but probes and those of the chain that others change, and of the
// mangle table's policies. (iptables-legacy sets the policies of a table that
// it changes back.)
func readCounters(t *testing.T, n *lab.Namespace, c lab.Commands) counters {
	if strings.HasSuffix(c.Iptables, "legacy") {
		// Whoever changes a legacy table reads and returns its counters under the lock.
		lock, err := xtables.TakeLock(t.Context())
		if err != nil {
			t.Error(err)
			return nil
		}
		defer lock.Release()
	}
	var text string
	err := n.Do(func() (err error) {
		text, err = output(c.Save, "-c")
		return err
	})
	if err != nil {
		t.Error(err)
		return nil
	}
	rules, err := ruleset.Parse(text)
	if err != nil {
		t.Error(err)
		return nil
	}
	all := counters{}
	for _, table := range rules.Tables {
		for _, chain := range table.Chains {
			name := string(table.Name) + " " + chain.Name
			if table.Name == trace.Mangle && chain.Base() {
				all[name] = chain.Packets
			}
			for _, r := range chain.Rules {
				if chain.Name != "THEIRS" && !strings.Contains(r.Text, "packetwalk:") {
					all[name+" "+r.Text] = r.Packets
				}
			}
		}
	}
	return all
}

// counting sends datagrams and looks at the counters all the time, and reports
// one that has fallen. The function that it returns ends that, and holds the
// counters to the number of datagrams.
func counting(t *testing.T, l *lab.Lab, c lab.Commands) (check func()) {
	t.Helper()
	host := l.Node("host")
	ask := func() {
		// An answer may be late where everything else goes on at the same time.
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if _, err := l.Send(ctx, "ask"); err != nil {
			t.Error(err)
		}
	}
	ask()
	before := readCounters(t, host, c)
	ask()
	each := counters{} // what a datagram and its answer add
	begin := readCounters(t, host, c)
	for what, n := range begin {
		each[what] = n - before[what]
	}
	stop, looked, sent := make(chan struct{}), make(chan struct{}), make(chan uint64)
	stopped := func() bool {
		select {
		case <-stop:
			return true
		default:
			return false
		}
	}
	go func() {
		n := uint64(0)
		for ; !stopped(); n++ {
			ask()
		}
		sent <- n
	}()
	go func() {
		defer close(looked)
		for last := begin; !stopped(); {
			now := readCounters(t, host, c)
			for what, counted := range begin {
				// Newer versions of iptables list base chains that are not there, and
				// so they come and go with the probes.
				if counted > 0 && now[what] < last[what] {
					t.Errorf("the counter of %s fell from %d to %d", what, last[what], now[what])
				}
			}
			last = now
		}
	}()
	return func() {
		t.Helper()
		close(stop)
		n := <-sent
		<-looked
		end, counted := readCounters(t, host, c), 0
		for what, from := range begin {
			// A datagram from a port that was used a short while ago belongs to a
			// connection that NAT knows already, and does not visit its table.
			fewer := strings.HasPrefix(what, string(trace.NAT))
			if want := from + n*each[what]; end[what] > want || end[what] < want && !fewer {
				t.Errorf("%s counted %d packets, want %d", what, end[what], want)
			}
			if each[what] > 0 {
				counted++
			}
		}
		if counted < 4 || len(end) != len(begin) {
			t.Errorf("%d counters at the end, %d at the beginning, of which %d count", len(end), len(begin), counted)
		}
		t.Logf("%d datagrams went by %d counters", n, counted)
	}
}
