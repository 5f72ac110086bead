//go:build !linux

package tui

import "context"

// untilHangup leaves it to SIGHUP.
func untilHangup(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithCancel(ctx)
}
