package lab

import (
	"errors"
	"fmt"
	"strings"
)

// ErrNeedsLinux is what everything that needs a kernel with network namespaces
// answers elsewhere.
var ErrNeedsLinux = errors.New("labs need Linux")

// StepError says which step of a build or of a check failed, and on which node.
type StepError struct {
	Step string // a gerund with its subject: "adding address 10.0.0.1/24 to eth0"
	Node string // empty where the step belongs to no single node
	Err  error
}

func (e *StepError) Error() string {
	if e.Node == "" {
		return fmt.Sprintf("%s: %v", e.Step, e.Err)
	}
	return fmt.Sprintf("%s: %s: %v", e.Node, e.Step, e.Err)
}

// Unwrap gives the cause.
func (e *StepError) Unwrap() error { return e.Err }

// step wraps err in a StepError; it is nil where err is.
func step(node, what string, err error) error {
	if err == nil {
		return nil
	}
	return &StepError{Step: what, Node: node, Err: err}
}

// RuleError is an iptables command that the kernel or iptables refused.
type RuleError struct {
	Command string // as it stands in the topology
	Message string // what iptables said
	Err     error
}

func (e *RuleError) Error() string {
	return fmt.Sprintf("running %q: %s", e.Command, e.Message)
}

// Unwrap gives the cause.
func (e *RuleError) Unwrap() error { return e.Err }

// RestoreError is a ruleset that iptables-restore refused as a whole.
type RestoreError struct {
	Command string // "iptables-nft-restore"
	Message string // what it said
	Err     error
}

func (e *RestoreError) Error() string { return fmt.Sprintf("running %s: %s", e.Command, e.Message) }

// Unwrap gives the cause.
func (e *RestoreError) Unwrap() error { return e.Err }

// MissingError is something that the machine lacks, or that is switched off,
// with the command that mends it.
type MissingError struct {
	What string // "unprivileged user namespaces are switched off (kernel.unprivileged_userns_clone = 0)"
	Fix  string // a command, or a sentence where no single command does it
	Err  error  // what the system answered; may be nil
}

func (e *MissingError) Error() string {
	var b strings.Builder
	b.WriteString(e.What)
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if e.Fix != "" {
		fmt.Fprintf(&b, "; to mend it: %s", e.Fix)
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *MissingError) Unwrap() error { return e.Err }

// Fault is one thing wrong with a Topology.
type Fault struct {
	// Path names the value: "nodes[1].rules[3]", "links[0].ends[1].interface".
	// Indices count from 0.
	Path    string
	Problem string
}

func (f *Fault) Error() string { return f.Path + ": " + f.Problem }

// Faults lists every Fault that err is made of, in order.
func Faults(err error) []*Fault { return Parts[*Fault](err) }

// Parts lists every error of a type that err is made of, in order.
func Parts[T error](err error) []T {
	if part, ok := err.(T); ok {
		return []T{part}
	}
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		var all []T
		for _, sub := range e.Unwrap() {
			all = append(all, Parts[T](sub)...)
		}
		return all
	case interface{ Unwrap() error }:
		return Parts[T](e.Unwrap())
	}
	return nil
}
