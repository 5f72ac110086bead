// Package control is how programs outside a lab's process talk to it: to run
// programs in its nodes, to have the probes taken out for a moment, to start
// services. It holds the protocol, the socket that a user's labs are found by,
// and the client, the relaying of a terminal included. Carrying requests out is
// left to package lab, which this one does not know.
//
// The protocol is one JSON object a packet on a Unix socket that keeps packets
// apart (SOCK_SEQPACKET). A connection is one request, answered by one Answer
// or more; what it asked for lasts no longer than the connection.
package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Version is the protocol's. Another one is refused, with the reason.
const Version = 1

// MaxMessage is the longest packet, in bytes. It has to fit the socket's buffer
// (net.core.wmem_default, 208 KiB).
const MaxMessage = 128 << 10

// Verb says what a request asks for.
type Verb string

// The verbs. Signal and Release are said on a connection whose request is under way.
const (
	Describe Verb = "describe" // what the lab is
	Run      Verb = "run"      // run a program in a node, with the streams that are passed along
	Signal   Verb = "signal"   // send the running program a signal
	Pause    Verb = "pause"    // take the probes of a node out, until Release or the end of the connection
	Release  Verb = "release"  // put them in again, and answer when they are in
	Serve    Verb = "serve"    // start a service in a node, in place of the one on the same port
)

// Request is what a client says.
type Request struct {
	Version int  `json:"version"`
	Do      Verb `json:"do"`
	// Node is the node's name. Where it is empty, Netns tells the node: the
	// inode number of its network namespace, as namespaces(7) has it.
	Node    string   `json:"node,omitempty"`
	Netns   uint64   `json:"netns,omitempty"`
	Program *Program `json:"program,omitempty"` // of Run
	Signal  int      `json:"signal,omitempty"`  // of Signal: 1 to 64
	Service *Service `json:"service,omitempty"` // of Serve
}

// Program is a program to run. Words may hold any bytes but zero, and travel as
// base64 for that reason.
type Program struct {
	// Args is the program and its arguments. Empty: an interactive shell.
	Args [][]byte `json:"args,omitempty"`
	// Shell is the shell that the user likes, by its path; empty for any.
	Shell []byte `json:"shell,omitempty"`
	// Env is added to the lab's own environment: NAME=VALUE.
	Env [][]byte `json:"env,omitempty"`
	// Dir is the directory to start in, where the lab has it.
	Dir []byte `json:"dir,omitempty"`
	// Terminal says that standard input is a terminal, for the program to have
	// as its controlling terminal.
	Terminal bool `json:"terminal,omitempty"`
}

// Service is a server to start.
type Service struct {
	Protocol string         `json:"protocol"` // http, tcp or udp
	Listen   netip.AddrPort `json:"listen"`
	// Reply is what an HTTP server answers with; nil leaves it as it was.
	Reply *string `json:"reply,omitempty"`
}

// Answer is what the lab says.
type Answer struct {
	Version int `json:"version"`
	// Error is empty where all went well.
	Error string `json:"error,omitempty"`
	Fault Fault  `json:"fault,omitempty"`
	// Lab is the answer to Describe.
	Lab *Description `json:"lab,omitempty"`
	// Iptables is an answer to Pause: the variant that the lab runs with, "nft",
	// "legacy" or, empty, the one that the system calls iptables.
	Iptables string `json:"iptables,omitempty"`
	// Exit says, on a connection with a Run, that the program has ended.
	Exit *Exit `json:"exit,omitempty"`
}

// Description is what a lab says of itself.
type Description struct {
	Scenario string `json:"scenario"`
	Nodes    []Node `json:"nodes"`
	// Iptables is the variant that the lab runs with; see Answer.
	Iptables string `json:"iptables,omitempty"`
}

// Node is a node of a lab.
type Node struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // host, container or machine
}

// Exit is how a program ended.
type Exit struct {
	Code   int `json:"code"`
	Signal int `json:"signal,omitempty"` // what ended it; 0 where it ended by itself
}

// Status is the exit code in the words of a shell: 128 plus the signal's number
// where a signal ended the program.
func (e Exit) Status() int {
	if e.Signal != 0 {
		return 128 + e.Signal
	}
	return e.Code
}

// Fault sorts errors for those who decide on them.
type Fault string

// The faults.
const (
	Refused    Fault = "refused"     // the request makes no sense here
	NoNode     Fault = "no-node"     // there is no such node
	NoProgram  Fault = "no-program"  // there is no such program
	NotRun     Fault = "not-run"     // the program is there, and could not be started
	NotCarried Fault = "not-carried" // it was tried and did not work
	Ended      Fault = "ended"       // the lab is ending
)

// Error is an error that the lab answered with.
type Error struct {
	Fault   Fault
	Message string
}

func (e *Error) Error() string { return e.Message }

// errTooLong refuses what no packet can hold.
var errTooLong = fmt.Errorf("the message is longer than %d bytes: fewer or shorter arguments are needed", MaxMessage)

// encode writes a message.
func encode(message any) ([]byte, error) {
	data, err := json.Marshal(message)
	if err == nil && len(data) > MaxMessage {
		err = errTooLong
	}
	return data, err
}

// ParseRequest reads a request and checks all of it that can be checked without
// the lab.
func ParseRequest(data []byte) (Request, error) {
	var r Request
	if len(data) > MaxMessage {
		return r, errTooLong
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("reading a request: %w", err)
	}
	if r.Version != Version {
		return r, fmt.Errorf("the request is of version %d of the protocol, and the lab speaks version %d: use the same packetwalk for both", r.Version, Version)
	}
	return r, r.check()
}

func (r Request) check() error {
	switch r.Do {
	case Describe, Pause, Release:
		return nil
	case Run:
		if r.Program == nil {
			return errors.New("a request to run something names no program")
		}
		return r.Program.check()
	case Signal:
		if r.Signal < 1 || r.Signal > 64 {
			return fmt.Errorf("there is no signal %d", r.Signal)
		}
		return nil
	case Serve:
		if r.Service == nil || !slices.Contains([]string{"http", "tcp", "udp"}, r.Service.Protocol) {
			return errors.New("a service speaks http, tcp or udp")
		}
		if !r.Service.Listen.IsValid() || r.Service.Listen.Port() == 0 {
			return errors.New("a service needs an address and a port to listen on")
		}
		return nil
	}
	return fmt.Errorf("the lab does not know %q", r.Do)
}

func (p *Program) check() error {
	if len(p.Args) > 0 && len(p.Args[0]) == 0 {
		return errors.New("the program has no name")
	}
	for _, w := range slices.Concat(p.Args, p.Env, [][]byte{p.Shell, p.Dir}) {
		if bytes.IndexByte(w, 0) >= 0 {
			return errors.New("a word holds a zero byte")
		}
	}
	for _, e := range p.Env {
		if bytes.IndexByte(e, '=') < 1 {
			return fmt.Errorf("%q is no environment variable", e)
		}
	}
	return nil
}

// parseAnswer reads an answer; what the lab complains of becomes an *Error.
func parseAnswer(data []byte) (Answer, error) {
	var a Answer
	if err := json.Unmarshal(data, &a); err != nil {
		return a, fmt.Errorf("reading the lab's answer: %w", err)
	}
	if a.Error != "" {
		return a, &Error{a.Fault, a.Error}
	}
	if a.Version != Version {
		return a, fmt.Errorf("the lab speaks version %d of the protocol, and this program version %d: use the same packetwalk for both", a.Version, Version)
	}
	return a, nil
}
