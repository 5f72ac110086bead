// Package vantagetest helps tests that ask questions on a machine: a program to
// kill while it does, and dumps of what it must not leave. What is asked is left
// to the tests.
package vantagetest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/host"
	"packetwalk/trace/nflog"
	"packetwalk/trace/why"
	"packetwalk/trace/why/inquire"
	"packetwalk/trace/why/vantage"
)

// What the test binary plays, when it is started with one of these variables.
const (
	roleEnv  = "PACKETWALK_TEST_ROLE"  // a Role as JSON
	guardEnv = "PACKETWALK_TEST_GUARD" // a run, and the backends' commands
)

// Role is a program that asks a question on the machine that it is started in,
// or, where it has no target, only holds a client outside of it. It says so when
// it has, and waits to be killed.
type Role struct {
	Origin vantage.Origin
	Target string // ADDRESS:PORT, over TCP
	Socket string // Docker's
}

// Main is labtest.Main for tests that start roles.
func Main(m *testing.M) {
	var play func() error
	switch role, words := os.Getenv(roleEnv), strings.Fields(os.Getenv(guardEnv)); {
	case len(words) > 0:
		play = func() error { return guard(words[0], words[1:]) }
	case role != "":
		play = func() error { return perform(role) }
	default:
		labtest.Main(m)
		return
	}
	if err := play(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func perform(text string) error {
	var r Role
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return err
	}
	if r.Target != "" {
		return r.ask()
	}
	o, err := vantage.NewOutside(context.Background(), host.Place{Name: "host", Namespace: nflog.Here{}}, trace.IPv4, nil)
	if err != nil {
		return err
	}
	fmt.Println(o.Interface)
	select {}
}

func (r Role) ask() error {
	target := why.Target{Proto: trace.TCP, Addr: netip.MustParseAddrPort(r.Target)}
	s, err := vantage.Open(context.Background(), vantage.Here(), r.Socket).Scene(context.Background(), r.Origin, target)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	s.Options = nflog.Options{
		Report: func(err error) { fmt.Fprintln(os.Stderr, err) },
		Guard: func(run string, backends []nflog.Backend) []string {
			words := []string{run}
			for _, b := range backends {
				words = append(words, b.Command)
			}
			return []string{"/usr/bin/env", guardEnv + "=" + strings.Join(words, " "), self}
		},
	}
	q, err := inquire.Open(context.Background(), s.Scene)
	if err != nil {
		return err
	}
	if _, err := q.Ask(context.Background(), why.Question{Target: target, From: s.From}); err != nil {
		return err
	}
	if s.Outside != nil {
		fmt.Println(s.Outside.Interface)
	} else {
		fmt.Println(s.From)
	}
	select {}
}

func guard(run string, commands []string) error {
	var backends []nflog.Backend
	for _, c := range commands {
		backends = append(backends, nflog.Backend{Family: trace.IPv4, Command: c})
	}
	return nflog.Guard(context.Background(), os.Stdin, run, backends)
}

// Start starts this program in a network namespace to play the role, and waits
// for its word: the interface of the outside client, or where it asks from.
func (r Role) Start(t *testing.T, n nflog.Namespace) (word string, kill func()) {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	err = n.Do(func() error {
		out, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		word, err = bufio.NewReader(out).ReadString('\n')
		return err
	})
	if err != nil {
		t.Fatalf("playing %s: %v", text, errors.Join(err, cmd.Wait()))
	}
	return strings.TrimSpace(word), func() {
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // the error says that it was killed
	}
}
