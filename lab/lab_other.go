//go:build !linux

package lab

import (
	"context"
	"os"

	"packetwalk/lab/control"
)

// Lab is a topology come to life; only Linux has them.
type Lab struct{}

// Namespace is a node of a running lab; only Linux has them.
type Namespace struct{}

// InSandbox says whether this process is already the sandboxed one: never here.
func InSandbox() bool { return false }

// Reexec answers ErrNeedsLinux.
func Reexec(context.Context, *control.Door, ...*os.File) (int, error) { return 0, ErrNeedsLinux }

// Handed finds no file.
func Handed(int) *os.File { return nil }

// Enter answers ErrNeedsLinux.
func Enter() error { return ErrNeedsLinux }

// Build answers ErrNeedsLinux.
func Build(context.Context, Topology, Options) (*Lab, error) { return nil, ErrNeedsLinux }

// Check answers ErrNeedsLinux.
func (*Lab) Check(context.Context) error { return ErrNeedsLinux }

// Close does nothing.
func (*Lab) Close() error { return nil }

// Node finds no node.
func (*Lab) Node(string) *Namespace { return nil }

// Topology is empty.
func (*Lab) Topology() Topology { return Topology{} }

// Send answers ErrNeedsLinux.
func (*Lab) Send(context.Context, string) (Response, error) { return Response{}, ErrNeedsLinux }

// Run answers ErrNeedsLinux.
func (*Lab) Run(context.Context, string, string) (Result, error) { return Result{}, ErrNeedsLinux }

// Control answers ErrNeedsLinux.
func (*Lab) Control(ControlOptions) (*Control, error) { return nil, ErrNeedsLinux }

// Services is empty.
func (*Lab) Services() []Service { return nil }

// ReplaceService answers ErrNeedsLinux.
func (*Lab) ReplaceService(context.Context, Service) error { return ErrNeedsLinux }

// StopService answers ErrNeedsLinux.
func (*Lab) StopService(Service) error { return ErrNeedsLinux }

// Control answers those who control the lab; only Linux has labs.
type Control struct{}

// Close does nothing.
func (*Control) Close() error { return nil }

// TryRules answers ErrNeedsLinux.
func TryRules(context.Context, string, []Trial) ([]*Fault, error) { return nil, ErrNeedsLinux }

// Name is empty.
func (*Namespace) Name() string { return "" }

// Do answers ErrNeedsLinux.
func (*Namespace) Do(func() error) error { return ErrNeedsLinux }

// Doctor says that there is nothing to check here.
func Doctor(context.Context) []Check {
	return []Check{{Name: "kernel", Status: Missing, Detail: ErrNeedsLinux.Error()}}
}
