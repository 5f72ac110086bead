package main

import (
	"packetwalk/trace"
	"packetwalk/trace/passed"
)

// passedObject is the JSON of the rules that a walk passed over; docs/json.md
// describes it.
type passedObject struct {
	Type  string       `json:"type"`
	Walk  int          `json:"walk"`
	Rules []passedRule `json:"rules"`
}

type passedRule struct {
	Before int         `json:"before"`
	Node   string      `json:"node"`
	Hook   string      `json:"hook"`
	Table  trace.Table `json:"table"`
	Chain  string      `json:"chain"`
	Rule   int         `json:"rule"`
	Text   string      `json:"text"`
	Why    *passedWhy  `json:"why,omitempty"`
}

type passedWhy struct {
	Match []string `json:"match"`
	Have  string   `json:"have"`
}

func passedJSON(w trace.Walk, over []passed.Passed) passedObject {
	out := passedObject{Type: "passed", Walk: w.ID, Rules: make([]passedRule, len(over))}
	for i, p := range over {
		out.Rules[i] = passedRule{p.Before, p.Node, p.Hook.String(), p.Table, p.Chain, p.Rule, p.Text, nil}
		if p.Why.Known() {
			out.Rules[i].Why = &passedWhy{p.Why.Match, p.Why.Have}
		}
	}
	return out
}
