package inquire_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/nflog"
	"packetwalk/trace/why"
	"packetwalk/trace/why/inquire"
)

// A request of somebody else's is told by what comes back to it.
func TestWatch(t *testing.T) {
	for name, c := range map[string]struct {
		rule   string
		to     string
		result why.Result
		first  trace.Outcome
	}{
		"answered":      {"", "192.168.23.149:8080", why.Answered, trace.Delivered},
		"refused":       {"", "192.168.23.149:81", why.Refused, trace.Delivered},
		"dropped":       {"iptables -I DOCKER-USER -p tcp --dport 80 -j DROP", "192.168.23.149:8080", why.Silent, trace.Dropped},
		"rejected":      {"iptables -I INPUT -p tcp --dport 81 -j REJECT --reject-with icmp-host-prohibited", "192.168.23.149:81", why.Unreachable, trace.Rejected},
		"reply dropped": {"iptables -I FORWARD -i docker0 -p tcp --sport 80 -j DROP", "192.168.23.149:8080", why.Silent, trace.Delivered},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			labtest.NeedIptables(t, "")
			l := labtest.Build(t, causeCase{Lab: "docker"}.topology(t), "")
			if c.rule != "" {
				if r, err := l.Run(t.Context(), "host", c.rule); err != nil || r.Exit != 0 {
					t.Fatalf("%s: %v: %s", c.rule, err, r.Output)
				}
			}
			watched(t, l, c.to, func(e why.Evidence) {
				if e.Attempt.Result != c.result || len(e.Attempt.Walks) == 0 || e.Attempt.Walks[0].Outcome != c.first {
					t.Errorf("the request was %s, want %s; %s", e.Attempt.Result, c.result, describe(why.Explain(e)))
				}
				if from := e.Attempt.Local.Addr().String(); from != "192.168.23.1" {
					t.Errorf("the request came from %s", from)
				}
			})
		})
	}
}

// watched waits for a request of the lab's client, which is sent meanwhile.
func watched(t *testing.T, l *lab.Lab, to string, check func(why.Evidence)) {
	t.Helper()
	target := netip.MustParseAddrPort(to)
	q, err := inquire.Open(t.Context(), inquire.Scene{Places: places(l), Family: trace.IPv4, Options: nflog.Options{Report: func(err error) { t.Error(err) }}})
	if err != nil {
		t.Fatal(err)
	}
	sending, stop := context.WithCancel(t.Context())
	sent := make(chan struct{})
	defer func() {
		stop()
		<-sent
		if err := q.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	question := why.Question{Target: why.Target{Proto: trace.TCP, Addr: target}}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := q.Watch(short, question); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for what does not come ended with %v", err)
	}
	go func() {
		defer close(sent)
		// What the client gets is what the walks have to tell.
		_, _ = lab.Request(sending, l.Node("client"), lab.Client{Node: "client", Protocol: lab.TCPEcho, To: target})
	}()
	e, err := q.Watch(t.Context(), question)
	if err != nil {
		t.Fatal(err)
	}
	check(e)
}
