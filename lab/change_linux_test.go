package lab_test

import (
	"context"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/nflog"
)

// watch begins to watch a lab for changes, until the test ends.
func watch(t testing.TB, l *lab.Lab) <-chan struct{} {
	ctx, cancel := context.WithCancel(t.Context())
	changed := l.Changed(ctx, func(err error) { t.Error(err) })
	t.Cleanup(func() {
		cancel()
		for range changed { // until the last look is over
		}
	})
	return changed
}

// settled waits until no change is told for a while: a lab that has just been
// built or changed may have news for a moment.
func settled(changed <-chan struct{}) {
	for {
		select {
		case <-changed:
		case <-time.After(1200 * time.Millisecond): // three looks
			return
		}
	}
}

func TestChanged(t *testing.T) {
	labtest.NeedIptables(t, "nft")
	labtest.NeedIptables(t, "legacy")
	l := labtest.Build(t, odd(), "nft")
	changed := watch(t, l)
	settled(changed)
	for _, name := range []string{
		"veth added", "address added", "routes added", "other table", "rp_filter", "forwarding off", "chains",
		"policy", "legacy rules", "IPv6 rules", "native", "hairpin", "loopback up",
	} {
		t.Run(name, func(t *testing.T) {
			in(t, l, changes[name].node, changes[name].commands)
			select {
			case <-changed:
			case <-time.After(5 * time.Second):
				t.Error("nothing was told")
			}
			settled(changed)
		})
	}
	t.Run("listening", func(t *testing.T) {
		var fd int
		err := l.Node("c1").Do(func() (err error) {
			if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); err == nil {
				err = unix.Listen(fd, 1)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		select {
		case <-changed:
		case <-time.After(5 * time.Second):
			t.Error("nothing was told")
		}
	})
}

// What does not decide about packets is not told: packets, and probes.
func TestChangedIgnores(t *testing.T) {
	for _, variant := range []string{"nft", "legacy"} {
		t.Run(variant, func(t *testing.T) {
			labtest.NeedIptables(t, variant)
			l, err := lab.Build(t.Context(), published(), lab.Options{Iptables: variant, Hidden: nflog.IsProbe})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = l.Close() })
			before := snapshot(t, l)
			changed := watch(t, l)
			settled(changed)
			target := nflog.Target{
				Node: "host", Namespace: l.Node("host"), Tables: trace.Tables(),
				Backends: []nflog.Backend{{Family: trace.IPv4, Command: lab.Command(variant).Iptables}},
			}
			tr, err := nflog.Attach(t.Context(), target, nflog.Options{}, func(trace.Event) {})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range l.Topology().Clients {
				if _, err := l.Send(t.Context(), c.Name); err != nil {
					t.Error(err)
				}
			}
			if !snapshot(t, l).Equal(before) {
				t.Error("the probes are part of the snapshot")
			}
			if err := tr.Detach(t.Context()); err != nil {
				t.Fatal(err)
			}
			select {
			case <-changed:
				t.Error("a change was told")
			case <-time.After(2 * time.Second):
			}
		})
	}
}

// BenchmarkChanged says what it costs to watch a lab of four nodes in which
// nothing happens, in thousandths of a processor.
func BenchmarkChanged(b *testing.B) {
	labtest.NeedIptables(b, "")
	l := labtest.Build(b, odd(), "")
	changed := watch(b, l)
	settled(changed)
	for b.Loop() {
		before, began := processorTime(b), time.Now()
		time.Sleep(5 * time.Second)
		b.ReportMetric(float64(processorTime(b)-before)/float64(time.Since(began))*1000, "millicpu")
	}
}

func processorTime(t testing.TB) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
