package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// probeEnv asks the program, started in a throw-away sandbox, to try out what
// works there instead of doing its own work.
const probeEnv = "PACKETWALK_PROBE"

// The answer to the probes must come from inside a sandbox, and a sandbox is
// this program started again: here it turns off before anything else runs, so
// that whatever program Doctor is called from need not know about it.
func init() {
	if os.Getenv(probeEnv) == "" || !InSandbox() {
		return
	}
	_ = json.NewEncoder(os.Stdout).Encode(probeAll()) // whoever asked sees that the answer is cut short
	os.Exit(0)
}

// Doctor checks what labs need: by trying it out in a sandbox of its own, not
// by what versions promise. It works as an ordinary user and as root, and
// changes nothing on the machine.
func Doctor(ctx context.Context) []Check {
	checks := []Check{checkKernel(), checkUserNamespaces(ctx)}
	probed, err := probeInSandbox(ctx)
	if err != nil {
		checks = append(checks, missingCheck("sandbox", err))
		return append(checks, checkIptables()...)
	}
	checks = append(checks, Check{Name: "sandbox", Status: OK, Detail: "mount, network and PID namespaces of its own"})
	checks = append(checks, checkIptables()...)
	return append(checks, probed...)
}

// missingCheck is a check that failed, with the fix that its error names.
func missingCheck(name string, err error) Check {
	var missing *MissingError
	if errors.As(err, &missing) {
		detail := missing.What
		if missing.Err != nil {
			detail += ": " + missing.Err.Error()
		}
		return Check{Name: name, Status: Missing, Detail: detail, Fix: missing.Fix}
	}
	return Check{Name: name, Status: Missing, Detail: err.Error()}
}

// probeInSandbox starts the program again in a sandbox, where init answers.
func probeInSandbox(ctx context.Context) ([]Check, error) {
	var out, complaints bytes.Buffer
	code, err := reexec(ctx, nil, func(cmd *exec.Cmd) {
		cmd.Args = os.Args[:1]
		cmd.Env = append(os.Environ(), probeEnv+"=1")
		cmd.Stdout, cmd.Stderr = &out, &complaints
	})
	if err != nil {
		return nil, err
	}
	var answer probeAnswer
	if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
		return nil, fmt.Errorf("probing in a sandbox: exit status %d: %s", code, strings.TrimSpace(complaints.String()))
	}
	if answer.Sandbox != nil {
		return nil, &MissingError{What: answer.Sandbox.Detail, Fix: answer.Sandbox.Fix}
	}
	return answer.Checks, nil
}

// oldestKernel is the oldest that the program is meant for: the longterm kernel
// of Debian 11.
const oldestKernel = "5.10"

func checkKernel() Check {
	c := Check{Name: "kernel", Status: OK}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		c.Status, c.Detail = Warning, "asking for the version: "+err.Error()
		return c
	}
	c.Detail = "Linux " + unix.ByteSliceToString(u.Release[:])
	var have, want [2]int
	_, err := fmt.Sscanf(c.Detail, "Linux %d.%d", &have[0], &have[1])
	_, _ = fmt.Sscanf(oldestKernel, "%d.%d", &want[0], &want[1])
	if err != nil || have[0] < want[0] || have[0] == want[0] && have[1] < want[1] {
		c.Status, c.Fix = Warning, "a kernel from "+oldestKernel+" on"
	}
	return c
}

// checkUserNamespaces tries to make one, as an ordinary user has to. Root does
// without them.
func checkUserNamespaces(ctx context.Context) Check {
	c := Check{Name: "user namespaces", Status: OK, Detail: "an ordinary user can make them"}
	if g, closed := closedGate(readSysctl); closed {
		c.Status, c.Detail, c.Fix = Missing, fmt.Sprintf("switched off (%s = %s)", g.name, g.closed), g.fix()
	} else if err := tryUserNamespace(ctx); err != nil {
		c = missingCheck(c.Name, explainClone(err))
	}
	if c.Status == Missing && os.Geteuid() == 0 {
		c.Status = Warning
		c.Detail += "; root needs none"
	}
	return c
}

// tryUserNamespace starts a program that does nothing in a user namespace.
func tryUserNamespace(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Env = append(os.Environ(), probeEnv+"=user", sandboxEnv+"=1")
	cmd.SysProcAttr = sandboxAttributes(true)
	return cmd.Run()
}

// checkIptables looks for the programs, by variant.
func checkIptables() []Check {
	var checks []Check
	for _, variant := range Variants() {
		names := Command(variant)
		c := Check{Name: names.Iptables, Status: OK}
		var lacking []string
		for _, name := range []string{names.Iptables, names.Save, names.Restore} {
			if _, err := exec.LookPath(name); err != nil {
				lacking = append(lacking, name)
			}
		}
		out, err := exec.Command(names.Iptables, "--version").Output()
		c.Detail = strings.TrimSpace(string(out))
		switch {
		case len(lacking) > 0:
			c.Detail = "not installed: " + strings.Join(lacking, ", ")
		case err != nil:
			c.Detail = "asking for the version: " + err.Error()
		}
		if len(lacking) > 0 || err != nil {
			c.Status, c.Fix = Warning, "sudo apt-get install iptables"
			if variant == "" {
				c.Status = Missing
			}
		}
		checks = append(checks, c)
	}
	return checks
}
