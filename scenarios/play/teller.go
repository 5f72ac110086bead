package play

import (
	"packetwalk/scenarios"
	"packetwalk/trace"
)

// Teller is told what happens while a scenario is played from its start to its
// end without a user. An error of its own ends the telling.
type Teller interface {
	// Step begins a step; n counts from 0.
	Step(n int, s scenarios.Step) error
	Ran(r Ran) error
	// Question is told before the requests are sent.
	Question(q scenarios.Question) error
	// Walks are those of the newest traffic, and Traffic what it brought.
	Walks(w []trace.Walk) error
	Traffic(t Traffic, out Outcome) error
	// After ends the part of the step that comes before its goal.
	After(s scenarios.Step) error
	// Goal is told what the goal is, and what its requests bring before anybody
	// has done anything about it. The commands of its solution come as Ran, their
	// walks as Walks, and Solved is told what the solution has brought.
	Goal(g scenarios.Goal, out Outcome) error
	Solved(g scenarios.Goal, t Traffic, out Outcome) error
}
