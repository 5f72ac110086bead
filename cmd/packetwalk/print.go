package main

import (
	"encoding/json"
	"io"

	"packetwalk/lab"
	"packetwalk/trace"
	"packetwalk/trace/passed"
	"packetwalk/trace/ruleset"
	"packetwalk/tui"
)

// printer is one way to print a run.
type printer interface {
	walk(trace.Walk) error
	// answer prints what a request brought.
	answer(c lab.Client, answer lab.Response, err error) error
	// leftOut prints how many packets were not followed so far because of a limit
	// on how many walks may begin in a second.
	leftOut(n uint64, rate int) error
	// lost prints how many events were lost.
	lost(n uint64) error
}

// newPrinter makes the printer that the flags ask for. rules gives the rulesets
// by node that the rules which a walk passed over are found in.
func newPrinter(w io.Writer, flags runFlags, rules func(trace.Family) map[string]ruleset.Ruleset) printer {
	over := passedOver(flags, rules)
	if flags.json {
		return jsonPrinter{json.NewEncoder(w), over}
	}
	return plainPrinter{&tui.Plain{W: w, Lang: flags.lang, Over: over}}
}

// passedOver finds the rules that a walk passed over, if the flags ask for them.
func passedOver(flags runFlags, rules func(trace.Family) map[string]ruleset.Ruleset) func(trace.Walk) []passed.Passed {
	if !flags.allRules {
		return func(trace.Walk) []passed.Passed { return nil }
	}
	return func(w trace.Walk) []passed.Passed { return passed.Over(w, rules(w.Packet.Family)) }
}

type plainPrinter struct{ *tui.Plain }

func (p plainPrinter) walk(w trace.Walk) error { return p.Walk(w) }

func (p plainPrinter) answer(c lab.Client, answer lab.Response, err error) error {
	return p.Answer(tui.Answer{Request: c.Command(), Status: answer.Status, Bytes: len(answer.Body), RTT: answer.RTT, Err: err})
}

func (p plainPrinter) leftOut(n uint64, rate int) error { return p.LeftOut(n, rate) }

func (p plainPrinter) lost(n uint64) error { return p.Lost(n) }

// jsonPrinter prints one object a line; docs/json.md describes them.
type jsonPrinter struct {
	*json.Encoder
	over func(trace.Walk) []passed.Passed
}

func (p jsonPrinter) walk(w trace.Walk) error {
	err := p.Encode(w)
	if over := p.over(w); err == nil && len(over) > 0 {
		err = p.Encode(passedJSON(w, over))
	}
	return err
}

func (p jsonPrinter) leftOut(n uint64, rate int) error {
	if n == 0 {
		return nil
	}
	return p.Encode(struct {
		Type    string `json:"type"`
		Packets uint64 `json:"packets"`
		Rate    int    `json:"rate"`
	}{"left-out", n, rate})
}

func (p jsonPrinter) lost(n uint64) error {
	return p.Encode(struct {
		Type   string `json:"type"`
		Events uint64 `json:"events"`
	}{"lost", n})
}

func (p jsonPrinter) answer(c lab.Client, answer lab.Response, err error) error {
	object := struct {
		Type    string  `json:"type"`
		Request string  `json:"request"`
		Status  int     `json:"status,omitempty"`
		Bytes   int     `json:"bytes"`
		RTT     float64 `json:"rtt"` // seconds
		Error   string  `json:"error,omitempty"`
	}{"answer", c.Command(), answer.Status, len(answer.Body), answer.RTT.Seconds(), ""}
	if err != nil {
		object.Error = err.Error()
	}
	return p.Encode(object)
}
