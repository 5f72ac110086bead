package play

import (
	"packetwalk/lab"
	"packetwalk/scenarios"
	"packetwalk/scenarios/expect"
	"packetwalk/trace/ruleset"
)

// Phase is how far a step has come.
type Phase uint8

// The phases of a step, in their order. A step skips those that it has nothing for.
const (
	Preparing Phase = iota // the lab is being built or put back
	Running                // the step's commands are being carried out
	Reading                // there is a text, and traffic is still to come
	Asking                 // the question waits for an answer
	Sending                // requests are under way
	Watching               // their walks are there to be looked at
	Working                // the goal waits to be reached
	Finished               // nothing is left to do in this step
)

// State is what a user sees of a session. It is a value: a newer one replaces it.
type State struct {
	// Step counts from 0, and is the index in the scenario's Steps.
	Step  int
	Phase Phase
	// Ran holds the commands that were carried out in this step, oldest first.
	Ran []Ran
	// Choice is the index of the answer that the user chose, -1 for none.
	Choice int
	// Results are the step's expectations, held to the walks; empty before.
	Results []expect.Result
	// Goal holds the results of the goal's expectations at the last look.
	Goal    []expect.Result
	Reached bool // the goal is, or was, reached in this step
	// Checking says that the goal is being looked at.
	Checking bool
	// Hints is how many of the goal's hints are shown, and Solution whether its
	// solution is.
	Hints    int
	Solution bool
	// FirstWalk is the ID of the first walk that belongs to the newest traffic.
	FirstWalk int
	// Request is what the step has sent last, as one would type it; empty before.
	Request string
	// Answer is what it brought. What the goal's requests bring is in Goal.
	Answer expect.Answer
	// Topology and Rulesets are the lab as it is now.
	Topology lab.Topology
	Rulesets map[string]ruleset.Ruleset
	// Changes counts what can be undone.
	Changes int
	// Busy says that an action is under way; others wait for it.
	Busy bool
	// Err is what went wrong last; nil after an action that went well.
	Err error
}

// Ran is a command that was carried out.
type Ran struct {
	scenarios.Command
	Output string // what it printed, both streams, without line breaks at its end
	// Omitted counts the bytes of output that were too many to keep.
	Omitted int64
	Exit    int
	Done    bool // it has ended
	Undone  bool // what it changed was taken back
	// By says who typed it.
	By Author
}

// Author says where a command came from.
type Author uint8

// The authors.
const (
	ByScenario Author = iota
	ByUser
	BySolution
)

// String is the author in a word: scenario, user, solution.
func (a Author) String() string { return [...]string{"scenario", "user", "solution"}[a] }

// Action is something that the user wants.
type Action interface{ action() }

// The actions.
type (
	// Next goes on: to the step's next phase or, where it has none, to the next step.
	Next struct{}
	// Back goes back to the beginning of the step before.
	Back struct{}
	// Choose answers the question with the choice of this index.
	Choose struct{ Choice int }
	// Send sends the step's requests again or, in a step with a goal, looks at it again.
	Send struct{}
	// Hint shows one more hint, and ShowSolution the solution.
	Hint         struct{}
	ShowSolution struct{}
	// Solve carries the solution out.
	Solve struct{}
	// Type carries a command out in a node.
	Type struct{ Node, Command string }
	// Undo takes the last change of the lab back.
	Undo struct{}
	// ResetStep puts the lab back to how it was at the beginning of the step,
	// ResetScenario to the beginning of the first one.
	ResetStep     struct{}
	ResetScenario struct{}
)

func (Next) action()          {}
func (Back) action()          {}
func (Choose) action()        {}
func (Send) action()          {}
func (Hint) action()          {}
func (ShowSolution) action()  {}
func (Solve) action()         {}
func (Type) action()          {}
func (Undo) action()          {}
func (ResetStep) action()     {}
func (ResetScenario) action() {}
