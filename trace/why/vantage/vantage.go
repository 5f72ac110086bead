// Package vantage finds the points of a machine that a request can be sent from
// and those that its packets pass: the machine itself, containers of Docker, and
// an outside client that is made for the question and vanishes with it. Asking
// the question is left to package inquire, and what comes of it to package why.
//
// It is for machines that are not ours. Nothing of them is changed, but for the
// link of an outside client while there is one.
package vantage

import "errors"

// Origin is where a request comes from.
type Origin struct {
	Kind OriginKind
	// Container is a container's name, or the beginning of its ID; with InContainer only.
	Container string
}

// OriginKind says what sends a request.
type OriginKind uint8

// The kinds of origin.
const (
	// Anywhere is not known: the request is waited for. It is the zero OriginKind.
	Anywhere OriginKind = iota
	// Local is the machine itself.
	Local
	// InContainer is a container.
	InContainer
	// FromOutside is a client that is made for it.
	FromOutside
)

// ErrUnknownName is a name that no container has.
var ErrUnknownName = errors.New("no running container has that name")
