package tui

import (
	"context"
	"sync"

	tea "charm.land/bubbletea/v2"

	"packetwalk/lab"
	"packetwalk/trace"
	"packetwalk/trace/ruleset"
	"packetwalk/trace/why"
)

// WhyConfig is what the screen of an answer shows and can do.
type WhyConfig struct {
	// Lang is the language, as assets.For takes it.
	Lang string
	// Target is what is asked about, as the user wrote it, and From where the
	// request comes from; empty where that is not known.
	Target, From string
	// Watch says that Ask waits for somebody's request instead of sending one.
	Watch bool
	// Topology is what is known before the first answer; it may be empty.
	Topology lab.Topology
	// Ask asks the question: once at the start, and again whenever the user wants
	// it, never twice at a time. It must return when its context ends, and leave
	// nothing behind.
	Ask func(context.Context) (Asked, error)
	// Fix runs a command of a fix in a node, and gives what it printed and its
	// exit code. The error says why it could not be run. Nil where nothing must be
	// changed: then the commands are only shown.
	Fix func(ctx context.Context, node, command string) (output string, exit int, err error)
}

// Asked is an answer with what its walks are drawn on.
type Asked struct {
	Answer why.Answer
	// Topology may be empty: then the nodes of a walk are drawn.
	Topology lab.Topology
	// Rulesets and Variant are as in Config.
	Rulesets map[string]ruleset.Ruleset
	Variant  trace.Variant
}

// Why asks, and shows the answer on the terminal until the user quits or ctx
// ends; neither is an error. Where the question cannot be asked at all, it ends
// with the error of Ask; of a later failure the screen tells. When it returns,
// nothing of it runs any more: Ask and Fix have returned.
func Why(ctx context.Context, c WhyConfig) error { return runWhy(ctx, c) }

// runWhy is Why on a terminal that the options may replace.
func runWhy(ctx context.Context, c WhyConfig, options ...tea.ProgramOption) error {
	ctx, cancel := untilHangup(ctx)
	defer cancel()
	// The model has one job done at a time, so there is always room.
	jobs := make(chan job, 1)
	m := newWhyModel(c, func(j job) { jobs <- j })
	p := tea.NewProgram(m, append([]tea.ProgramOption{tea.WithContext(ctx), tea.WithFPS(30)}, options...)...)
	var worker sync.WaitGroup
	worker.Go(func() { work(ctx, jobs, p.Send) })
	_, err := p.Run()
	cancel()
	worker.Wait()
	if err = ending(err); err != nil {
		return err
	}
	return ending(m.inquiry.fatal)
}

// job is something that takes time. It sends what comes of it.
type job func(ctx context.Context, send func(tea.Msg))

// work does jobs, one after the other.
func work(ctx context.Context, jobs <-chan job, send func(tea.Msg)) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-jobs:
			j(ctx, send)
		}
	}
}
