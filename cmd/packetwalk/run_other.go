//go:build !linux

package main

import (
	"context"
	"errors"
	"io"

	"packetwalk/lab"
	"packetwalk/scenarios"
)

// runInSandbox says that labs need Linux.
func runInSandbox(context.Context, scenarios.Scenario, runFlags) error { return lab.ErrNeedsLinux }

// errNetfilter says why nothing can be traced here.
var errNetfilter = errors.New("netfilter is a part of Linux: there is nothing to trace here")

func runInLab(context.Context, string, string, []string) error { return lab.ErrNeedsLinux }

func answerWhy(context.Context, whyFlags) error { return errNetfilter }

func traceMachine(context.Context, traceFlags) error                  { return errNetfilter }
func cleanMachine(context.Context, io.Writer, []string) error         { return errNetfilter }
func guardMachine(context.Context, io.Reader, string, []string) error { return errNetfilter }
