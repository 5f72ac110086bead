//go:build !linux

package main

import (
	"context"

	"packetwalk/lab"
	"packetwalk/scenarios"
)

// runInSandbox says that labs need Linux.
func runInSandbox(context.Context, scenarios.Scenario, runFlags) error { return lab.ErrNeedsLinux }
