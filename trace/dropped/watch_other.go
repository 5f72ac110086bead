//go:build !linux

package dropped

import "time"

// Watcher remembers what the kernel drops. There is none here.
type Watcher struct{}

// Watch is for Linux; elsewhere it answers with an *Unavailable.
func Watch() (*Watcher, error) { return nil, &Unavailable{Missing: "this is not Linux"} }

// Reasons are for Linux, as Watch is.
func Reasons() ([]string, error) { return nil, &Unavailable{Missing: "this is not Linux"} }

// Since gives nothing.
func (w *Watcher) Since(time.Time) (events []Event, whole bool) { return nil, false }

// Close ends the watch.
func (w *Watcher) Close() error { return nil }
