package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	tea "charm.land/bubbletea/v2"

	"packetwalk/assets"
	"packetwalk/lab/control"
	"packetwalk/scenarios"
	"packetwalk/scenarios/play"
	"packetwalk/scenarios/progress"
	"packetwalk/trace"
	"packetwalk/tui"
)

// tell prints a scenario with steps from its start to its end. Of a challenge
// that nobody has asked the answer of, only the task is told.
func (r *run) tell(ctx context.Context, w io.Writer) error {
	over := passedOver(r.flags, r.Trace().Rules)
	var to play.Teller = &plainTeller{Plain: &tui.Plain{W: w, Lang: r.flags.lang, Over: over}, scenario: r.scenario, answer: r.flags.answer}
	if r.flags.json {
		to = jsonTeller{jsonPrinter{json.NewEncoder(w), over}, r.scenario, r.flags.lang}
	}
	err := r.Tell(ctx, to, r.solves())
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return errors.Join(err, newPrinter(w, r.flags, r.Trace().Rules).lost(r.Trace().Lost()))
}

// solves says whether goals are reached by their solutions: in a lesson always,
// since later steps build on them.
func (r *run) solves() bool { return r.scenario.Kind != scenarios.Challenge || r.flags.answer }

// drawLesson leads a user through the scenario's steps, on the terminal.
func (r *run) drawLesson(ctx context.Context) error {
	keep, err := r.progress()
	if err != nil {
		return err
	}
	session := r.Play(ctx, keep.note)
	defer session.End()
	config := tui.Config{
		Title: r.scenario.Title.In(r.flags.lang), Lang: r.flags.lang, Topology: r.scenario.Topology,
		Rulesets: r.Trace().Rules(trace.IPv4), Variant: r.Trace().Variant(r.scenario.Topology.Nodes[0].Name), Losses: r.Trace().Lost,
		Session: lesson{session, r.Walks()}, Steps: r.scenario.Steps, Remote: r.flags.remote,
		Shell: func(node string) tea.ExecCommand { return shell{ctx, r.Control(), node, r.flags.lang} },
	}
	return errors.Join(tui.Run(ctx, config), keep.err)
}

// lesson is a session with its walks.
type lesson struct {
	*play.Session
	walks <-chan trace.Walk
}

// Walks delivers the walks of the lab.
func (l lesson) Walks() <-chan trace.Walk { return l.walks }

// keeper keeps a user's progress in a scenario of the catalogue.
type keeper struct {
	file     *progress.File // nil where nothing is kept
	scenario string
	err      error // the first failure, which does not end the lesson
}

func (r *run) progress() (*keeper, error) {
	k := &keeper{scenario: r.scenario.Name}
	if r.flags.ownFile || r.flags.remote {
		return k, nil // nobody's, or the class's and not the teacher's
	}
	file, err := progress.Default()
	k.file = &file
	return k, err
}

// note keeps that a step was finished. The session calls it, and ends before
// err is read.
func (k *keeper) note(p play.Progress) {
	if k.file == nil || k.err != nil {
		return
	}
	k.err = k.file.Step(k.scenario, p.Step, p.Reached, p.Last)
}

// shell is a shell in a node that takes the terminal over.
type shell struct {
	ctx     context.Context
	control interface{ Client() (control.Lab, error) }
	node    string
	lang    string
}

// Run opens the shell and waits for its end, however that is.
func (s shell) Run() error {
	l, err := s.control.Client()
	if err != nil {
		return err
	}
	fmt.Println(assets.Fill(assets.For(s.lang).Prompt.ShellOpens, "node", s.node))
	streams := control.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	if _, err := l.Run(s.ctx, s.node, control.Caller(os.Environ(), nil), streams, nil); err != nil {
		return fmt.Errorf("opening a shell in %s: %w", s.node, err)
	}
	return nil
}

// SetStdin and its like do nothing: the shell has the terminal itself.
func (shell) SetStdin(io.Reader)  {}
func (shell) SetStdout(io.Writer) {}
func (shell) SetStderr(io.Writer) {}
