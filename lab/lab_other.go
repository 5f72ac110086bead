//go:build !linux

package lab

import "context"

// Lab is a topology come to life; only Linux has them.
type Lab struct{}

// Namespace is a node of a running lab; only Linux has them.
type Namespace struct{}

// InSandbox says whether this process is already the sandboxed one: never here.
func InSandbox() bool { return false }

// Reexec answers ErrNeedsLinux.
func Reexec(context.Context) (int, error) { return 0, ErrNeedsLinux }

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
