package host

import "net/netip"

// Namespace is a network namespace in which functions can run.
type Namespace interface {
	// Do runs fn on a thread inside the namespace.
	Do(fn func() error) error
}

// Place is a network namespace with a name.
type Place struct {
	Name      string
	Namespace Namespace
}

// Options say what is read.
type Options struct {
	// Addresses are those whose tracked connections are read: a host may have
	// hundreds of thousands. Without any, none are.
	Addresses []netip.Addr
}
