package live

import (
	"time"

	"packetwalk/trace"
	"packetwalk/trace/assemble"
	"packetwalk/trace/nflog"
)

// limiter keeps a trace from following more packets than it may, in three steps:
// it follows what comes; when as many walks have begun within a second as may,
// it still listens to what becomes of those; and when that costs too much it
// stops listening, which leaves the kernel next to nothing to do. When the second
// is over it begins anew.
type limiter struct {
	trace   *Trace
	a       *assemble.Assembler
	rate    int
	report  func(error)
	hearing hearing
	// since is when the first walk of the second began; zero before it.
	since   time.Time
	mutedAt time.Time // when listening stopped
	// events is how many came since as many walks have begun as may.
	events int
}

// hearing says what becomes of events.
type hearing uint8

const (
	listening hearing = iota
	// fading: nobody listens any more, and what was said before is still read.
	fading
	deaf
)

const (
	// second is the time that the rate is for.
	second = time.Second
	// patienceEvents is how many events, for each walk that may begin in a second,
	// may come of packets that are not followed before listening stops.
	patienceEvents = 20
	// behind is how many events wait when more is said than can be read. What
	// becomes of the packets that are followed is among them already.
	behind = 256
	// shortestMute is how long nobody listens at least: what other processors were
	// about to say when listening stopped must not be taken for something new.
	shortestMute = 50 * time.Millisecond
)

func newLimiter(t *Trace, a *assemble.Assembler, c Config) *limiter {
	return &limiter{trace: t, a: a, rate: c.Rate, report: c.Options.Report}
}

// add takes an event in, or leaves it out.
func (l *limiter) add(e arrival) {
	missed := int64(e.event.Missed)
	excused := missed > 0 && l.a.Full()
	if excused {
		// The events of walks under way may be among those that are missing.
		l.trace.left.excused.Add(missed)
		l.mute(e.at)
		l.cut(time.Time{})
	}
	l.trace.left.unjudged.Add(-missed)
	unheard := l.hearing == deaf // it was on its way here when listening stopped
	l.roll(e.at)
	if unheard {
		return
	}
	l.a.Add(e.event, e.at)
	if l.since.IsZero() && l.a.Begun() > 0 {
		l.since = e.at
	}
	if !l.a.Full() {
		return
	}
	l.trace.left.limited.Store(true)
	l.events++
	switch most := patienceEvents * l.rate; {
	case l.events > 2*most: // what was said before listening stopped takes too long
		l.cut(time.Time{})
	case l.events > most, len(l.trace.events) > behind:
		l.mute(time.Now())
	}
}

// mute stops listening.
func (l *limiter) mute(now time.Time) {
	if l.hearing != listening {
		return
	}
	l.hearing, l.mutedAt = fading, now
	l.tell((*nflog.Tracer).Mute)
}

// cut gives up what is under way. at is a time up to which everything was heard;
// zero where something was not.
func (l *limiter) cut(at time.Time) {
	if l.hearing == deaf {
		return
	}
	l.a.Cut(at)
	l.hearing = deaf
	l.tell(func(tr *nflog.Tracer) error { tr.Discard(); return nil })
}

// tick lets time pass.
func (l *limiter) tick(now time.Time) {
	switch {
	case l.hearing != fading:
		l.a.Tick(now)
	case !l.trace.pending():
		l.cut(l.mutedAt)
	}
	l.roll(now)
}

// roll begins another second when one is over.
func (l *limiter) roll(now time.Time) {
	switch {
	case l.since.IsZero() || now.Sub(l.since) < second:
		return
	case l.hearing == fading || l.hearing == deaf && (now.Sub(l.mutedAt) < shortestMute || l.trace.pending()):
		return
	case l.hearing == deaf:
		l.tell((*nflog.Tracer).Unmute)
	}
	l.a.Reopen(now)
	l.hearing, l.since, l.events = listening, time.Time{}, 0
}

// waiting says whether a second has to be ended soon.
func (l *limiter) waiting() bool { return l.a.Full() || l.hearing != listening }

// end takes account of the end of the trace.
func (l *limiter) end() {
	if l.hearing == fading {
		l.cut(l.mutedAt)
	}
}

// tell asks every tracer to do something, unless the trace is being closed.
func (l *limiter) tell(what func(*nflog.Tracer) error) {
	left := &l.trace.left
	left.mu.Lock()
	defer left.mu.Unlock()
	if left.closing {
		return
	}
	for _, tr := range l.trace.tracers {
		if err := what(tr); err != nil && l.report != nil {
			l.report(err)
		}
	}
}

// counted are targets whose packets are counted.
func counted(targets []nflog.Target, count bool) []nflog.Target {
	all := make([]nflog.Target, len(targets))
	for i, t := range targets {
		t.Count = count
		all[i] = t
	}
	return all
}

// early says which packets the probes in front of connection tracking report;
// see assemble.Config.
func early(targets []nflog.Target) func(trace.Packet) bool {
	if len(targets) == 0 || targets[0].Filter.String() == "" {
		return nil
	}
	return targets[0].Filter.Matches
}
