package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"packetwalk/scenarios"
)

// playing is how many scenarios are played at once: they wait most of their time.
const playing = 5

// TestScenarios plays every scenario of the catalogue from its start to its end,
// with its solutions, on both variants of iptables where it does not name one;
// as root, one.
// The program itself sees to it that no goal is reached before it is solved, and
// that commands end and walks go as the scenario says.
func TestScenarios(t *testing.T) {
	program := filepath.Join(t.TempDir(), "packetwalk")
	if err := os.Symlink(executable(t), program); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	room := make(chan struct{}, playing)
	type run struct {
		name, variant string
		out           bytes.Buffer
		err           error
	}
	var runs []*run
	for _, s := range chosen() {
		for _, variant := range variants() {
			if s.Iptables == "legacy" && variant == "nft" || s.Iptables != "" && s.Iptables != "legacy" && variant == "legacy" {
				continue
			}
			if !canBuildLabs(t, variant) {
				continue
			}
			r := &run{name: s.Name, variant: variant}
			runs = append(runs, r)
			all.Go(func() {
				room <- struct{}{}
				defer func() { <-room }()
				cmd := exec.CommandContext(t.Context(), program, "run", s.Name, "--json", "--answer", "--patience", "2", "--iptables", variant)
				cmd.Stdout, cmd.Stderr = &r.out, &r.out
				r.err = cmd.Run()
			})
		}
	}
	all.Wait()
	if len(runs) == 0 {
		t.Skip("no labs here")
	}
	for _, r := range runs {
		t.Run(r.name+"/"+r.variant, func(t *testing.T) {
			if r.err != nil {
				t.Errorf("%v\n%s", r.err, faulty(r.out.String()))
			}
		})
	}
}

// chosen are the scenarios to play: for an ordinary user all of them, and for
// root, whose sandbox differs only in having no user namespace, the first of
// the last chapter.
func chosen() []scenarios.Scenario {
	if os.Geteuid() != 0 {
		return scenarios.List()
	}
	chapters := scenarios.Chapters()
	return chapters[len(chapters)-1].Scenarios[:1]
}

// variants are those to play with, likewise.
func variants() []string {
	if os.Geteuid() != 0 {
		return []string{"nft", "legacy"}
	}
	return []string{"nft"}
}

// executable is this test binary, which is the program under its name.
func executable(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// faulty is what in a run's output may be the reason for a failure: checks that
// do not hold, commands that failed, answers, and what is no JSON.
func faulty(out string) string {
	var b strings.Builder
	for line := range strings.Lines(out) {
		var o struct {
			Type  string
			Holds bool
			Exit  int
		}
		err := json.Unmarshal([]byte(line), &o)
		if err != nil || o.Type == "check" && !o.Holds || o.Type == "command" && o.Exit != 0 || o.Type == "answer" {
			b.WriteString(line)
		}
	}
	return b.String()
}
