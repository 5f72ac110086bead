package lab

// Status says how a Check came out.
type Status string

// The outcomes of a check.
const (
	OK      Status = "ok"
	Warning Status = "warning" // labs work, but not in every way
	Missing Status = "missing" // labs do not work without it
)

// Check is one thing that a lab needs, and whether it is there.
type Check struct {
	Name   string
	Status Status
	// Detail is what was found: a version, or what the system answered.
	Detail string
	// Fix is the command that mends what is not OK; empty where there is none.
	Fix string
}
