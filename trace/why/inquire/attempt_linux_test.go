package inquire

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"packetwalk/lab"
	"packetwalk/trace/why"
)

func TestOutcome(t *testing.T) {
	opened := lab.Response{Local: netip.MustParseAddrPort("10.0.0.1:40000")}
	for _, test := range []struct {
		http bool
		r    lab.Response
		err  error
		want why.Result
		name string
	}{
		{false, opened, nil, why.Answered, ""},
		{false, lab.Response{}, unix.ECONNREFUSED, why.Refused, "ECONNREFUSED"},
		{true, opened, unix.ECONNRESET, why.Refused, "ECONNRESET"},
		{false, lab.Response{}, unix.EHOSTUNREACH, why.Unreachable, "EHOSTUNREACH"},
		{false, lab.Response{}, unix.EPERM, why.Unreachable, "EPERM"},
		{false, lab.Response{}, unix.ETIMEDOUT, why.Silent, "ETIMEDOUT"},
		{true, opened, unix.ETIMEDOUT, why.Stalled, "ETIMEDOUT"},
		{false, lab.Response{}, context.DeadlineExceeded, why.Silent, ""},
		{false, opened, context.DeadlineExceeded, why.Silent, ""},
		{true, lab.Response{}, context.DeadlineExceeded, why.Silent, ""},
		{true, opened, context.DeadlineExceeded, why.Stalled, ""},
		{true, opened, errors.New("malformed HTTP response"), why.Stalled, ""},
	} {
		err := test.err
		if err != nil {
			err = fmt.Errorf("sending: %w", err)
		}
		if got, name := outcome(why.Target{HTTP: test.http}, test.r, err); got != test.want || name != test.name {
			t.Errorf("%v, HTTP %t, %v: %s, %q; want %s, %q", test.err, test.http, test.r.Local, got, name, test.want, test.name)
		}
	}
}

// The client asks for what the target says, and only of a page it is told what came.
func TestPath(t *testing.T) {
	page := why.Target{HTTP: true, Path: "/nosuchpage"}
	if c := client(why.Question{Target: page}); c.Protocol != lab.HTTP || c.Path != "/nosuchpage" {
		t.Errorf("the client is %+v", c)
	}
	r := lab.Response{Status: 404, Body: []byte("404 not found.\n")}
	if status, body, cut := pageOf(page, r); status != 404 || body != 15 || cut {
		t.Errorf("status %d, %d bytes, cut %v", status, body, cut)
	}
	if status, body, cut := pageOf(why.Target{}, r); status != 0 || body != 0 || cut {
		t.Errorf("no page was asked for: status %d, %d bytes, cut %v", status, body, cut)
	}
	r.Body = make([]byte, lab.MaxBody)
	if _, body, cut := pageOf(page, r); body != lab.MaxBody || !cut {
		t.Errorf("of a page that may be longer: %d bytes, cut %v", body, cut)
	}
}

// A port that is taken is no answer about the target.
func TestUnasked(t *testing.T) {
	q := why.Question{From: "client", Port: 40000}
	err := unasked(q, fmt.Errorf("sending: %w", unix.EADDRINUSE))
	if !errors.Is(err, unix.EADDRINUSE) || !strings.HasPrefix(err.Error(), "asking from port 40000 of client") {
		t.Errorf("the error is %v", err)
	}
	for _, other := range []error{nil, unix.ECONNREFUSED, context.DeadlineExceeded} {
		if err := unasked(q, other); err != nil {
			t.Errorf("%v: the question counts as not asked: %v", other, err)
		}
	}
}
