package live_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/filter"
	"packetwalk/trace/live"
	"packetwalk/trace/nflog"
)

// flooded is a host that does something else with datagrams to every port, and
// counts what comes by TCP, beside a client.
func flooded() lab.Topology {
	host := netip.MustParseAddr("192.168.23.149")
	return lab.Topology{
		Nodes: []lab.Node{{Name: "client", Kind: lab.Machine}, {
			Name: "host", Kind: lab.Host,
			Rules: []string{
				"iptables -t raw -A PREROUTING -p tcp", "iptables -t raw -A OUTPUT -p tcp",
				"iptables -t raw -A PREROUTING -p udp --dport 8 -j DROP",
				"iptables -t nat -A PREROUTING -p udp --dport 5000 -j DNAT --to-destination 192.168.23.149:7",
				"iptables -A INPUT -p udp --dport 7 -j DROP",
			},
		}},
		Links: []lab.Link{{Ends: [2]lab.End{
			{Node: "client", Interface: "eth0", Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.23.1/24")}},
			{Node: "host", Interface: "eth0", Addresses: []netip.Prefix{netip.PrefixFrom(host, 24)}},
		}}},
		Services: []lab.Service{{Node: "host", Protocol: lab.HTTP, Listen: netip.AddrPortFrom(host, 80), Reply: "hello\n"}},
	}
}

// limited is a trace of the host that may begin so many walks in a second.
type limited struct {
	*live.Trace
	mu    sync.Mutex
	walks []trace.Walk
	ended chan struct{}
}

func startLimited(t testing.TB, l *lab.Lab, variant, words string, rate int) *limited {
	t.Helper()
	return startOn(t, l, backends(variant), words, rate)
}

func startOn(t testing.TB, l *lab.Lab, backends []nflog.Backend, words string, rate int) *limited {
	t.Helper()
	f, err := filter.Parse(words)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := live.Start(t.Context(), live.Config{
		Finished: true, Rate: rate,
		Targets: []nflog.Target{{
			Node: "host", Namespace: l.Node("host"), Backends: backends, Tables: trace.Tables(), Careful: true, Filter: f,
		}},
		Options: nflog.Options{Report: func(err error) { t.Error(err) }},
	})
	if err != nil {
		t.Fatal(err)
	}
	lim := &limited{Trace: tr, ended: make(chan struct{})}
	go func() {
		defer close(lim.ended)
		for w := range tr.Walks() {
			lim.mu.Lock()
			lim.walks = append(lim.walks, w)
			lim.mu.Unlock()
		}
	}()
	return lim
}

// close ends the trace and returns its walks.
func (l *limited) close(t testing.TB) []trace.Walk {
	t.Helper()
	if err := l.Close(context.Background()); err != nil {
		t.Error(err)
	}
	<-l.ended
	return l.walks
}

// seen says whether a finished walk fits.
func (l *limited) seen(fits func(trace.Walk) bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.walks, fits)
}

// blast sends datagrams as fast as it can, each different from the others, until
// it is enough, and returns how many.
func blast(t testing.TB, n *lab.Namespace, to string, enough func() bool) (count int) {
	t.Helper()
	err := n.Do(func() error {
		conn, err := net.Dial("udp", to)
		if err != nil {
			return err
		}
		defer conn.Close()
		for ; count == 0 || !enough(); count++ {
			if _, err := conn.Write([]byte(strconv.Itoa(count))); err != nil {
				return fmt.Errorf("datagram %d: %w", count, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return count
}

// someSeconds says when a flood has lasted until packets were followed in a second
// second, and for a moment more: listening has ended and begun again.
func (l *limited) someSeconds(rate int) func() bool {
	var last time.Time
	begin := time.Now()
	return func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		if last.IsZero() && len(l.walks) > rate {
			last = time.Now()
		}
		return !last.IsZero() && time.Since(last) > 300*time.Millisecond || time.Since(begin) > 20*time.Second
	}
}

func TestLimit(t *testing.T) {
	const rate = 50
	for name, test := range map[string]struct {
		from, to, filter string
		begin, end       string
	}{
		"to a rule of INPUT":         {from: "client", to: "192.168.23.149:7", begin: "raw/PREROUTING", end: "filter/INPUT"},
		"to a rule before conntrack": {from: "client", to: "192.168.23.149:8", begin: "raw/PREROUTING", end: "raw/PREROUTING"},
		"through NAT":                {from: "client", to: "192.168.23.149:5000", filter: "udp dst port 5000", begin: "raw/PREROUTING", end: "filter/INPUT"},
		"over the loopback":          {from: "host", to: "127.0.0.1:7", begin: "raw/OUTPUT", end: "filter/INPUT"},
	} {
		for _, variant := range []string{"nft", "legacy"} {
			t.Run(name+" "+variant, func(t *testing.T) {
				labtest.NeedIptables(t, variant)
				l := labtest.Build(t, flooded(), variant)
				tr := startLimited(t, l, variant, test.filter, rate)
				begin := time.Now()
				count := blast(t, l.Node(test.from), test.to, tr.someSeconds(rate))
				await(t, "a quiet second", func() bool { return tr.LeftOut() > 0 })
				walks := tr.close(t)
				t.Logf("%d walks and %d packets left out of %d", len(walks), tr.LeftOut(), count)
				if got := len(walks) + int(tr.LeftOut()); got != count {
					t.Errorf("%d walks and %d packets left out are %d, want %d", len(walks), tr.LeftOut(), got, count)
				}
				if most := rate * (2 + int(time.Since(begin)/time.Second)); len(walks) > most || len(walks) <= rate {
					t.Errorf("%d walks, want more than %d, and at most %d", len(walks), rate, most)
				}
				if tr.Lost() != 0 {
					t.Errorf("%d events were lost", tr.Lost())
				}
				for _, w := range walks {
					end, _ := w.EndStep()
					first := string(w.Steps[0].Table) + "/" + w.Steps[0].Chain
					if last := string(end.Table) + "/" + end.Chain; w.Outcome != trace.Dropped || first != test.begin || last != test.end {
						t.Fatalf("a walk is %s, from %s to %s:\n%s", w.Outcome, first, last, describe(w))
					}
				}
			})
		}
	}
}

// When the flood is over, packets are followed as if there had been none.
func TestLimitEnds(t *testing.T) {
	l := labtest.Build(t, flooded(), "")
	tr := startLimited(t, l, "", "", 20)
	sent := blast(t, l.Node("client"), "192.168.23.149:7", tr.someSeconds(20))
	await(t, "a packet to be followed", func() bool {
		sent += blast(t, l.Node("client"), "192.168.23.149:8", func() bool { return true })
		time.Sleep(20 * time.Millisecond) // below the rate
		return tr.seen(func(w trace.Walk) bool { return w.Packet.Dst.Port() == 8 })
	})
	if walks := tr.close(t); len(walks)+int(tr.LeftOut()) != sent || tr.Lost() != 0 {
		t.Errorf("%d walks, %d packets left out, %d sent, %d events lost", len(walks), tr.LeftOut(), sent, tr.Lost())
	}
}

// Of many connections, whole walks are shown, and every packet is accounted for.
func TestLimitOfConnections(t *testing.T) {
	for _, variant := range []string{"nft", "legacy"} {
		t.Run(variant, func(t *testing.T) {
			labtest.NeedIptables(t, variant)
			l := labtest.Build(t, flooded(), variant)
			tr := startLimited(t, l, variant, "tcp port 80", 30)
			requests(t, l.Node("client"), "192.168.23.149:80", tr.someSeconds(30))
			// The last connection is closed by both sides, the other one when it comes to it.
			packets := tallied(t, l.Node("host"), variant)
			await(t, "the last packet", func() bool {
				before := packets
				time.Sleep(300 * time.Millisecond) // above the shortest time of a retransmission
				packets = tallied(t, l.Node("host"), variant)
				return packets == before
			})
			walks := tr.close(t)
			t.Logf("%d walks and %d packets left out of %d", len(walks), tr.LeftOut(), packets)
			if len(walks)+int(tr.LeftOut()) != packets || tr.Lost() != 0 {
				t.Errorf("%d walks, %d packets left out of %d, %d events lost", len(walks), tr.LeftOut(), packets, tr.Lost())
			}
			for _, w := range walks {
				hooks := slices.Compact(slices.Collect(func(yield func(trace.Hook) bool) {
					for _, s := range w.Steps {
						if !yield(s.Hook) {
							return
						}
					}
				}))
				in := slices.Equal(hooks, []trace.Hook{trace.Prerouting, trace.Input}) && w.Outcome == trace.Delivered
				out := slices.Equal(hooks, []trace.Hook{trace.Output, trace.Postrouting}) && w.Outcome == trace.Forwarded
				if w.Steps[0].Table != trace.Raw || !in && !out {
					t.Errorf("a walk is %s:\n%s", w.Outcome, describe(w))
				}
			}
		})
	}
}

// requests opens connections, one after the other, and asks for a page on each,
// until it is enough.
func requests(t testing.TB, n *lab.Namespace, to string, enough func() bool) {
	t.Helper()
	err := n.Do(func() error {
		for !enough() {
			conn, err := net.Dial("tcp", to)
			if err != nil {
				return err
			}
			_, err = conn.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
			if err == nil {
				_, err = conn.Read(make([]byte, 512))
			}
			conn.Close()
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// counted is what the host's own rules have counted.
func tallied(t testing.TB, n *lab.Namespace, variant string) int {
	t.Helper()
	var out []byte
	err := n.Do(func() (err error) {
		out, err = exec.Command(lab.Command(variant).Save, "-c", "-t", "raw").Output()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for line := range strings.Lines(string(out)) {
		if counters, rule, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasSuffix(rule, " -p tcp") {
			var packets, bytes int
			if _, err := fmt.Sscanf(counters, "[%d:%d]", &packets, &bytes); err != nil {
				t.Fatal(err)
			}
			sum += packets
		}
	}
	return sum
}

// await asks until the answer is yes: what is waited for happens on its own time.
func await(t testing.TB, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !yes(); {
		if time.Now().After(end) {
			t.Fatalf("waited 10 s for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// BenchmarkFlood is how many datagrams a second a host takes in from a neighbour
// while nobody traces it, while a trace follows 100 packets a second, and while
// one follows all of them, by turns. The numbers are those of the best turns: what
// else the machine does only ever takes away.
func BenchmarkFlood(b *testing.B) {
	const turn = time.Second
	for _, variant := range []string{"nft", "legacy"} {
		b.Run(variant, func(b *testing.B) {
			labtest.NeedIptables(b, variant)
			l := labtest.Build(b, flooded(), variant)
			best := map[string]float64{}
			flood := func(how string) {
				begin := time.Now()
				sent := blast(b, l.Node("client"), "192.168.23.149:7", func() bool { return time.Since(begin) > turn })
				best[how] = max(best[how], float64(sent)/time.Since(begin).Seconds())
			}
			for b.Loop() {
				flood("untraced")
				for how, rate := range map[string]int{"limited": 100, "unlimited": 0} {
					tr := startLimited(b, l, variant, "", rate)
					flood(how)
					tr.close(b)
				}
			}
			for how := range best {
				b.ReportMetric(best[how], how+"/s")
			}
			b.ReportMetric(best["limited"]/best["untraced"], "limited-ratio")
			b.ReportMetric(best["unlimited"]/best["untraced"], "unlimited-ratio")
		})
	}
}
