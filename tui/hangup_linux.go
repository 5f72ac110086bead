package tui

import (
	"context"
	"os"

	"github.com/charmbracelet/x/term"
	"golang.org/x/sys/unix"
)

// hangupEvery is how often the terminal is looked at, in milliseconds.
const hangupEvery = 500

// untilHangup ends the context when the terminal of standard input is gone. The
// kernel tells that by SIGHUP only where it is the controlling terminal, which
// it is not behind su(1), for instance.
func untilHangup(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if !term.IsTerminal(os.Stdin.Fd()) {
		return ctx, cancel
	}
	fd := int32(os.Stdin.Fd())
	go func() {
		for ctx.Err() == nil {
			at := []unix.PollFd{{Fd: fd}} // hang-ups are told whatever is asked for
			if n, err := unix.Poll(at, hangupEvery); err == nil && n > 0 {
				cancel()
			}
		}
	}()
	return ctx, cancel
}
