package inquire

import (
	"net/netip"
	"testing"
	"time"

	"packetwalk/trace"
	"packetwalk/trace/dropped"
)

func TestTooLate(t *testing.T) {
	local, other := netip.MustParseAddrPort("10.0.1.2:40000"), netip.MustParseAddrPort("10.0.1.2:40001")
	over := time.Unix(1000, 0)
	event := func(reason string, after time.Duration) dropped.Event {
		return dropped.Event{Reason: reason, Time: over.Add(after), Packet: trace.Packet{Dst: local}}
	}
	for _, test := range []struct {
		name  string
		e     dropped.Event
		local netip.AddrPort
		over  time.Time
		want  bool
	}{
		{"behind the end", event("NO_SOCKET", time.Second), local, over, true},
		{"in time", event("NO_SOCKET", -time.Second), local, over, false},
		{"at another", event("NO_SOCKET", time.Second), other, over, false},
		{"for another reason", event("NETFILTER_DROP", time.Second), local, over, false},
		{"of a request with an end that nobody knows", event("NO_SOCKET", time.Second), local, time.Time{}, false},
	} {
		if got := tooLate(test.e, test.local, test.over); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}
