package assemble

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"packetwalk/trace"
)

// Namespaces are read side by side: however their streams of events are mixed,
// as long as no reader is further behind than Reorder, the walks are the same.
func TestAnyMixOfStreamsGivesTheSameWalks(t *testing.T) {
	for seed := range uint64(300) {
		s := newScript(t)
		streams := connection(s, 12)
		random := rand.New(rand.NewPCG(seed, 0))
		begin := s.now
		for len(streams) > 0 {
			i := random.IntN(len(streams))
			// A burst of one reader, then perhaps a pause in which time passes.
			for range 1 + random.IntN(40) {
				if len(streams[i]) == 0 {
					break
				}
				e := streams[i][0]
				streams[i] = streams[i][1:]
				s.now = s.now.Add(time.Microsecond)
				s.a.Add(e, s.now)
			}
			if len(streams[i]) == 0 {
				streams = append(streams[:i], streams[i+1:]...)
			}
			if random.IntN(3) == 0 && s.now.Sub(begin) < 150*time.Millisecond {
				s.wait(time.Duration(random.IntN(30)) * time.Millisecond)
			}
		}
		s.wait(10 * time.Millisecond)
		var got []string
		for _, w := range s.a.Take(s.now, true) {
			got = append(got, fmt.Sprintf("%d %d %s %d steps", w.ID, w.Packet.Seq, w.Outcome, len(w.Steps)))
		}
		var want []string
		for i := range 12 {
			want = append(want, fmt.Sprintf("%d %d delivered %d steps", i+1, i+1, 9+i%2))
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Fatalf("seed %d: %q, want %q", seed, got, want)
		}
	}
}

// connection is a conversation of packets to and fro through the host's NAT, as
// the stream of events of each node.
func connection(s *script, packets int) [][]trace.Event {
	streams := make([][]trace.Event, 3)
	collect := func(node int, text string) {
		for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
			s.now = s.now.Add(time.Microsecond)
			e := s.event(strings.Fields(line))
			e.KernelTime = e.Hook == trace.Prerouting || e.Hook == trace.Input || e.Hook == trace.Forward
			streams[node] = append(streams[node], e)
		}
	}
	for i := range packets {
		if i%2 == 0 {
			s.packet(i+1, trace.ACK, "192.168.23.1:4000", "192.168.23.149:80")
			collect(0, "client OUTPUT mangle/OUTPUT empty out=eth0 ct=ESTABLISHED\nclient POSTROUTING mangle/POSTROUTING empty")
			collect(1, `host PREROUTING mangle/PREROUTING empty in=ens33 ct=ESTABLISHED
				host FORWARD security/FORWARD empty out=docker0 dst=172.17.0.2:80
				host POSTROUTING mangle/POSTROUTING empty`)
			collect(2, `c1 PREROUTING mangle/PREROUTING empty in=eth0 ct=ESTABLISHED
				c1 INPUT filter/INPUT empty
				c1 INPUT security/INPUT empty`)
			continue
		}
		s.packet(i+1, trace.ACK, "172.17.0.2:80", "192.168.23.1:4000")
		collect(2, "c1 OUTPUT mangle/OUTPUT empty out=eth0 ct=ESTABLISHED\nc1 POSTROUTING mangle/POSTROUTING empty")
		collect(1, `host PREROUTING mangle/PREROUTING empty in=docker0 ct=ESTABLISHED
			host FORWARD filter/FORWARD 1:ACCEPT out=ens33
			host FORWARD security/FORWARD empty
			host POSTROUTING mangle/POSTROUTING empty`)
		collect(0, `client PREROUTING mangle/PREROUTING empty in=eth0 src=192.168.23.149:80 ct=ESTABLISHED
			client INPUT filter/INPUT empty
			client INPUT security/INPUT empty`)
	}
	return streams
}
