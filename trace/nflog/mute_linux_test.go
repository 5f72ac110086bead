package nflog_test

import (
	"context"
	"testing"

	"packetwalk/lab"
	"packetwalk/trace"
	"packetwalk/trace/nflog"
)

// A tracer that does not listen for a while hears nothing of what happens
// meanwhile, and counts it; nobody takes its group or its probes.
func TestMute(t *testing.T) {
	eachVariant(t, talking(), func(t *testing.T, l *lab.Lab, c lab.Commands) {
		host, r := l.Node("host"), newRecorder()
		backends := []nflog.Backend{{Family: trace.IPv4, Command: c.Iptables}}
		tr, err := nflog.Attach(t.Context(), nflog.Target{
			Node: "host", Namespace: host, Backends: backends, Tables: trace.Tables(), Careful: true, Count: true,
		}, nflog.Options{Report: func(err error) { t.Error(err) }}, r.receive)
		if err != nil {
			t.Fatal(err)
		}
		// A question and its answer.
		const each = 2
		ask := func() {
			if _, err := l.Send(t.Context(), "ask"); err != nil {
				t.Fatal(err)
			}
		}
		answered := func(e trace.Event) bool {
			return e.Packet.Src.Port() == 53 && e.Hook == trace.Input && e.Probe.Table == trace.Security
		}
		ask()
		heard := len(r.await(t, answered))

		must(t, tr.Mute())
		must(t, tr.Mute())
		ask()
		checkOthers(t, host, backends)
		if n := len(r.await(t, answered)); n != heard {
			t.Errorf("%d events were heard of a packet that nobody listened to", n-heard)
		}
		r.forget()
		must(t, tr.Unmute())
		must(t, tr.Unmute())
		ask()
		if n := len(r.await(t, answered)); n != heard {
			t.Errorf("%d events were heard after the pause, %d before it", n, heard)
		}
		packets, err := tr.Packets(t.Context())
		must(t, err)
		if packets != 3*each || tr.Lost() != 0 {
			t.Errorf("%d packets were counted, want %d; %d events were lost", packets, 3*each, tr.Lost())
		}
		must(t, tr.Detach(t.Context()))
		if packets, err := tr.Packets(t.Context()); err != nil || packets != 3*each {
			t.Errorf("when all is over %d packets were counted, %v, want %d", packets, err, 3*each)
		}
	})
}

// checkOthers looks whether a tracer that does not listen keeps what is its own.
func checkOthers(t *testing.T, host *lab.Namespace, backends []nflog.Backend) {
	t.Helper()
	dead, err := nflog.Leftovers(t.Context(), host, backends)
	must(t, err)
	if len(dead) > 0 {
		t.Errorf("probes that nobody listens to for a while pass for dead: %+v", dead)
	}
	other, err := nflog.Attach(t.Context(), nflog.Target{
		Node: "host", Namespace: host, Backends: backends, Tables: trace.Tables(), Careful: true,
	}, nflog.Options{}, func(trace.Event) {})
	must(t, err)
	must(t, other.Detach(context.Background()))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
