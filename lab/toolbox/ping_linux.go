package toolbox

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"time"

	"packetwalk/lab"
)

// pingCall is a call of ping.
type pingCall struct {
	count    int // 0: until it is told to end
	wait     time.Duration
	interval time.Duration
	to       netip.Addr
}

func parsePing(args []string) (p pingCall, err error) {
	p.wait, p.interval = time.Second, time.Second
	operands, err := parseOptions(args, []option{
		{names: []string{"-c"}, take: func(v string) (err error) {
			if p.count, err = strconv.Atoi(v); err != nil || p.count < 1 {
				err = errors.New("it is no number of packets")
			}
			return err
		}},
		{names: []string{"-W"}, take: seconds(&p.wait)},
		{names: []string{"-i"}, take: seconds(&p.interval)},
		{names: []string{"-n"}}, {names: []string{"-4"}}, {names: []string{"-6"}},
	})
	if err != nil {
		return p, err
	}
	if len(operands) != 1 {
		return p, errors.New("expected one address")
	}
	if p.to, err = netip.ParseAddr(operands[0]); err != nil {
		err = fmt.Errorf("%q is no IP address, and there are no names here", operands[0])
	}
	return p, err
}

// ping stands in for ping(8), with its exit codes: 0 where an answer came, 1
// where none did, 2 for other faults.
func ping(name string, args []string) int {
	p, err := parsePing(args)
	if err != nil {
		return complain(name, 2, "%v", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	fmt.Printf("PING %s\n", p.to)
	sent, received := 0, 0
	for ; ctx.Err() == nil && (p.count == 0 || sent < p.count); sent++ {
		if sent > 0 {
			select {
			case <-ctx.Done():
				continue
			case <-time.After(p.interval):
			}
		}
		if p.once(ctx, sent+1) {
			received++
		}
	}
	fmt.Printf("\n--- %s ping statistics ---\n%d packets transmitted, %d received\n", p.to, sent, received)
	if received == 0 {
		return 1
	}
	return 0
}

// once sends one request and says what came of it.
func (p pingCall) once(ctx context.Context, number int) (answered bool) {
	ctx, cancel := context.WithTimeout(ctx, p.wait)
	defer cancel()
	r, err := lab.PingFrom(ctx, p.to)
	switch {
	case err == nil:
		const header = 8 // of ICMP
		fmt.Printf("%d bytes from %s: icmp_seq=%d time=%.3f ms\n", len(r.Body)+header, p.to, number, float64(r.RTT.Microseconds())/1000)
		return true
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
	default:
		fmt.Printf("icmp_seq=%d %v\n", number, err)
	}
	return false
}
