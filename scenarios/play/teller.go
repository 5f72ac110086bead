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
	// Walk is told of every walk when it has come to its end, and Traffic what
	// the step's requests have brought in all.
	Walk(w trace.Walk) error
	Traffic(t Traffic, out Outcome) error
	// After ends the part of the step that comes before its goal.
	After(s scenarios.Step) error
	// Goal is told what the goal is. Checked is told what its requests bring:
	// before anybody has done anything about it, and after the commands of its
	// solution, which come as Ran.
	Goal(g scenarios.Goal) error
	Checked(g scenarios.Goal, t Traffic, out Outcome) error
}
