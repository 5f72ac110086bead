package lab

import "context"

// MaxOutput is how much of a program's output Run keeps, in bytes.
const MaxOutput = 64 << 10

// Result is what a command line brought.
type Result struct {
	// Output is what it printed, both streams in the order in which they came,
	// at most MaxOutput bytes.
	Output []byte
	// Omitted counts the bytes that came after those.
	Omitted int64
	// Exit is the exit code; 128 plus the signal's number where a signal ended it.
	Exit int
}

// Probes is what a lab asks of whoever traces it.
type Probes interface {
	// Pause takes the probes of a node out of its rules, Resume puts them in
	// again. Pauses count: the probes are back after as many Resumes.
	Pause(ctx context.Context, node string) error
	Resume(ctx context.Context, node string) error
}

// ControlOptions say how a lab answers those who control it.
type ControlOptions struct {
	// Scenario is the name that the lab can be asked for by.
	Scenario string
	// Probes takes the probes out while a student lists or changes rules; nil
	// where the lab is not traced.
	Probes Probes
	// Changed is told that something of a node may have changed: a program in
	// it has ended, rules have been touched, a service has been started. It is
	// called from several goroutines and must not wait for the lab. It may be nil.
	Changed func(node string)
}
