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
)

// rulesProbe is the value of probeEnv that asks for TryRules' part inside the sandbox.
const rulesProbe = "rules"

// trialOrder is what TryRules sends into the sandbox, trialAnswer what comes back.
type (
	trialOrder struct {
		Variant string
		Trials  []Trial
	}
	trialAnswer struct {
		Faults []*Fault
		// Missing says why nothing could be tried; nil where it could.
		Missing *Check
	}
)

// TryRules runs iptables commands in their order, and gives a fault for each
// that is refused, with what iptables said. It does so in a sandbox of its own,
// where every node is an empty network namespace that is thrown away behind it.
// Variant is that of Options.
//
// The error is a *MissingError where there is no sandbox or no iptables.
func TryRules(ctx context.Context, variant string, trials []Trial) ([]*Fault, error) {
	if len(trials) == 0 {
		return nil, nil
	}
	order, err := json.Marshal(trialOrder{variant, trials})
	if err != nil {
		return nil, fmt.Errorf("describing the rules to try: %w", err)
	}
	var answer trialAnswer
	if err := askSandbox(ctx, rulesProbe, order, &answer); err != nil {
		return nil, err
	}
	if answer.Missing != nil {
		return nil, &MissingError{What: answer.Missing.Detail, Fix: answer.Missing.Fix}
	}
	return answer.Faults, nil
}

// askSandbox starts the program again in a sandbox, where init answers what the
// value of probeEnv asks for.
func askSandbox(ctx context.Context, what string, order []byte, answer any) error {
	var out, complaints bytes.Buffer
	code, err := reexec(ctx, nil, func(cmd *exec.Cmd) {
		cmd.Args = os.Args[:1]
		cmd.Env = append(os.Environ(), probeEnv+"="+what)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(order), &out, &complaints
	})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out.Bytes(), answer); err != nil {
		return fmt.Errorf("probing in a sandbox: exit status %d: %s", code, strings.TrimSpace(complaints.String()))
	}
	return nil
}

// answerTrials is TryRules inside the sandbox.
func answerTrials() trialAnswer {
	var order trialOrder
	if err := json.NewDecoder(os.Stdin).Decode(&order); err != nil {
		return untried(fmt.Errorf("reading the rules to try: %w", err))
	}
	if err := Enter(); err != nil {
		return untried(err)
	}
	if order.Variant == "" {
		var err error
		if order.Variant, _, err = Usable(context.Background(), "", false); err != nil {
			return untried(err)
		}
	}
	t := tryer{tools: newTools(order.Variant), nodes: map[string]*Namespace{}}
	var answer trialAnswer
	for _, trial := range order.Trials {
		problem, err := t.try(trial)
		if err != nil {
			return untried(err)
		}
		if problem != "" {
			answer.Faults = append(answer.Faults, &Fault{trial.Path, problem})
		}
	}
	return answer
}

func untried(err error) trialAnswer {
	c := missingCheck("rules", err)
	return trialAnswer{Missing: &c}
}

// tryer runs trials; its nodes are made when they are first needed, and end with
// the process.
type tryer struct {
	tools *tools
	nodes map[string]*Namespace
}

// try runs one command. The error says why no command can be run.
func (t *tryer) try(trial Trial) (problem string, err error) {
	var bad *CommandError
	c, err := ParseCommand(trial.Command)
	if errors.As(err, &bad) {
		return bad.Problem, nil
	}
	if err := t.tools.need(c); err != nil {
		return "", err
	}
	if t.nodes[trial.Node] == nil {
		if t.nodes[trial.Node], err = newNamespace(trial.Node, false); err != nil {
			return "", err
		}
	}
	err = t.nodes[trial.Node].Do(func() error { return t.tools.run(context.Background(), c) })
	if err == nil || trial.Fails {
		return "", nil
	}
	return "iptables refuses it: " + iptablesMessage(err), nil
}
